//! The code of the guide (docs/references.md), compiled and run.

use std::path::Path;

use archive::archive_client::ArchiveClient;
use archive::archive_server::{Archive, ArchiveServer};
use archive::{Document, Lines};
use nowire::refs::{PAGE_BYTES, PoolOptions, Reuse};
use nowire::{Blob, ChannelOptions, Pool, Ref, RefError, Replies, SealFrom, Shared};
use nowire_grpc::{Channel, Endpoint, ref_status};
use tonic::{Request, Response, Status};

/// Every file that has code of the page in it.
const SOURCES: &[&str] = &[
    include_str!("guide.rs"),
    include_str!("../archive.proto"),
    include_str!("../build.rs"),
    include_str!("../forwarder.rs"),
    include_str!("../worker.rs"),
];

#[test]
fn every_line_of_code_of_the_page_is_compiled() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/references.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let compiled: Vec<&str> = SOURCES.iter().flat_map(|source| source.lines()).collect();
    let mut inside = false;
    let mut lines = 0;
    for line in page.lines() {
        if let Some(language) = line.strip_prefix("```") {
            inside = matches!(language, "rust" | "protobuf");
        } else if inside && !line.trim().is_empty() {
            let known = compiled.iter().any(|known| known.trim() == line.trim());
            assert!(known, "nothing compiles this line of the page: {line}");
            lines += 1;
        }
    }
    assert!(lines > 50, "{lines} lines of code");
}

#[test]
fn what_is_shared_stays_as_it_was() -> Result<(), Box<dyn std::error::Error>> {
    let pool = Pool::process();
    let mut buffer = pool.alloc(1 << 20)?; // zeroes, which nobody else sees
    buffer[..5].copy_from_slice(b"hello");
    let whole: Ref = buffer.share();
    let part = whole.slice(..5)?;
    assert_eq!(&*part.map()?, b"hello");

    let mut edit = whole.edit(pool)?;
    edit.write(0, b"J")?; // copies a page
    edit.write(8192, &[1; 8192])?; // replaces two, and copies nothing
    edit.bytes_mut(5..6)?[0] = b'y';
    assert_eq!(&edit.map()?[..6], b"Jelloy");
    assert_eq!((edit.copied_pages(), edit.own_pages()), (1, 3));
    let changed = edit.share();

    assert_eq!(&whole.map()?[..5], b"hello");
    assert_eq!(&changed.map()?[..5], b"Jello");

    drop((part, changed));
    let place = whole.map()?.as_ptr();
    let mut again = match whole.try_into_buffer() {
        Ok(buffer) => buffer,
        Err(whole) => pool.copy_of(&whole.map()?)?.try_into_buffer().unwrap(),
    };
    again[..5].copy_from_slice(b"again");
    assert_eq!(again.as_ptr(), place, "nobody else has it");

    let once = Pool::new(PoolOptions {
        reuse: Reuse::Never,
        ..PoolOptions::default()
    });
    drop(once.alloc(4096)?);
    assert_eq!(once.usage().kept_bytes, 0);
    Ok(())
}

fn written() -> Result<Ref, nowire::refs::PoolError> {
    let mut buffer = Pool::process().alloc(100_000)?;
    buffer.fill(b'\n');
    buffer[..6].copy_from_slice(b"secret");
    Ok(buffer.share())
}

fn document(text: Blob) -> Document {
    Document {
        title: "a log".to_owned(),
        text: Some(text),
    }
}

/// Does the work here, or has it done by somebody else.
struct Worker {
    worker: Option<ArchiveClient<Channel>>,
}

#[tonic::async_trait]
impl Archive for Worker {
    async fn count(&self, request: Request<Document>) -> Result<Response<Lines>, Status> {
        if let Some(worker) = &self.worker {
            return worker.clone().count(request.into_inner()).await;
        }
        let text = request.into_inner().text.unwrap_or_default();
        assert!(text.reference().is_some(), "it came by reference");
        let text = text.open().map_err(|error| ref_status(&error))?;
        let lines = text.iter().filter(|byte| **byte == b'\n').count() as u64;
        Ok(Response::new(Lines { lines }))
    }

