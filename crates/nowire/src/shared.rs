//! The state of one connection in this process, its beginning and its end. What
//! passes through it is in `sending`, `receiving` and `looking`.
//!
//! Locks, in the order in which they may be taken: `rx`, `table`, a stream's
//! state, `tx`. Wakers are woken with `rx` held at most.
//!
//! Somebody always looks after what comes in: while the sleeping word is down
//! the driver waits for the doorbell; while it is up, either a task is looking
//! (`Rx::lookers`) or the driver is hot and will be polled again.

use std::future::Future;
use std::mem::take;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use nowire_memory::{OwnedSegment, PeerSegment};
use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{ResetCode, StreamId};
use nowire_protocol::stream::{Inbound, Outbound, Side};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::cell::StreamCell;
use crate::descriptors::{Descriptors, UNREAD_REFERENCES};
use crate::error::{ConnectionError, StreamError};
use crate::pool::Pool;
use crate::receiving::Rx;
use crate::refs::References;
use crate::sending::Tx;
use crate::table::Table;
use crate::wait::Wait;
use crate::watched::{self, Watched};
use crate::{Met, Peer};

/// Frames taken off the ring at a time, before the tasks they are for get a turn.
pub(crate) const BATCH: usize = 64;
pub(crate) struct Shared {
    pub(crate) side: Side,
    pub(crate) peer: Peer,
    pub(crate) socket: Watched,
    /// `Some` once the connection is over.
    pub(crate) over: OnceLock<ConnectionError>,
    /// No further streams: a server that shuts down, or its client.
    pub(crate) draining: AtomicBool,
    /// Server: the client has said that no further streams will come.
    pub(crate) drained: AtomicBool,
    /// Handlers that run in tasks of their own.
    pub(crate) handlers: AtomicUsize,
    pub(crate) receive_window_bytes: u32,
    pub(crate) streams: u32,
    label: Arc<str>,
    pub(crate) send_window_bytes: u32,
    piece_bytes: usize,
    pub(crate) outbox: OwnedSegment,
    pub(crate) inbox: PeerSegment,
    /// The executor has one thread.
    pub(crate) single_thread: bool,
    /// How many tasks may look at rings at the same time.
    pub(crate) lookers: usize,
    pub(crate) pool: Arc<Pool>,
    tx: Mutex<Tx>,
    rx: Mutex<Rx>,
    table: Mutex<Table>,
    /// Client: told of each stream that may be opened again.
    vacancies: Arc<Notify>,
    pub(crate) arrivals: Mutex<Vec<Arc<StreamCell>>>,
    driver: Mutex<Option<Waker>>,
    /// What passes references, if both sides take some.
    pub(crate) references: Option<Arc<References>>,
    descriptors: Mutex<Descriptors>,
    /// Somebody waits for room in the ring.
    pub(crate) room_wanted: AtomicBool,
    /// The kernel did not take descriptors that the peer waits for.
    pub(crate) owes: AtomicBool,
    _charge: crate::budget::Charge,
}

