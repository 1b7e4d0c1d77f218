//! What a client or a server that does the handshake wrong is told, and that
//! nobody else notices.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Runtime, parse};
use nowire::{ConnectError, ConnectOptions, ListenOptions, Listener, Met, Usage, meet};
use nowire_memory::OwnedSegment;
use nowire_memory::socket;
use nowire_protocol::geometry::Geometry;
use nowire_protocol::handshake::{
    HEADER_BYTES, HandshakeError, Header, Hello, Kind, Refusal, RefusalCode, VERSION, VERSIONS,
    Welcome,
};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

const STEM: &str = "name-host";
const ADDRESS: &str = "nowire:host";
/// Far beyond what anything here takes; a test that gets there has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that takes every client and keeps it.
struct Host {
    runtime: Runtime,
    listener: Arc<Listener>,
    taken: tokio::sync::mpsc::UnboundedReceiver<Met>,
}

impl Host {
    fn new(adjust: impl FnOnce(&mut ListenOptions)) -> Self {
        let runtime = Runtime::new();
        let mut options = runtime.listen_options();
        adjust(&mut options);
        let listener = Arc::new(Listener::bind(&[parse(ADDRESS)], options).expect("a free name"));
        let (give, taken) = tokio::sync::mpsc::unbounded_channel();
        let accepting = Arc::clone(&listener);
        tokio::spawn(async move {
            loop {
                let met = accepting.accept().await.expect("the listener is well");
                if give.send(met).is_err() {
                    break;
                }
            }
        });
        Self {
            runtime,
            listener,
            taken,
        }
    }

    async fn meet(&mut self) -> Result<(Met, Met), ConnectError> {
        let client = self.runtime.meet(ADDRESS).await?;
        let server = self.taken.recv().await.expect("the server runs");
        Ok((client, server))
    }

    /// Connects without saying anything.
    fn intrude(&self) -> OwnedFd {
        let path = self.runtime.path().join(format!("{STEM}.sock"));
        socket::connect(&path).expect("the server listens")
    }

    /// Says `message` with `descriptors` and reads the refusal.
    async fn refusal(&self, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> Refusal {
        let socket = self.intrude();
        let sent = socket::send_with_descriptors(socket.as_fd(), message, descriptors);
        assert_eq!(sent, Ok(message.len()));
        let (kind, body) = read_message(socket.as_fd()).await.expect("an answer");
        assert_eq!(kind, Kind::Refusal);
        assert_eq!(
            read_message(socket.as_fd()).await,
            None,
            "the server hangs up"
        );
        Refusal::decode(&body).expect("a refusal")
    }
}

/// One message, or `None` when the peer hung up.
async fn read_message(socket: BorrowedFd<'_>) -> Option<(Kind, Vec<u8>)> {
    let header = read(socket, HEADER_BYTES).await?;
    let header = header
        .first_chunk()
        .and_then(|header| Header::decode(header).ok());
    let header = header.expect("a header");
    Some((
        header.kind,
        read(socket, header.body_bytes).await.expect("a body"),
    ))
}

async fn read(socket: BorrowedFd<'_>, bytes: usize) -> Option<Vec<u8>> {
    let mut buffer = vec![0; bytes];
    let mut filled = 0;
    let reading = async {
        while filled < bytes {
            match socket::recv_with_descriptors(socket, &mut buffer[filled..], 0) {
                Ok(received) if received.bytes == 0 => return None,
                Ok(received) => filled += received.bytes,
                Err(Errno::CONNRESET) => return None,
                Err(Errno::AGAIN) => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(error) => panic!("{error}"),
            }
        }
        Some(())
    };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .expect("an answer in time")?;
    Some(buffer)
}

fn hello() -> Hello {
    Hello {
        versions: VERSIONS,
        features: 0,
        outbox: Geometry::SMALLEST,
        streams: 1,
        window_bytes: 1,
        authority: String::new(),
        user_agent: String::new(),
        target: STEM.into(),
        heap: None,
        references: None,
    }
}

fn encoded(hello: &Hello) -> Vec<u8> {
    hello.encode().expect("a hello")
}

fn segment(geometry: Geometry) -> OwnedSegment {
    OwnedSegment::create("test", geometry.outbox_bytes()).expect("a small segment")
}

/// A memfd of the smallest outbox's size with its first `present` bytes there.
fn memfd(seals: SealFlags, present: usize) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create("test", flags).expect("a memfd");
    rustix::fs::ftruncate(&file, Geometry::SMALLEST.outbox_bytes() as u64).expect("room");
    assert_eq!(rustix::io::pwrite(&file, &vec![0; present], 0), Ok(present));
    rustix::fs::fcntl_add_seals(&file, seals).expect("sealing");
    file
}

