//! The server's side of the meeting.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nowire_protocol::geometry::Geometry;
use nowire_protocol::handshake::{STREAMS, WINDOW_BYTES};
use rustix::io::Errno;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::address::{Address, AddressError};
use crate::announcement::{Announcement, Place, PublishError};
use crate::budget::{Budget, Usage};
use crate::heap_options::HeapOptions;
use crate::met::Met;
use crate::names;
use crate::refs::RefOptions;
use crate::runtime_dir::{RuntimeDir, RuntimeDirError};
use crate::trust::Trust;
use crate::welcoming::{self, Door, House};

/// How long not to take clients when there are no descriptors left.
const STARVED_PAUSE: Duration = Duration::from_millis(100);

/// How a server meets its clients.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Where to announce the server; by default what
    /// [`runtime_dir`](crate::runtime_dir()) says.
    pub runtime_dir: Option<PathBuf>,
    /// Users and groups whose processes may connect, besides the server's own
    /// user. Nobody by default. They must be able to enter the runtime directory.
    pub allowed: Trust,
    /// Shape of the outbox the server makes for each connection; 120 KiB by
    /// default. A larger one lets more be in flight, and is paid by the server.
    pub outbox: Geometry,
    /// Largest outbox a client may bring, in bytes; 16 MiB by default. It is paid
    /// by the client, but takes address space here.
    pub client_outbox_limit_bytes: usize,
    /// Most streams a client may have open at once; 1024 by default. Each may
    /// hold a window of memory.
    pub max_streams: u32,
    /// Window granted to each stream at first, in bytes; 256 KiB by default. A
    /// small one slows large messages down, a large one lets streams that nobody
    /// reads hold more memory.
    pub window_bytes: u32,
    /// Most connections at a time; 4096 by default. Each takes one descriptor.
    pub max_connections: usize,
    /// Most shared memory of all connections together, both sides counted, in
    /// bytes; 1 GiB by default.
    pub max_shared_bytes: usize,
    /// Most clients that may be shaking hands at a time; 64 by default. Others
    /// wait in the kernel until one is done or out of time.
    pub max_handshakes: usize,
    /// How long a client may take to shake hands; 2 s by default.
    pub handshake_timeout: Duration,
    /// The heap of this side, for native calls; none by default. With one, only
    /// clients that make native calls are served.
    pub heap: Option<HeapOptions>,
    /// What this side does with references.
    pub references: RefOptions,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            runtime_dir: None,
            allowed: Trust::default(),
            outbox: Geometry::DEFAULT,
            client_outbox_limit_bytes: 16 << 20,
            max_streams: 1024,
            window_bytes: 256 << 10,
            max_connections: 4096,
            max_shared_bytes: 1 << 30,
            max_handshakes: 64,
            handshake_timeout: Duration::from_secs(2),
            heap: None,
            references: RefOptions::default(),
        }
    }
}