    async fn redact(&self, request: Request<Document>) -> Result<Response<Document>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

#[test]
fn a_document_of_either_origin_passes_through() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let dir = tempfile::tempdir()?;
        let serve = async |name: &str, worker| {
            let server = nowire_grpc::Server::builder().memory_options(|options| {
                options.references.seal = SealFrom::Bytes(4 << 20);
            });
            let runtime_dir = Some(dir.path().to_owned());
            let bound = server
                .memory_options(|options| options.runtime_dir = runtime_dir)
                .add_service(ArchiveServer::new(Worker { worker }))
                .bind(name)
                .await?;
            tokio::spawn(bound.serve());
            let endpoint = Endpoint::from_shared(name.to_owned())?;
            let endpoint = endpoint.memory_options(|options| {
                options.runtime_dir = Some(dir.path().to_owned());
            });
            let channel = endpoint.connect().await?;
            Ok::<_, nowire_grpc::Error>(ArchiveClient::new(channel))
        };
        let worker = serve("nowire:guide-worker", None).await?;
        let mut archive = serve("nowire:guide-forwarder", Some(worker)).await?;

        let text: Ref = written()?; // lies in pooled memory: nothing is copied
        let first = archive.count(document(text.clone().into())).await?;
        let bytes = vec![b'\n'; 100_000]; // is copied to pooled memory when first sent
        let second = archive.count(document(Blob::from(bytes))).await?;
        assert_eq!(first.into_inner().lines, 100_000 - 6);
        assert_eq!(second.into_inner().lines, 100_000);
        Ok(())
    })
}

#[test]
fn settings_are_where_the_page_says() {
    let endpoint = Endpoint::from_static("http://127.0.0.1:50061").memory_options(|options| {
        options.references.reference_from_bytes = 64 << 10;
        options.references.held_limit = 1000;
    });
    assert_eq!(endpoint.address(), "http://127.0.0.1:50061");
}

#[derive(Shared, Clone, Copy, Debug)]
#[repr(u8)]
enum Refusal {
    Reference,
}

impl From<RefError> for Refusal {
    fn from(_: RefError) -> Self {
        Self::Reference
    }
}

#[nowire::service]
trait Shelf {
    #[nowire(pool)]
    fn count(&self, text: Ref) -> u64;
    #[nowire(pool)]
    fn redact(&self, text: Ref, word: u64) -> Result<Ref, Refusal>;
    #[nowire(pool)]
    fn pages(&self, text: Ref, pages: &mut Replies<Ref>);
    #[nowire(pool)]
    fn title(&self, title: Blob) -> u64;
}

struct Books;

impl Shelf for Books {
    fn count(&self, text: Ref) -> u64 {
        let text = text.map().unwrap();
        text.iter().filter(|byte| **byte == b'\n').count() as u64
    }

    fn redact(&self, text: Ref, word: u64) -> Result<Ref, Refusal> {
        let mut edit = text.edit(Pool::process())?;
        edit.write(word as usize, b"***")?;
        Ok(edit.share())
    }

    fn pages(&self, text: Ref, pages: &mut Replies<Ref>) {
        for start in (0..text.len()).step_by(PAGE_BYTES) {
            let end = text.len().min(start + PAGE_BYTES);
            let Ok(page) = text.slice(start..end) else {
                return;
            };
            if pages.send(page).is_err() {
                return;
            }
        }
    }

    fn title(&self, title: Blob) -> u64 {
        title.len() as u64
    }
}

#[test]
fn native_calls_take_and_give_references() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let _server = nowire::Server::builder()
        .runtime_dir(dir.path())
        .add(ShelfServer::new(Books))
        .start("guide-shelf")?;
    let mut options = ChannelOptions::default();
    options.connect.runtime_dir = Some(dir.path().to_owned());
    let shelf = ShelfClient::new(nowire::connect_with("guide-shelf", options)?);

    let text = written()?;
    let lines = *shelf.count(text.clone())?;
    let redacted: Ref = shelf.redact(text.clone(), 3)?;
    assert_eq!(lines, 100_000 - 6);
    assert_eq!(&redacted.map()?[..6], b"sec***");
    assert_eq!(&text.map()?[..6], b"secret");
    let mut pages = shelf.pages(redacted)?;
    while let Some(page) = pages.next_reply()? {
        assert!(page.len() <= PAGE_BYTES);
    }
    assert_eq!(*shelf.title(vec![0; 10].into())?, 10);
    assert_eq!(*shelf.title(vec![0; 100_000].into())?, 100_000);
    Ok(())
}