const SEALS: SealFlags = SealFlags::FUTURE_WRITE
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW)
    .union(SealFlags::SEAL);

#[tokio::test]
async fn a_hello_without_fault_is_welcome() {
    let mut host = Host::new(|_| {});
    let outbox = segment(Geometry::SMALLEST);
    let socket = host.intrude();
    let message = encoded(&hello());
    let sent = socket::send_with_descriptors(socket.as_fd(), &message, &[outbox.descriptor()]);
    assert_eq!(sent, Ok(message.len()));
    let (kind, body) = read_message(socket.as_fd()).await.expect("an answer");
    assert_eq!(kind, Kind::Welcome);
    let welcome = Welcome::decode(&body, &hello()).expect("a welcome");
    assert_eq!((welcome.version, welcome.streams), (VERSION, 1));
    assert_eq!(
        host.taken.recv().await.expect("taken").peer.pid,
        std::process::id()
    );
}

#[tokio::test]
async fn a_hello_in_single_bytes_is_welcome() {
    let mut host = Host::new(|_| {});
    let outbox = segment(Geometry::SMALLEST);
    let socket = host.intrude();
    for (at, byte) in encoded(&hello()).into_iter().enumerate() {
        let descriptor = [outbox.descriptor()];
        let descriptors = if at == 0 { &descriptor[..] } else { &[] };
        assert_eq!(
            socket::send_with_descriptors(socket.as_fd(), &[byte], descriptors),
            Ok(1)
        );
        tokio::task::yield_now().await;
    }
    assert_eq!(
        read_message(socket.as_fd()).await.expect("an answer").0,
        Kind::Welcome
    );
    host.taken.recv().await.expect("taken");
}

#[tokio::test]
async fn each_fault_in_a_hello_is_refused_with_its_reason() {
    let mut host = Host::new(|options| options.client_outbox_limit_bytes = 128 << 10);
    let outbox = segment(Geometry::SMALLEST);
    let good = [outbox.descriptor()];
    let mut wrong_magic = encoded(&hello());
    wrong_magic[0] = b'N';
    let mut too_long = encoded(&hello());
    too_long[12..16].copy_from_slice(&5000_u32.to_le_bytes());
    let mut no_hello = encoded(&hello());
    no_hello[8] = 2;
    let mut newer = encoded(&hello());
    newer[HEADER_BYTES..HEADER_BYTES + 8].copy_from_slice(b"\x02\0\0\0\x03\0\0\0");
    let mut odd_ring = encoded(&hello());
    odd_ring[HEADER_BYTES + 16] = 9;
    let mut huge = encoded(&hello());
    huge[HEADER_BYTES + 20..HEADER_BYTES + 24].copy_from_slice(&(1_u32 << 30).to_le_bytes());
    let http = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let elsewhere = encoded(&Hello {
        target: "name-other".into(),
        ..hello()
    });
    for (message, code, reason) in [
        (
            &wrong_magic[..],
            RefusalCode::Malformed,
            "not a Nowire handshake",
        ),
        (http, RefusalCode::Malformed, "not a Nowire handshake"),
        (&too_long, RefusalCode::Malformed, "body of 5000 bytes"),
        (&no_hello, RefusalCode::Malformed, "where a hello was due"),
        (&newer, RefusalCode::Version, "versions 2 to 3"),
        (&odd_ring, RefusalCode::Malformed, "ring of 9 slots"),
        (&huge, RefusalCode::Geometry, "client_outbox_limit_bytes"),
        (
            &elsewhere,
            RefusalCode::WrongTarget,
            "name-other was asked for",
        ),
    ] {
        // What follows a header that is refused is never read; it must not
        // keep the refusal from arriving.
        let refusal = host.refusal(message, &good).await;
        assert_eq!(refusal.code, code, "{}", refusal.reason);
        assert!(refusal.reason.contains(reason), "{}", refusal.reason);
    }
    assert_eq!(host.listener.usage(), Usage::default());
    host.meet().await.expect("others are not affected");
}

