//! Does the work: reads documents, and takes secrets out of them.
#![forbid(unsafe_code)]

use archive::archive_server::{Archive, ArchiveServer};
use archive::{Document, Lines};
use nowire::{Pool, Ref, RefError};
use nowire_grpc::ref_status;
use tonic::{Request, Response, Status};

const SECRET: &[u8] = b"secret";

struct Worker;

#[tonic::async_trait]
impl Archive for Worker {
    async fn count(&self, request: Request<Document>) -> Result<Response<Lines>, Status> {
        let text = request.into_inner().text.unwrap_or_default();
        let text = text.open().map_err(|error| ref_status(&error))?;
        let lines = text.iter().filter(|byte| **byte == b'\n').count() as u64;
        Ok(Response::new(Lines { lines }))
    }

    async fn redact(&self, request: Request<Document>) -> Result<Response<Document>, Status> {
        let Document { title, text } = request.into_inner();
        let text = text.unwrap_or_default().into_ref(Pool::process());
        let redacted = text.and_then(|text| redact(&text));
        let text = redacted.map_err(|error| ref_status(&error))?;
        Ok(Response::new(Document {
            title,
            text: Some(text.into()),
        }))
    }
}

/// Copies the pages that have a secret, and no others.
fn redact(text: &Ref) -> Result<Ref, RefError> {
    let mut edit = text.edit(Pool::process())?;
    let words = text.map()?;
    let mut at = 0;
    while let Some(found) = find(&words[at..]) {
        edit.write(at + found, &[b'*'; SECRET.len()])?;
        at += found + SECRET.len();
    }
    println!("copied {} pages", edit.copied_pages());
    Ok(edit.share())
}

fn find(words: &[u8]) -> Option<usize> {
    words.windows(SECRET.len()).position(|word| word == SECRET)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:50061");
    nowire_grpc::Server::builder()
        .add_service(ArchiveServer::new(Worker).max_decoding_message_size(16 << 20))
        .serve(address)
        .await?;
    Ok(())
}