/// Why a server cannot be met.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// There is nothing to announce.
    #[error("no address to listen at")]
    NoAddress,
    /// An address nobody can be at.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// There is no directory to announce the server in.
    #[error(transparent)]
    RuntimeDir(#[from] RuntimeDirError),
    /// A setting out of its range.
    #[error("{setting} is {value}: must be from {least} to {most}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: usize,
        /// The least it may be.
        least: usize,
        /// The most it may be.
        most: usize,
    },
    /// Another server is announced under this address. Stop it, or take another.
    #[error("{address} is announced by another server{} ({path:?})", with_pid(*.pid))]
    InUse {
        /// The address.
        address: Address,
        /// Its socket.
        path: PathBuf,
        /// The other server's process, if it could be seen.
        pid: Option<u32>,
    },
    /// An address cannot be looked up: a Unix socket must be bound before it is
    /// announced.
    #[error("{address} cannot be announced: {source}")]
    Unresolved {
        /// The address.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused.
    #[error("{path:?}: {source}")]
    Io {
        /// What it was about.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// This was called outside a tokio runtime.
    #[error("no tokio runtime here: call this from within one")]
    NoRuntime,
}

fn with_pid(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

/// Why no further client can be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The socket cannot be listened at any more. Make a new listener.
    #[error("listening failed: {0}")]
    Io(#[from] io::Error),
}

/// A server, announced in the runtime directory. Dropping it takes the
/// announcement back and cuts short the handshakes going on; connections made
/// live on.
#[derive(Debug)]
pub struct Listener {
    doors: Vec<OpenDoor>,
    house: Arc<House>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct OpenDoor {
    // Dropped first: it knows its file by an inode that the socket keeps alive.
    _announcement: Announcement,
    socket: UnixListener,
    door: Arc<Door>,
}

#[derive(Debug, Default)]
struct State {
    handshakes: JoinSet<Option<Met>>,
    /// The door to look at first.
    turn: usize,
    /// Set while descriptors are lacking.
    starved_until: Option<Instant>,
}

impl Listener {
    /// Announces a server at all of `addresses`, so that clients find it until
    /// the listener is dropped. Also removes what dead servers of this user left
    /// behind. May block for up to a second when another server is just
    /// beginning or ending at one of the addresses.
    ///
    /// # Errors
    /// If any address is in use or cannot be announced; then none is.
    pub fn bind(addresses: &[Address], options: ListenOptions) -> Result<Self, ListenError> {
        if addresses.is_empty() {
            return Err(ListenError::NoAddress);
        }
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(ListenError::NoRuntime);
        }
        check_range("max_streams", options.max_streams, STREAMS)?;
        check_range("window_bytes", options.window_bytes, WINDOW_BYTES)?;
        let max_handshakes = u32::try_from(options.max_handshakes).unwrap_or(u32::MAX);
        check_range("max_handshakes", max_handshakes, 1..=u32::MAX)?;
        let dir = RuntimeDir::locate(options.runtime_dir.as_deref())?;
        let place = Arc::new(Place {
            path: dir.path().to_owned(),
            directory: dir.prepare()?,
        });
        let doors = open_doors(&place, addresses, !options.allowed.is_own_user_only())?;
        place.sweep();
        let limit = Usage {
            connections: options.max_connections,
            shared_bytes: options.max_shared_bytes,
        };
        let house = Arc::new(House {
            options,
            budget: Budget::new(limit),
        });
        Ok(Self {
            doors,
            house,
            state: Mutex::default(),
        })
    }

    /// The next client whose handshake is done. Handshakes go on side by side,
    /// so a slow or silent client does not hold up others; a client that is
    /// refused is told why, and is not returned here.
    ///
    /// Safe to cancel. Several tasks may call it; each client goes to one.
    ///
    /// # Errors
    /// If listening itself failed.
    pub async fn accept(&self) -> Result<Met, AcceptError> {
        let mut state = self.state.lock().await;
        let state = &mut *state;
        loop {
            let busy = !state.handshakes.is_empty();
            let room = state.handshakes.len() < self.house.options.max_handshakes;
            let starved_until = state.starved_until;
            tokio::select! {
                biased;
                Some(done) = state.handshakes.join_next(), if busy => match done {
                    Ok(Some(met)) => return Ok(met),
                    Ok(None) => {}
                    Err(error) => tracing::error!(%error, "handshake ended unexpectedly"),
                },
                () = until(starved_until), if starved_until.is_some() => state.starved_until = None,
                client = next_client(&self.doors, &mut state.turn),
                    if room && starved_until.is_none() =>
                {
                    match client {
                        Ok((client, door)) => {
                            let handshake = welcoming::welcome(client, door, Arc::clone(&self.house));
                            state.handshakes.spawn(handshake);
                        }
                        Err(error) => state.starved_until = Some(starved(error)?),
                    }
                }
            }
        }
    }

    /// What the connections of this listener hold at the moment.
    pub fn usage(&self) -> Usage {
        self.house.budget.usage()
    }
}

fn check_range(
    setting: &'static str,
    value: u32,
    range: std::ops::RangeInclusive<u32>,
) -> Result<(), ListenError> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = (*range.start() as usize, *range.end() as usize);
    Err(ListenError::Setting {
        setting,
        value: value as usize,
        least,
        most,
    })
}

fn open_doors(
    place: &Arc<Place>,
    addresses: &[Address],
    open_to_others: bool,
) -> Result<Vec<OpenDoor>, ListenError> {
    let mut doors = Vec::new();
    let mut announced = BTreeSet::new();
    for address in addresses {
        address.check()?;
        let stems = names::announced(address).map_err(|source| ListenError::Unresolved {
            address: address.clone(),
            source,
        })?;
        for stem in stems {
            // `[::]:1` and `0.0.0.0:1` together are one too many, and meant well.
            if !announced.insert(stem.clone()) {
                continue;
            }
            let door = Arc::new(Door {
                stem: stem.clone(),
                address: address.clone(),
            });
            let published = Announcement::publish(place, stem, open_to_others);
            let (announcement, socket) = published.map_err(|error| match error {
                PublishError::InUse { path, pid } => ListenError::InUse {
                    address: address.clone(),
                    path,
                    pid,
                },
                PublishError::Io { path, source } => ListenError::Io { path, source },
            })?;
            let socket =
                UnixListener::from_std(socket.into()).map_err(|source| ListenError::Io {
                    path: place.path.clone(),
                    source,
                })?;
            doors.push(OpenDoor {
                _announcement: announcement,
                socket,
                door,
            });
        }
    }
    Ok(doors)
}

/// The next client at any of the doors, in turn.
async fn next_client(doors: &[OpenDoor], turn: &mut usize) -> io::Result<(UnixStream, Arc<Door>)> {
    std::future::poll_fn(|cx| {
        for step in 0..doors.len() {
            let index = (*turn + step) % doors.len();
            let open = &doors[index];
            if let Poll::Ready(result) = poll_accept(&open.socket, cx) {
                *turn = index + 1;
                return Poll::Ready(result.map(|client| (client, Arc::clone(&open.door))));
            }
        }
        Poll::Pending
    })
    .await
}

fn poll_accept(listener: &UnixListener, cx: &mut Context<'_>) -> Poll<io::Result<UnixStream>> {
    loop {
        match ready!(listener.poll_accept(cx)) {
            Err(error) if is_clients_failure(&error) => {}
            accepted => return Poll::Ready(accepted.map(|(client, _address)| client)),
        }
    }
}

/// Whether only the client that was to be taken is lost.
fn is_clients_failure(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::CONNABORTED | Errno::INTR | Errno::PROTO | Errno::PERM)
    )
}

/// Until when to take no clients, if the system lacks something that may come
/// back; the error itself otherwise.
fn starved(error: io::Error) -> Result<Instant, AcceptError> {
    match Errno::from_io_error(&error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
            tracing::warn!(%error, "cannot take clients for now; raise the limit of open files?");
            Ok(Instant::now() + STARVED_PAUSE)
        }
        _ => Err(error.into()),
    }
}

async fn until(instant: Option<Instant>) {
    if let Some(instant) = instant {
        pin!(tokio::time::sleep_until(instant)).await;
    }
}
