//! The client's side of the meeting.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use nowire_memory::heap::{HeapError, PeerHeapError};
use nowire_memory::socket;
use nowire_memory::{OwnedSegment, PeerSegment, SegmentError};
use nowire_protocol::geometry::Geometry;
use nowire_protocol::handshake::{
    FEATURES, HandshakeError, Hello, Kind, Refusal, RefusalCode, VERSION, VERSIONS, Welcome,
};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

use crate::address::{Address, AddressError};
use crate::announcement::{Place, socket_file};
use crate::budget::Charge;
use crate::exchange::{DescriptorError, Exchange, ExchangeError};
use crate::heap_options::{HeapOptions, Heaps};
use crate::met::Met;
use crate::names;
use crate::peer::Peer;
use crate::refs::{Agreed, RefOptions};
use crate::runtime_dir::{RuntimeDir, RuntimeDirError};
use crate::trust::Trust;

/// How often to try again while a server has more clients waiting than it takes.
const RETRY_STEP: Duration = Duration::from_millis(1);

/// How a client meets a server.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// Where to look for the server; by default what
    /// [`runtime_dir`](crate::runtime_dir()) says.
    pub runtime_dir: Option<PathBuf>,
    /// Users and groups whose servers are dealt with, besides this process's own
    /// user. Nobody by default.
    pub trusted: Trust,
    /// Shape of the client's outbox; 120 KiB by default. A larger one lets more
    /// be in flight, and is paid by the client.
    pub outbox: Geometry,
    /// Largest outbox the server may bring, in bytes; 64 MiB by default.
    pub server_outbox_limit_bytes: usize,
    /// Streams to ask for, to have open at once; 1024 by default. The server may
    /// grant fewer.
    pub streams: u32,
    /// Window granted to each stream at first, in bytes; 256 KiB by default.
    pub window_bytes: u32,
    /// Authority the calls are meant for; none by default.
    pub authority: String,
    /// What the client calls itself; nothing by default.
    pub user_agent: String,
    /// How long all of it may take; 2 s by default. A server that is stopped, or
    /// has too many clients waiting, costs as much.
    pub timeout: Duration,
    /// The heap of this side, for native calls; none by default.
    pub heap: Option<HeapOptions>,
    /// What this side does with references.
    pub references: RefOptions,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            runtime_dir: None,
            trusted: Trust::default(),
            outbox: Geometry::DEFAULT,
            server_outbox_limit_bytes: 64 << 20,
            streams: 1024,
            window_bytes: 256 << 10,
            authority: String::new(),
            user_agent: String::new(),
            timeout: Duration::from_secs(2),
            heap: None,
            references: RefOptions::default(),
        }
    }
}