#[tokio::test]
async fn each_wrong_descriptor_is_refused_with_its_reason() {
    let mut host = Host::new(|_| {});
    let bytes = Geometry::SMALLEST.outbox_bytes();
    let unsealed = memfd(
        SealFlags::FUTURE_WRITE | SealFlags::SHRINK | SealFlags::SEAL,
        bytes,
    );
    let sparse = memfd(SEALS, bytes - 4096);
    let short = segment(Geometry::SMALLEST);
    let short_hello = Hello {
        outbox: Geometry::DEFAULT,
        ..hello()
    };
    let file = OwnedFd::from(std::fs::File::open("/proc/self/exe").expect("this program"));
    let good = segment(Geometry::SMALLEST);
    let two = [good.descriptor(), good.descriptor()];
    for (hello, descriptors, reason) in [
        (hello(), &[unsealed.as_fd()][..], "seals"),
        (hello(), &[sparse.as_fd()], "hole"),
        (short_hello, &[short.descriptor()], "were announced"),
        (hello(), &[file.as_fd()], "not a memory file"),
        (hello(), &[], "without the descriptor"),
        (hello(), &two, "more than one"),
    ] {
        let refusal = host.refusal(&encoded(&hello), descriptors).await;
        assert_eq!(refusal.code, RefusalCode::Descriptor, "{}", refusal.reason);
        assert!(refusal.reason.contains(reason), "{}", refusal.reason);
    }
    assert_eq!(
        host.listener.usage(),
        Usage::default(),
        "what was charged came back"
    );
    host.meet().await.expect("others are not affected");
}

#[tokio::test]
async fn a_descriptor_with_a_later_byte_counts_as_well() {
    let host = Host::new(|_| {});
    let outbox = segment(Geometry::SMALLEST);
    let socket = host.intrude();
    let message = encoded(&hello());
    let descriptor = [outbox.descriptor()];
    for part in message.chunks(HEADER_BYTES) {
        let sent = socket::send_with_descriptors(socket.as_fd(), part, &descriptor);
        assert_eq!(sent, Ok(part.len()));
    }
    let (kind, body) = read_message(socket.as_fd()).await.expect("an answer");
    assert_eq!(kind, Kind::Refusal);
    assert_eq!(
        Refusal::decode(&body).expect("a refusal").code,
        RefusalCode::Descriptor
    );
}

#[tokio::test]
async fn silent_clients_are_dropped_and_hold_up_nobody() {
    let mut host = Host::new(|options| {
        options.max_handshakes = 4;
        options.handshake_timeout = Duration::from_millis(200);
    });
    let silent: Vec<_> = (0..3).map(|_| host.intrude()).collect();
    let half = host.intrude();
    let message = encoded(&hello());
    assert_eq!(
        socket::send_with_descriptors(half.as_fd(), &message[..20], &[]),
        Ok(20)
    );
    // All places are taken; this one gets its turn when theirs is over.
    host.meet().await.expect("a place becomes free");
    for socket in silent.iter().chain([&half]) {
        assert_eq!(
            read_message(socket.as_fd()).await,
            None,
            "cut off without an answer"
        );
    }
}

#[tokio::test]
async fn a_client_connects_while_others_keep_silent() {
    let mut host = Host::new(|options| options.handshake_timeout = PATIENCE * 10);
    let _silent: Vec<_> = (0..10).map(|_| host.intrude()).collect();
    host.meet().await.expect("not held up");
}