/// A place in the queue of those who want to open a stream; given up when
/// dropped.
#[derive(Debug, Default)]
pub struct Vacancy(Option<Pin<Box<OwnedNotified>>>);

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.label)
            .field("over", &self.over.get())
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(side: Side, mut met: Met, wait: Wait) -> Result<Arc<Self>, ConnectionError> {
        let label: Arc<str> = met.peer.to_string().into();
        let references = References::new(&mut met);
        let socket = watched::watch(met.socket).map_err(|error| ConnectionError::Socket {
            peer: Arc::clone(&label),
            error: error.into(),
        })?;
        Ok(Arc::new(Self {
            references,
            descriptors: Mutex::new(Descriptors::new(UNREAD_REFERENCES)),
            side,
            socket,
            over: OnceLock::new(),
            draining: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            handlers: AtomicUsize::new(0),
            receive_window_bytes: met.receive_window_bytes,
            send_window_bytes: met.send_window_bytes,
            streams: met.streams,
            piece_bytes: met.outbox_geometry.piece_bytes(),
            label,
            peer: met.peer,
            single_thread: crate::wait::threads() == 1,
            lookers: crate::wait::lookers(),
            pool: Pool::new(met.inbox_geometry.piece_bytes()),
            tx: Mutex::new(Tx::new(met.outbox_geometry)),
            rx: Mutex::new(Rx::new(met.inbox_geometry, wait)),
            table: Mutex::new(Table::new(met.streams)),
            vacancies: Arc::new(Notify::new()),
            arrivals: Mutex::new(Vec::new()),
            driver: Mutex::new(None),
            room_wanted: AtomicBool::new(false),
            owes: AtomicBool::new(false),
            outbox: met.outbox,
            inbox: met.inbox,
            _charge: met.charge,
        }))
    }

    /// Largest payload of a frame to the peer, in bytes.
    pub(crate) fn piece_bytes(&self) -> usize {
        self.piece_bytes
    }

    pub(crate) fn label(&self) -> Arc<str> {
        Arc::clone(&self.label)
    }

    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tx(&self) -> MutexGuard<'_, Tx> {
        self.tx.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn descriptors(&self) -> MutexGuard<'_, Descriptors> {
        self.descriptors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn try_rx(&self) -> Option<MutexGuard<'_, Rx>> {
        match self.rx.try_lock() {
            Ok(rx) => Some(rx),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }

    /// Streams open now.
    pub(crate) fn open_streams(&self) -> usize {
        self.table().open()
    }

    /// Client: opens a stream, when one of the allowed number is free.
    pub(crate) fn poll_open(
        &self,
        vacancy: &mut Vacancy,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Arc<StreamCell>, ConnectionError>> {
        loop {
            if let Some(opened) = self.try_open() {
                vacancy.0 = None;
                return Poll::Ready(opened);
            }
            let waiting = vacancy
                .0
                .get_or_insert_with(|| Box::pin(Arc::clone(&self.vacancies).notified_owned()));
            if waiting.as_mut().poll(cx).is_ready() {
                vacancy.0 = None;
                continue;
            }
            // One may have become free before we were in the queue.
            return match self.try_open() {
                Some(opened) => {
                    vacancy.0 = None;
                    Poll::Ready(opened)
                }
                None => Poll::Pending,
            };
        }
    }

    /// None while as many streams are open as may be.
    fn try_open(&self) -> Option<Result<Arc<StreamCell>, ConnectionError>> {
        if let Some(over) = self.over.get() {
            return Some(Err(over.clone()));
        }
        if self.draining.load(Ordering::Acquire) {
            return Some(Err(ConnectionError::GoingAway { peer: self.label() }));
        }
        let cell = self.table().open_next(|id| self.new_cell(id))?;
        // The connection may have ended between the look and the entry.
        match self.over.get() {
            Some(over) => Some(Err(over.clone())),
            None => Some(Ok(cell)),
        }
    }

    pub(crate) fn new_cell(&self, id: StreamId) -> Arc<StreamCell> {
        let from = match self.side {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        };
        let inbound = Inbound::new(id, from, self.receive_window_bytes);
        let outbound = Outbound::new(id, self.send_window_bytes);
        let cell = StreamCell::new(id, inbound, outbound, self.references.clone());
        if self.side == Side::Server {
            cell.announced();
        }
        Arc::new(cell)
    }

    /// Takes a stream out of the table: what still comes for it is ignored.
    pub(crate) fn forget(&self, stream: StreamId) -> bool {
        let mut table = self.table();
        let was_open = table.close(stream);
        if was_open {
            self.vacate(table, stream);
        }
        was_open
    }

    /// Lets the place of a stream that was closed be used again.
    pub(crate) fn vacate(&self, mut table: MutexGuard<'_, Table>, stream: StreamId) {
        if self.side == Side::Client {
            table.vacate(stream);
        }
        let last = table.open() == 0;
        drop(table);
        if self.side == Side::Client {
            self.vacancies.notify_one();
        }
        if last && self.draining.load(Ordering::Acquire) {
            self.wake_driver();
        }
    }

    /// Ends the stream on both sides, if it is still open.
    pub(crate) fn reset(&self, cell: &StreamCell, code: ResetCode) {
        let was_open = self.table().close(cell.id);
        if was_open {
            // Whoever gives a stream up because the connection is over may do so before
            // that has reached the stream: what counts is why.
            cell.fail(match self.over.get() {
                Some(over) => StreamError::Connection(over.clone()),
                None => StreamError::Reset(code),
            });
            self.send_reset(cell, code);
            // Not before: the next call in this place must not overtake the reset.
            self.vacate(self.table(), cell.id);
        }
    }

    /// Ends the connection: every pending call fails with `error`.
    pub(crate) fn close(&self, error: ConnectionError) -> ConnectionError {
        if self.over.set(error).is_ok() {
            let error = self.over.get().expect("set just now");
            match error {
                ConnectionError::PeerMisbehaved { .. } => {
                    tracing::warn!(peer = %self.label, "{error}")
                }
                _ => tracing::debug!(peer = %self.label, "{error}"),
            }
            let mut table = self.table();
            let cells = table.close_all();
            drop(table);
            for cell in cells {
                cell.fail(StreamError::Connection(error.clone()));
            }
            self.room_wanted.store(false, Ordering::Relaxed);
            self.owes.store(false, Ordering::Relaxed);
            self.vacancies.notify_waiters();
            let mut tx = self.tx();
            let (waiters, owed) = (take(&mut tx.room_waiters), take(&mut tx.owed));
            drop(tx);
            drop(owed);
            waiters.into_iter().for_each(|(waker, _)| waker.wake());
            // Shows the peer our end at once, however long streams keep this alive.
            let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
            if let Some(references) = &self.references {
                references.end();
            }
            self.wake_driver();
        }
        self.over.get().expect("over").clone()
    }

    pub(crate) fn misbehaved(&self, what: PeerMisbehaved) -> ConnectionError {
        self.close(ConnectionError::PeerMisbehaved {
            peer: self.label(),
            what,
        })
    }

    /// Ends the connection because of what the peer did.
    pub(crate) fn cut_off(&self, what: PeerMisbehaved) {
        self.misbehaved(what);
    }

    pub(crate) fn wake_driver(&self) {
        let waker = self
            .driver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn register_driver(&self, waker: &Waker) {
        let mut driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *driver {
            Some(registered) if registered.will_wake(waker) => {}
            place => *place = Some(waker.clone()),
        }
    }
}