/// Why a client did not meet a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No server is announced there: start it, enable Nowire in it, or set the
    /// same NOWIRE_RUNTIME_DIR for both.
    #[error(
        "{address} is not announced in {directory:?} ({sought}): start the server, or give both the same NOWIRE_RUNTIME_DIR"
    )]
    NotAnnounced {
        /// The address asked for.
        address: Address,
        /// The directory looked into.
        directory: PathBuf,
        /// What was looked for.
        sought: String,
    },
    /// Several servers of other network namespaces are announced there, and
    /// nothing tells which is meant.
    #[error(
        "{address} is announced from {count} network namespaces in {directory:?}: give each its own NOWIRE_RUNTIME_DIR, or use names"
    )]
    Ambiguous {
        /// The address asked for.
        address: Address,
        /// The directory looked into.
        directory: PathBuf,
        /// How many live servers there are.
        count: usize,
    },
    /// The server that was announced is dead: start it again.
    #[error("{address} was announced by a server that is dead ({path:?}): start it again")]
    Stale {
        /// The address asked for.
        address: Address,
        /// What the server left.
        path: PathBuf,
    },
    /// The server's socket may not be used by this user: the server must allow
    /// it, and the directory must let it in.
    #[error(
        "{address}: no access to {path:?}: the server allows users by ListenOptions::allowed, and they must be able to enter the directory"
    )]
    NoAccess {
        /// The address asked for.
        address: Address,
        /// The socket.
        path: PathBuf,
    },
    /// The server belongs to a user this client does not trust.
    #[error(
        "{peer} is not trusted: it runs as another user than this process (uid {own_uid}); trust it by ConnectOptions::trusted, or run both as one user"
    )]
    NotTrusted {
        /// The server.
        peer: Peer,
        /// This process's user.
        own_uid: u32,
    },
    /// The server said no, and why.
    #[error("{peer} refused ({code:?}): {reason}")]
    Refused {
        /// The server.
        peer: Peer,
        /// Why, for programs.
        code: RefusalCode,
        /// Why, for people.
        reason: String,
    },
    /// The server was found but did not answer in time: it is stopped, or busy.
    #[error(
        "{address} did not answer within {timeout_ms} ms: is the server stopped, or flooded by clients?"
    )]
    TimedOut {
        /// The address asked for.
        address: Address,
        /// The time it had, in milliseconds.
        timeout_ms: u128,
    },
    /// The two have no protocol version in common: update the older one.
    #[error(
        "{peer} speaks no protocol version this client speaks ({VERSION}): update the older one; it said: {reason}"
    )]
    Version {
        /// The server.
        peer: Peer,
        /// What the server said.
        reason: String,
    },
    /// The server hung up before it answered; it may have died, or be shutting
    /// down.
    #[error("{peer} hung up during the handshake: it died, or is shutting down")]
    HungUp {
        /// The server.
        peer: Peer,
    },
    /// The server said something that cannot be.
    #[error("{peer}: {source}: it is no Nowire server of this kind")]
    Handshake {
        /// The server.
        peer: Peer,
        /// What was wrong.
        source: HandshakeError,
    },
    /// The server's outbox came without exactly one descriptor.
    #[error("{peer}: {source}")]
    Descriptor {
        /// The server.
        peer: Peer,
        /// What was wrong.
        source: DescriptorError,
    },
    /// The server's outbox is larger than this client allows.
    #[error(
        "{peer} brings an outbox of {bytes} bytes: at most {limit_bytes} are allowed (ConnectOptions::server_outbox_limit_bytes)"
    )]
    ServerOutbox {
        /// The server.
        peer: Peer,
        /// Size of the server's outbox.
        bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// The server's outbox is not what it must be.
    #[error("outbox of {peer}: {source}")]
    Inbox {
        /// The server.
        peer: Peer,
        /// What was wrong.
        source: SegmentError,
    },
    /// This client's own outbox could not be made.
    #[error("own outbox: {0}")]
    Segment(#[from] SegmentError),
    /// The server makes no native calls: it is a gRPC server, or an older one.
    #[error("{peer} makes no native calls: connect to one that serves them with nowire::Server")]
    NotNative {
        /// The server.
        peer: Peer,
    },
    /// No heap could be made on this side.
    #[error("own heap: {0}")]
    Heap(#[from] HeapError),
    /// The server's heap has more addresses than this client allows.
    #[error(
        "{peer} has a heap window of {window_bytes} bytes: at most {limit_bytes} are allowed (HeapOptions::peer_window_limit_bytes)"
    )]
    ServerHeap {
        /// The server.
        peer: Peer,
        /// Size of the window.
        window_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The server's heap could not be given a place on this side.
    #[error("heap of {peer}: {source}")]
    PeerHeap {
        /// The server.
        peer: Peer,
        /// What is in the way.
        source: PeerHeapError,
    },
    /// An address nobody can be at.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// An option that cannot be sent.
    #[error("connect options: {0}")]
    Options(HandshakeError),
    /// There is no directory to look into.
    #[error(transparent)]
    RuntimeDir(#[from] RuntimeDirError),
    /// The system refused.
    #[error("{address}: {source}")]
    Io {
        /// The address asked for.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
}

/// Meets the server at `address`, within the time the options give.
///
/// # Errors
/// One for each thing that can be in the way; its message says what to do. No
/// call was made yet in any case, so another way to the server may be tried.
///
/// # Panics
/// Outside a tokio runtime.
pub async fn meet(address: &Address, options: ConnectOptions) -> Result<Met, ConnectError> {
    address.check()?;
    let timeout = options.timeout;
    match tokio::time::timeout(timeout, shake_hands(address, options)).await {
        Ok(result) => result,
        Err(_elapsed) => {
            let timeout_ms = timeout.as_millis();
            Err(ConnectError::TimedOut {
                address: address.clone(),
                timeout_ms,
            })
        }
    }
}

async fn shake_hands(address: &Address, options: ConnectOptions) -> Result<Met, ConnectError> {
    let io = |source| ConnectError::Io {
        address: address.clone(),
        source,
    };
    let Found { socket, stem } = find(address, &options).await?;
    let credentials = socket::peer_credentials(socket.as_fd()).map_err(|errno| io(errno.into()))?;
    let peer = Peer::new(credentials, address.to_string());
    if !options.trusted.includes(credentials, socket.as_fd()) {
        let own_uid = rustix::process::geteuid().as_raw();
        return Err(ConnectError::NotTrusted { peer, own_uid });
    }
    let mut outbox = OwnedSegment::create(&stem, options.outbox.outbox_bytes())?;
    let heap_limit_bytes = options.heap.map(|heap| heap.peer_window_limit_bytes);
    let heap = options
        .heap
        .map(|options| options.reserve(&stem))
        .transpose()?;
    let (heap, offer) = heap.unzip();
    let hello = Hello {
        versions: VERSIONS,
        features: FEATURES,
        outbox: options.outbox,
        streams: options.streams,
        window_bytes: options.window_bytes,
        authority: options.authority,
        user_agent: options.user_agent,
        target: stem,
        heap: offer,
        references: options.references.offer().map_err(io)?,
    };
    let message = hello.encode().map_err(ConnectError::Options)?;
    let exchange = Exchange::new(socket).map_err(io)?;
    // A server that hung up at once may have left a refusal to be read.
    match exchange.send(&message, Some(outbox.descriptor())).await {
        Err(error) if !is_hang_up(&error) => return Err(io(error)),
        _ => outbox.close_descriptor(),
    }
    let answer = match exchange.receive().await {
        Ok(answer) => answer,
        Err(ExchangeError::Handshake(source)) => {
            return Err(ConnectError::Handshake { peer, source });
        }
        Err(ExchangeError::Io(error)) if !is_hang_up(&error) => return Err(io(error)),
        Err(ExchangeError::Io(_) | ExchangeError::HungUp) => {
            return Err(ConnectError::HungUp { peer });
        }
    };
    let handshake = |source| ConnectError::Handshake {
        peer: peer.clone(),
        source,
    };
    let welcome = match answer.kind {
        Kind::Welcome => Welcome::decode(&answer.body, &hello).map_err(handshake)?,
        Kind::Refusal => return Err(refused(peer, &answer.body)),
        Kind::Hello => {
            return Err(handshake(HandshakeError::Kind {
                found: 1,
                expected: "a welcome or a refusal",
            }));
        }
    };
    let (bytes, limit_bytes) = (
        welcome.outbox.outbox_bytes(),
        options.server_outbox_limit_bytes,
    );
    if bytes > limit_bytes {
        return Err(ConnectError::ServerOutbox {
            peer,
            bytes,
            limit_bytes,
        });
    }
    let inbox = match answer.into_descriptor() {
        Ok(descriptor) => PeerSegment::map(descriptor, bytes),
        Err(source) => return Err(ConnectError::Descriptor { peer, source }),
    };
    let inbox = match inbox {
        Ok(inbox) => inbox,
        Err(source) => return Err(ConnectError::Inbox { peer, source }),
    };
    if let (Some(limit_bytes), Some(offer)) = (heap_limit_bytes, &welcome.heap)
        && offer.window_bytes > limit_bytes
    {
        return Err(ConnectError::ServerHeap {
            peer,
            window_bytes: offer.window_bytes,
            limit_bytes,
        });
    }
    let heaps = match heap.zip(welcome.heap) {
        Some((own, offer)) => match Heaps::new(own, &offer) {
            Ok(heaps) => Some(heaps),
            Err(source) => return Err(ConnectError::PeerHeap { peer, source }),
        },
        None => None,
    };
    let references = hello.references.zip(welcome.references);
    let references = references.map(|(own, peer)| Agreed {
        own,
        peer,
        options: options.references,
    });
    tracing::debug!(server = %peer, streams = welcome.streams, "connected");
    Ok(Met {
        socket: exchange.into_socket().map_err(io)?,
        outbox,
        inbox,
        outbox_geometry: options.outbox,
        inbox_geometry: welcome.outbox,
        streams: welcome.streams,
        send_window_bytes: welcome.window_bytes,
        receive_window_bytes: options.window_bytes,
        peer,
        authority: hello.authority,
        user_agent: hello.user_agent,
        charge: Charge::none(),
        heaps,
        references,
    })
}

fn is_hang_up(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN)
    )
}

fn refused(peer: Peer, body: &[u8]) -> ConnectError {
    match Refusal::decode(body) {
        Ok(Refusal {
            code: RefusalCode::Version,
            reason,
        }) => ConnectError::Version { peer, reason },
        Ok(Refusal { code, reason }) => ConnectError::Refused { peer, code, reason },
        Err(source) => ConnectError::Handshake { peer, source },
    }
}

/// A server that listens.
struct Found {
    socket: OwnedFd,
    stem: String,
}

/// What trying one socket led to.
enum Tried {
    Found(Found),
    Absent,
    Dead(PathBuf),
}

async fn find(address: &Address, options: &ConnectOptions) -> Result<Found, ConnectError> {
    let io = |source| ConnectError::Io {
        address: address.clone(),
        source,
    };
    let dir = RuntimeDir::locate(options.runtime_dir.as_deref())?;
    let directory = || dir.path().to_owned();
    let not_announced = |sought| ConnectError::NotAnnounced {
        address: address.clone(),
        directory: directory(),
        sought,
    };
    let search = names::sought(address).map_err(io)?;
    let place = match dir.open() {
        Ok(opened) => Place {
            path: directory(),
            directory: opened,
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(not_announced("there is no such directory".into()));
        }
        Err(source) => {
            return Err(RuntimeDirError::Io {
                path: directory(),
                source,
            }
            .into());
        }
    };
    let mut dead = None;
    for stem in &search.stems {
        match try_stem(address, &place, stem).await? {
            Tried::Found(found) => return Ok(found),
            Tried::Dead(path) => dead = dead.or(Some(path)),
            Tried::Absent => {}
        }
    }
    let mut found = Vec::new();
    if let Some(prefix) = &search.foreign_prefix {
        for stem in place.stems(prefix).map_err(io)? {
            match try_stem(address, &place, &stem).await? {
                Tried::Found(server) => found.push(server),
                Tried::Dead(path) => dead = dead.or(Some(path)),
                Tried::Absent => {}
            }
        }
    }
    match (found.pop(), found.len()) {
        (Some(server), 0) => Ok(server),
        (Some(_), others) => Err(ConnectError::Ambiguous {
            address: address.clone(),
            directory: directory(),
            count: others + 1,
        }),
        (None, _) => match dead {
            Some(path) => Err(ConnectError::Stale {
                address: address.clone(),
                path,
            }),
            None => Err(not_announced(what_was_sought(&search))),
        },
    }
}

fn what_was_sought(search: &names::Search) -> String {
    match &search.foreign_prefix {
        Some(prefix) => format!("looked for {prefix}*.sock"),
        None if search.stems.is_empty() => "the Unix socket itself does not exist".into(),
        None => format!("looked for {}.sock", search.stems.join(".sock, ")),
    }
}

async fn try_stem(address: &Address, place: &Place, stem: &str) -> Result<Tried, ConnectError> {
    let file = socket_file(stem);
    let reach = place.reach(&file);
    let path = || place.path.join(&file);
    loop {
        match socket::connect(&reach) {
            Ok(socket) => {
                return Ok(Tried::Found(Found {
                    socket,
                    stem: stem.to_owned(),
                }));
            }
            Err(Errno::NOENT) => return Ok(Tried::Absent),
            Err(Errno::CONNREFUSED) => return Ok(Tried::Dead(path())),
            // As many clients as the kernel lets wait are waiting.
            Err(Errno::AGAIN) => tokio::time::sleep(RETRY_STEP).await,
            Err(Errno::ACCESS | Errno::PERM) => {
                return Err(ConnectError::NoAccess {
                    address: address.clone(),
                    path: path(),
                });
            }
            Err(errno) => {
                return Err(ConnectError::Io {
                    address: address.clone(),
                    source: errno.into(),
                });
            }
        }
    }
}