#[tokio::test]
async fn clients_that_leave_in_the_middle_cost_nothing() {
    let mut host = Host::new(|_| {});
    for cut in [0, 1, HEADER_BYTES, HEADER_BYTES + 1] {
        let socket = host.intrude();
        if cut > 0 {
            let message = &encoded(&hello())[..cut];
            assert_eq!(
                socket::send_with_descriptors(socket.as_fd(), message, &[]),
                Ok(cut)
            );
        }
    }
    host.meet().await.expect("others are not affected");
    assert_eq!(host.listener.usage().connections, 0, "dropped again");
}

#[tokio::test]
async fn the_connection_limit_is_named_and_a_place_comes_back() {
    let mut host = Host::new(|options| options.max_connections = 2);
    let first = host.meet().await.expect("room");
    let _second = host.meet().await.expect("room");
    match host.meet().await {
        Err(ConnectError::Refused {
            code: RefusalCode::ConnectionLimit,
            reason,
            ..
        }) => {
            assert!(
                reason.contains('2') && reason.contains("max_connections"),
                "{reason}"
            );
        }
        other => panic!("{other:?}"),
    }
    let each = 2 * Geometry::DEFAULT.outbox_bytes();
    assert_eq!(
        host.listener.usage(),
        Usage {
            connections: 2,
            shared_bytes: 2 * each
        }
    );
    drop(first);
    let _third = host.meet().await.expect("a place came back");
}

