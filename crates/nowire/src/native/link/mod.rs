//! One native connection in this process, the same on both sides: frames out,
//! frames in, and the heap of each side.
//!
//! Locks, in the order in which they may be taken: what the receiver of frames
//! has of its own, with the receiving side first, then `growing`, `held`, `tx`.

mod heap;
mod receiving;
mod sending;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use nowire_memory::heap::{Heap, Keeping, PeerHeap};
use nowire_memory::{OwnedSegment, PeerSegment};
use nowire_protocol::PeerMisbehaved;

pub(crate) use self::heap::AllocateError;
pub(crate) use self::receiving::{Receive, Rx};
pub(crate) use self::sending::Bell;
use self::sending::Tx;
use super::held::Held;
use crate::error::ConnectionError;
use crate::refs::References;
use crate::wait::Wait;
use crate::{Met, Peer};

pub(crate) struct Link {
    pub(crate) peer: Peer,
    pub(crate) streams: u32,
    label: Arc<str>,
    socket: OwnedFd,
    outbox: OwnedSegment,
    inbox: PeerSegment,
    over: OnceLock<ConnectionError>,
    tx: Mutex<Tx>,
    /// Something waits for room in the ring.
    room_wanted: AtomicBool,
    heap: Heap,
    peer_heap: PeerHeap,
    /// The next segment of the heap is announced by one thread at a time.
    growing: Mutex<()>,
    /// Runs of our heap that the peer reads beyond a call.
    held: Mutex<Held>,
    pub(crate) keeping: Keeping,
    /// Size in bytes from which the peer wants scopes sealed.
    pub(crate) seal_from_bytes: u32,
    piece_bytes: usize,
    charge: crate::Charge,
    /// How references pass, if the peer takes any.
    references: Option<Arc<References>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    /// The connection and its receiving side; none if the peer has no native calls.
    pub(crate) fn new(mut met: Met, wait: Wait, keeping: Keeping) -> Option<(Self, Rx)> {
        let references = References::new(&mut met);
        let heaps = met.heaps?;
        let rx = Rx::new(met.inbox_geometry, wait);
        let link = Self {
            label: met.peer.to_string().into(),
            peer: met.peer,
            streams: met.streams,
            socket: met.socket,
            over: OnceLock::new(),
            tx: Mutex::new(Tx::new(met.outbox_geometry)),
            room_wanted: AtomicBool::new(false),
            heap: heaps.own,
            peer_heap: heaps.peer,
            growing: Mutex::new(()),
            held: Mutex::default(),
            keeping,
            seal_from_bytes: heaps.seal_from_bytes,
            piece_bytes: met.outbox_geometry.piece_bytes(),
            outbox: met.outbox,
            inbox: met.inbox,
            charge: met.charge,
            references,
        };
        Some((link, rx))
    }

    pub(crate) fn label(&self) -> Arc<str> {
        Arc::clone(&self.label)
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(crate) fn peer_heap(&self) -> &PeerHeap {
        &self.peer_heap
    }

    pub(crate) fn heap(&self) -> &Heap {
        &self.heap
    }

    /// How references pass, if the peer takes any.
    pub(crate) fn references(&self) -> Option<&Arc<References>> {
        self.references.as_ref()
    }

    /// Why the connection is over, if it is.
    pub(crate) fn over(&self) -> Option<&ConnectionError> {
        self.over.get()
    }

    /// Ends the connection; the error of the first end counts.
    pub(crate) fn close(&self, error: ConnectionError) -> ConnectionError {
        if self.over.set(error).is_ok() {
            let error = self.over.get().expect("set just now");
            match error {
                ConnectionError::PeerMisbehaved { .. } => {
                    tracing::warn!(peer = %self.label, "{error}");
                }
                _ => tracing::debug!(peer = %self.label, "{error}"),
            }
            // Shows the peer our end at once, however long replies keep this alive.
            let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
            if let Some(references) = &self.references {
                references.end();
            }
        }
        self.over.get().expect("over").clone()
    }

    pub(crate) fn misbehaved(&self, what: PeerMisbehaved) -> ConnectionError {
        self.close(ConnectionError::PeerMisbehaved {
            peer: self.label(),
            what,
        })
    }

    pub(super) fn gone(&self) -> ConnectionError {
        self.close(ConnectionError::PeerGone { peer: self.label() })
    }

    /// Longest root and metadata of one message, together, in bytes.
    pub(crate) fn root_limit_bytes(&self) -> usize {
        self.piece_bytes
    }
}