#[tokio::test]
async fn the_memory_limit_is_named_and_memory_comes_back() {
    let each = 2 * Geometry::DEFAULT.outbox_bytes();
    let mut host = Host::new(|options| options.max_shared_bytes = 2 * each + each / 2);
    let first = host.meet().await.expect("room");
    let _second = host.meet().await.expect("room");
    match host.meet().await {
        Err(ConnectError::Refused {
            code: RefusalCode::MemoryLimit,
            reason,
            ..
        }) => {
            assert!(reason.contains("max_shared_bytes"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    drop(first);
    let _third = host.meet().await.expect("memory came back");
}

/// A server that a test plays itself.
struct Pretender {
    runtime: Runtime,
    listener: OwnedFd,
}

impl Pretender {
    fn new() -> Self {
        let runtime = Runtime::new();
        let path = runtime.path().join(format!("{STEM}.sock"));
        let listener = socket::bind(&path).expect("a socket file");
        socket::listen(listener.as_fd(), 8).expect("listening");
        Self { runtime, listener }
    }

    /// Connects to a server that answers any hello with `answer` and hangs up.
    async fn answering(&self, answer: &[u8], descriptors: &[BorrowedFd<'_>]) -> ConnectError {
        let serving = async {
            let socket = loop {
                match socket::accept(self.listener.as_fd()) {
                    Err(Errno::AGAIN) => tokio::time::sleep(Duration::from_millis(1)).await,
                    accepted => break accepted.expect("a client"),
                }
            };
            read_message(socket.as_fd()).await.expect("a hello");
            if !answer.is_empty() {
                let sent = socket::send_with_descriptors(socket.as_fd(), answer, descriptors);
                assert_eq!(sent, Ok(answer.len()));
            }
        };
        let (refused, ()) = tokio::join!(self.runtime.meet(ADDRESS), serving);
        refused.expect_err("such a server is not met")
    }
}

fn welcome() -> Welcome {
    Welcome {
        version: VERSION,
        features: 0,
        outbox: Geometry::SMALLEST,
        streams: 1,
        window_bytes: 1,
        heap: None,
        references: None,
    }
}

#[tokio::test]
async fn each_fault_of_a_server_has_its_error() {
    let server = Pretender::new();
    let good = segment(Geometry::SMALLEST);
    let good = [good.descriptor()];
    let message = |welcome: Welcome| welcome.encode().expect("a welcome");

    let error = server.answering(b"", &[]).await;
    assert!(matches!(error, ConnectError::HungUp { .. }), "{error:?}");
    let error = server
        .answering(b"HTTP/1.1 400 Bad Request\r\n\r\n", &[])
        .await;
    let magic = HandshakeError::Magic(*b"HTTP/1.1");
    assert!(matches!(error, ConnectError::Handshake { source, .. } if source == magic));
    let error = server
        .answering(
            &message(Welcome {
                version: 2,
                ..welcome()
            }),
            &good,
        )
        .await;
    let version = HandshakeError::Version {
        oldest: 2,
        newest: 2,
    };
    assert!(matches!(error, ConnectError::Handshake { source, .. } if source == version));
    let error = server
        .answering(
            &message(Welcome {
                streams: 2000,
                ..welcome()
            }),
            &good,
        )
        .await;
    let streams = HandshakeError::Streams(2000);
    assert!(matches!(error, ConnectError::Handshake { source, .. } if source == streams));
    let error = server.answering(&encoded(&hello()), &good).await;
    assert!(matches!(error, ConnectError::Handshake { .. }), "{error:?}");

    let error = server.answering(&message(welcome()), &[]).await;
    assert!(
        matches!(error, ConnectError::Descriptor { .. }),
        "{error:?}"
    );
    let two = [good[0], good[0]];
    let error = server.answering(&message(welcome()), &two).await;
    assert!(
        matches!(error, ConnectError::Descriptor { .. }),
        "{error:?}"
    );
    let sparse = memfd(SEALS, 4096);
    let error = server
        .answering(&message(welcome()), &[sparse.as_fd()])
        .await;
    assert!(matches!(error, ConnectError::Inbox { .. }), "{error:?}");
    let huge = Geometry::new(8, 1 << 30).expect("a geometry");
    let error = server
        .answering(
            &message(Welcome {
                outbox: huge,
                ..welcome()
            }),
            &good,
        )
        .await;
    assert!(
        matches!(error, ConnectError::ServerOutbox { .. }),
        "{error:?}"
    );

    let refusal = Refusal {
        code: RefusalCode::Version,
        reason: "versions 2 to 3".into(),
    };
    let error = server.answering(&refusal.encode(), &[]).await;
    assert!(matches!(error, ConnectError::Version { .. }), "{error:?}");
    let refusal = Refusal {
        code: RefusalCode::Other(999),
        reason: "because".into(),
    };
    let error = server.answering(&refusal.encode(), &[]).await;
    assert!(error.to_string().contains("because"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let server = Pretender::new();
    let options = ConnectOptions {
        timeout: Duration::from_millis(50),
        ..server.runtime.connect_options()
    };
    let error = meet(&parse(ADDRESS), options)
        .await
        .expect_err("nobody answers");
    assert!(
        matches!(error, ConnectError::TimedOut { timeout_ms: 50, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("50 ms"), "{error}");
}

#[tokio::test]
async fn a_server_that_takes_nobody_is_given_up_as_well() {
    let runtime = Runtime::new();
    let path = runtime.path().join(format!("{STEM}.sock"));
    let listener = socket::bind(&path).expect("a socket file");
    socket::listen(listener.as_fd(), 0).expect("listening");
    let _waiting = socket::connect(&path).expect("the one that may wait");
    assert_eq!(
        socket::connect(&path).map(drop),
        Err(Errno::AGAIN),
        "the queue is full"
    );
    let options = ConnectOptions {
        timeout: Duration::from_millis(50),
        ..runtime.connect_options()
    };
    let error = meet(&parse(ADDRESS), options)
        .await
        .expect_err("nobody answers");
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn a_socket_moved_to_another_name_leads_nobody_astray() {
    let mut host = Host::new(|_| {});
    let path = |name: &str| host.runtime.path().join(name);
    std::fs::rename(path("name-host.sock"), path("name-bank.sock")).expect("the directory is ours");
    match host.runtime.meet("nowire:bank").await {
        Err(ConnectError::Refused {
            code: RefusalCode::WrongTarget,
            ..
        }) => {}
        other => panic!("{other:?}"),
    }
    assert!(host.taken.try_recv().is_err());
}
