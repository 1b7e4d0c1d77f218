//! The state of one connection in this process, and what passes through it.
//!
//! Locks, in the order in which they may be taken: `rx`, `table`, a stream's
//! state, `tx`. Wakers are woken with `rx` held at most.
//!
//! Somebody always looks after what comes in: while the sleeping word is down
//! the driver waits for the doorbell; while it is up, either a task is looking
//! (`Rx::lookers`) or the driver is hot and will be polled again.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use nowire_memory::socket;
use nowire_memory::{OwnedSegment, PeerSegment};
use nowire_protocol::PeerMisbehaved;
use nowire_protocol::bell::{Ringer, Sleeper};
use nowire_protocol::frame::{Frame, Parts, ResetCode, StreamId};
use nowire_protocol::geometry::{SLEEPING_OFFSET, WANTS_ROOM_OFFSET};
use nowire_protocol::ring::{Consumer, Control, Outgoing, Producer};
use nowire_protocol::stream::{Inbound, Outbound, Side};
use smallvec::smallvec;
use tokio::net::UnixStream;

use crate::cell::{Block, Data, Half, StreamCell, StreamState};
use crate::error::{ConnectionError, StreamError};
use crate::pool::Pool;
use crate::table::{Found, Table};
use crate::wait::{BURST, Hot, Wait, Waiting, Window};
use crate::{Met, Peer};

/// Frames taken off the ring at a time, before the tasks they are for get a turn.
pub(crate) const BATCH: usize = 64;
/// Looks at the ring between two looks at the clock.
const LOOKS: u32 = 32;
/// Frames that may wait for a slot in the ring; an honest peer causes a few for
/// each stream.
const UNSENT_PER_STREAM: usize = 4;

pub(crate) struct Shared {
    pub(crate) side: Side,
    pub(crate) peer: Peer,
    pub(crate) socket: UnixStream,
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
    send_window_bytes: u32,
    piece_bytes: usize,
    outbox: OwnedSegment,
    inbox: PeerSegment,
    /// How many tasks may look at rings at the same time.
    lookers: usize,
    pool: Arc<Pool>,
    tx: Mutex<Tx>,
    rx: Mutex<Rx>,
    table: Mutex<Table>,
    arrivals: Mutex<Vec<Arc<StreamCell>>>,
    driver: Mutex<Option<Waker>>,
    /// Somebody waits for room in the ring.
    room_wanted: AtomicBool,
    _charge: crate::budget::Charge,
}

/// The sending side.
pub(crate) struct Tx {
    producer: Producer,
    bell: Ringer,
    wants_room: Sleeper,
    room_waiters: Vec<(Waker, Waiting)>,
    unsent: Vec<Control>,
    /// Client: the server takes no further streams.
    going_away: bool,
}

/// The receiving side.
pub(crate) struct Rx {
    pub(crate) consumer: Consumer,
    pub(crate) sleeper: Sleeper,
    pub(crate) window: Window,
    /// When the wait began that is going on now.
    pub(crate) waiting_since: Option<Instant>,
    /// The driver keeps looking.
    pub(crate) hot: Option<Hot>,
    /// Tasks that are looking.
    lookers: u32,
    room_bell: Ringer,
    scratch: Vec<u8>,
    /// Pings sent and not answered: at most one.
    pub(crate) ping: Option<u64>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("peer", &self.label)
            .field("over", &self.over.get())
            .finish_non_exhaustive()
    }
}

impl Rx {
    /// Whether a frame is there.
    pub(crate) fn consumer_is_ready(&self, shared: &Shared) -> bool {
        self.consumer.is_ready(&shared.inbox)
    }
}

impl Shared {
    pub(crate) fn new(side: Side, met: Met, wait: Wait) -> Result<Arc<Self>, ConnectionError> {
        let label: Arc<str> = met.peer.to_string().into();
        let socket =
            UnixStream::from_std(met.socket.into()).map_err(|error| ConnectionError::Socket {
                peer: Arc::clone(&label),
                error: error.into(),
            })?;
        Ok(Arc::new(Self {
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
            lookers: crate::wait::lookers(),
            pool: Pool::new(met.inbox_geometry.piece_bytes()),
            tx: Mutex::new(Tx {
                producer: Producer::new(met.outbox_geometry),
                bell: Ringer::new(SLEEPING_OFFSET),
                wants_room: Sleeper::new(WANTS_ROOM_OFFSET),
                room_waiters: Vec::new(),
                unsent: Vec::new(),
                going_away: false,
            }),
            rx: Mutex::new(Rx {
                consumer: Consumer::new(met.inbox_geometry),
                sleeper: Sleeper::new(SLEEPING_OFFSET),
                window: Window::new(wait),
                waiting_since: None,
                hot: None,
                lookers: 0,
                room_bell: Ringer::new(WANTS_ROOM_OFFSET),
                scratch: Vec::new(),
                ping: None,
            }),
            table: Mutex::new(Table::new(met.streams)),
            arrivals: Mutex::new(Vec::new()),
            driver: Mutex::new(None),
            room_wanted: AtomicBool::new(false),
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

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tx(&self) -> MutexGuard<'_, Tx> {
        self.tx.lock().unwrap_or_else(PoisonError::into_inner)
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
        cx: &mut Context<'_>,
    ) -> Poll<Result<Arc<StreamCell>, ConnectionError>> {
        if let Some(over) = self.over.get() {
            return Poll::Ready(Err(over.clone()));
        }
        if self.draining.load(Ordering::Acquire) {
            return Poll::Ready(Err(ConnectionError::GoingAway { peer: self.label() }));
        }
        let mut table = self.table();
        match table.open_next(|id| self.new_cell(id)) {
            Some(cell) => {
                drop(table);
                // The connection may have ended between the look and the entry.
                match self.over.get() {
                    Some(over) => Poll::Ready(Err(over.clone())),
                    None => Poll::Ready(Ok(cell)),
                }
            }
            None => {
                table.waiters.push(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn new_cell(&self, id: StreamId) -> Arc<StreamCell> {
        let from = match self.side {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        };
        let inbound = Inbound::new(id, from, self.receive_window_bytes);
        Arc::new(StreamCell::new(
            id,
            inbound,
            Outbound::new(id, self.send_window_bytes),
        ))
    }

    /// Takes a stream out of the table: what still comes for it is ignored.
    pub(crate) fn forget(&self, stream: StreamId) -> bool {
        let mut table = self.table();
        let was_open = table.close(stream, self.side == Side::Client);
        let waiters = if was_open {
            std::mem::take(&mut table.waiters)
        } else {
            Vec::new()
        };
        let last = was_open && table.open() == 0;
        drop(table);
        waiters.into_iter().for_each(Waker::wake);
        if last && self.draining.load(Ordering::Acquire) {
            self.wake_driver();
        }
        was_open
    }

    /// Ends the stream on both sides, if it is still open.
    pub(crate) fn reset(&self, cell: &StreamCell, code: ResetCode) {
        if self.forget(cell.id) {
            cell.fail(StreamError::Reset(code));
            // A connection that is over needs no reset.
            let _ = self.send_control(Control::Reset {
                stream: cell.id,
                code,
            });
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
            let mut wakers = std::mem::take(&mut table.waiters);
            drop(table);
            for cell in cells {
                cell.fail(StreamError::Connection(error.clone()));
            }
            self.room_wanted.store(false, Ordering::Relaxed);
            wakers.extend(self.tx().room_waiters.drain(..).map(|(waker, _)| waker));
            wakers.into_iter().for_each(Waker::wake);
            // Shows the peer our end at once, however long streams keep this alive.
            let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
            self.wake_driver();
        }
        self.over.get().expect("over").clone()
    }

    fn misbehaved(&self, what: PeerMisbehaved) -> ConnectionError {
        self.close(ConnectionError::PeerMisbehaved {
            peer: self.label(),
            what,
        })
    }

    /// Ends the connection because of what the peer did.
    pub(crate) fn cut_off(&self, what: PeerMisbehaved) {
        self.misbehaved(what);
    }

    /// Puts one frame of a stream into the ring; false if there is no room.
    pub(crate) fn send_parts(
        &self,
        stream: StreamId,
        parts: &Outgoing<'_>,
    ) -> Result<bool, ConnectionError> {
        if let Some(over) = self.over.get() {
            return Err(over.clone());
        }
        let mut tx = self.tx();
        if parts.head.is_some() && tx.going_away {
            return Err(ConnectionError::GoingAway { peer: self.label() });
        }
        let sent = self.flush_unsent(&mut tx).and_then(|flushed| {
            Ok(flushed
                && tx
                    .producer
                    .push_parts(&self.outbox, &self.inbox, stream, parts)?)
        });
        self.after_push(tx, sent)
    }

    /// Puts a control frame into the ring, or keeps it until there is room.
    pub(crate) fn send_control(&self, control: Control) -> Result<(), ConnectionError> {
        if let Some(over) = self.over.get() {
            return Err(over.clone());
        }
        let mut tx = self.tx();
        let sent = self.flush_unsent(&mut tx).and_then(|flushed| {
            Ok(flushed
                && tx
                    .producer
                    .push_control(&self.outbox, &self.inbox, control)?)
        });
        if let Ok(false) = sent {
            if tx.unsent.len() > self.streams as usize * UNSENT_PER_STREAM + BATCH {
                drop(tx);
                // Only a peer that makes us answer and never reads gets here.
                let frames = self.streams as usize * UNSENT_PER_STREAM + BATCH;
                return Err(self.close(ConnectionError::PeerStuck {
                    peer: self.label(),
                    frames,
                }));
            }
            tx.unsent.push(control);
            self.room_wanted.store(true, Ordering::Relaxed);
            tx.wants_room.lie_down(&self.outbox);
        }
        self.after_push(tx, sent).map(|_| ())
    }

    fn flush_unsent(&self, tx: &mut Tx) -> Result<bool, PeerMisbehaved> {
        let mut flushed = 0;
        for control in &tx.unsent {
            if !tx
                .producer
                .push_control(&self.outbox, &self.inbox, *control)?
            {
                break;
            }
            flushed += 1;
        }
        tx.unsent.drain(..flushed);
        Ok(tx.unsent.is_empty())
    }

    fn after_push(
        &self,
        mut tx: MutexGuard<'_, Tx>,
        sent: Result<bool, PeerMisbehaved>,
    ) -> Result<bool, ConnectionError> {
        let ring = tx.bell.must_ring(&self.inbox);
        drop(tx);
        let sent = sent.map_err(|what| self.misbehaved(what))?;
        if ring {
            self.ring();
        }
        Ok(sent)
    }

    fn ring(&self) {
        // A hang-up shows on the driver's side of the same socket.
        let _ = socket::ring_doorbell(self.socket.as_fd());
    }

    /// Waits until a frame of any size would find room.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        let has_room = || {
            if self.over.get().is_some() {
                return Some(());
            }
            self.has_room().then_some(())
        };
        if has_room().is_none() && self.look(true, has_room).is_none() {
            let mut tx = self.tx();
            tx.room_waiters.push((cx.waker().clone(), Waiting::new()));
            self.room_wanted.store(true, Ordering::Relaxed);
            tx.wants_room.lie_down(&self.outbox);
            drop(tx);
            // SYNC: pairs with the fence in `Ringer::must_ring`: the peer moved
            // its cursor before we lay down, or sees that we did.
            if has_room().is_none() {
                return Poll::Pending;
            }
        }
        match self.over.get() {
            Some(over) => Poll::Ready(Err(over.clone())),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Whether others wait for room in the ring.
    pub(crate) fn others_want_room(&self) -> bool {
        self.room_wanted.load(Ordering::Relaxed)
    }

    fn has_room(&self) -> bool {
        // A lie in the cursor comes out at the next push.
        self.tx()
            .producer
            .has_room_for_piece(&self.inbox)
            .unwrap_or(true)
    }

    /// Wakes those who wait for room, if there is some.
    pub(crate) fn give_room(&self) -> Result<(), ConnectionError> {
        if !self.room_wanted.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut tx = self.tx();
        let ready = self
            .flush_unsent(&mut tx)
            .and_then(|flushed| Ok(flushed && tx.producer.has_room_for_piece(&self.inbox)?));
        let mut woken = Vec::new();
        if let Ok(true) | Err(_) = ready {
            tx.wants_room.get_up(&self.outbox);
            self.room_wanted.store(false, Ordering::Relaxed);
            woken = std::mem::take(&mut tx.room_waiters);
        }
        self.after_push(tx, ready)?;
        woken.into_iter().for_each(|(waker, _)| waker.wake());
        Ok(())
    }

    /// Takes up to a batch of frames off the ring.
    pub(crate) fn pump(&self, rx: &mut Rx) -> Result<usize, ConnectionError> {
        let mut taken = 0;
        while taken < BATCH {
            match rx.consumer.peek(&self.inbox) {
                Ok(Some(frame)) => self.dispatch(rx, frame)?,
                Ok(None) => break,
                Err(what) => return Err(self.misbehaved(what)),
            }
            taken += 1;
        }
        if taken > 0 {
            rx.waiting_since = None;
            if rx.consumer.publish(&self.outbox)
                && rx.room_bell.must_ring(&self.inbox)
                && Ringer::new(SLEEPING_OFFSET).is_down(&self.inbox)
            {
                self.ring();
            }
        }
        self.give_room()?;
        Ok(taken)
    }

    /// Whether there is anything to do.
    pub(crate) fn is_ready(&self, rx: &Rx) -> bool {
        rx.consumer.is_ready(&self.inbox)
            || (self.room_wanted.load(Ordering::Relaxed) && self.has_room())
    }

    fn dispatch(&self, rx: &mut Rx, frame: Frame) -> Result<(), ConnectionError> {
        let mut payload_bytes = 0;
        let result = match frame {
            Frame::Parts(parts) => {
                payload_bytes = parts.payload_bytes();
                self.take_parts(rx, &parts)
            }
            Frame::Credit { stream, bytes } => match self.find(stream)? {
                Found::Open(cell) => {
                    let mut state = cell.lock();
                    let granted = state.outbound.grant(bytes);
                    let waker = state.unpark(Half::Writer);
                    drop(state);
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                    granted
                }
                Found::Over => Ok(()),
                Found::Fresh => Err(PeerMisbehaved::UnknownStream(stream)),
            },
            Frame::Reset { stream, code } => match self.find(stream)? {
                Found::Open(cell) => {
                    self.forget(stream);
                    cell.fail(StreamError::Reset(code));
                    Ok(())
                }
                Found::Over => Ok(()),
                Found::Fresh => Err(PeerMisbehaved::UnknownStream(stream)),
            },
            Frame::GoAway => self.take_go_away(),
            Frame::Ping {
                token,
                answer: false,
            } => {
                self.send_control(Control::Ping {
                    token,
                    answer: true,
                })?;
                Ok(())
            }
            Frame::Ping {
                token,
                answer: true,
            } if rx.ping == Some(token) => {
                rx.ping = None;
                Ok(())
            }
            Frame::Ping {
                token,
                answer: true,
            } => Err(PeerMisbehaved::Ping(token)),
        };
        result.map_err(|what| self.misbehaved(what))?;
        rx.consumer.advance(&self.outbox, payload_bytes);
        Ok(())
    }

    fn find(&self, stream: StreamId) -> Result<Found, ConnectionError> {
        self.table()
            .find(stream)
            .map_err(|what| self.misbehaved(what))
    }

    fn take_go_away(&self) -> Result<(), PeerMisbehaved> {
        match self.side {
            Side::Client => {
                let mut tx = self.tx();
                let first = !tx.going_away;
                tx.going_away = true;
                drop(tx);
                self.draining.store(true, Ordering::Release);
                if first {
                    let _ = self.send_control(Control::GoAway);
                }
            }
            Side::Server => self.drained.store(true, Ordering::Release),
        }
        self.wake_driver();
        Ok(())
    }

    fn take_parts(&self, rx: &mut Rx, parts: &Parts) -> Result<(), PeerMisbehaved> {
        let (cell, arrived) = {
            let mut table = self.table();
            match table.find(parts.stream)? {
                Found::Over => return Ok(()),
                Found::Open(cell) => {
                    // Nothing comes after the server's end, so the client may
                    // use the place again at once.
                    if self.side == Side::Client && parts.end {
                        table.close(parts.stream, true);
                        let waiters = std::mem::take(&mut table.waiters);
                        let last = table.open() == 0;
                        drop(table);
                        waiters.into_iter().for_each(Waker::wake);
                        if last && self.draining.load(Ordering::Acquire) {
                            self.wake_driver();
                        }
                    }
                    (cell, false)
                }
                Found::Fresh => {
                    if self.side == Side::Client || parts.head_bytes.is_none() {
                        return Err(PeerMisbehaved::UnknownStream(parts.stream));
                    }
                    if self.drained.load(Ordering::Acquire) {
                        return Err(PeerMisbehaved::Order {
                            stream: parts.stream,
                            what: "opened after the go-away was answered",
                        });
                    }
                    let cell = self.new_cell(parts.stream);
                    table.open_at(parts.stream, Arc::clone(&cell));
                    (cell, true)
                }
            }
        };
        let head_bytes = parts.head_bytes.unwrap_or(0) as usize;
        let data_bytes = parts.data_bytes.unwrap_or(0) as usize;
        let tail_bytes = parts.tail_bytes.unwrap_or(0) as usize;
        let mut head = None;
        let mut tail = None;
        let data = if Data::is_short(data_bytes) {
            let total = head_bytes + data_bytes + tail_bytes;
            if rx.scratch.len() < total {
                rx.scratch.resize(total, 0);
            }
            let bytes = &mut rx.scratch[..total];
            rx.consumer.copy_payload(&self.inbox, parts, bytes);
            let (head_part, rest) = bytes.split_at(head_bytes);
            let (data_part, tail_part) = rest.split_at(data_bytes);
            head = parts.head_bytes.map(|_| Block::from_slice(head_part));
            tail = parts.tail_bytes.map(|_| Block::from_slice(tail_part));
            Data::Short(data_part.to_vec())
        } else {
            let block = |from: usize, bytes: usize| {
                let mut block: Block = smallvec![0; bytes];
                rx.consumer
                    .copy_payload_range(&self.inbox, parts, from, &mut block);
                block
            };
            if parts.head_bytes.is_some() {
                head = Some(block(0, head_bytes));
            }
            if parts.tail_bytes.is_some() {
                tail = Some(block(head_bytes + data_bytes, tail_bytes));
            }
            Data::Piece(self.pool.fill(data_bytes, |into| {
                rx.consumer
                    .copy_payload_range(&self.inbox, parts, head_bytes, into)
            }))
        };
        let (waker, credit) = cell.lock().deliver(parts, head, data, tail)?;
        if let Some(bytes) = credit {
            let _ = self.send_control(Control::Credit {
                stream: cell.id,
                bytes,
            });
        }
        if self.side == Side::Client && parts.end {
            // The writing half may still wait for credit that will not come.
            let writer = cell.lock().unpark(Half::Writer);
            if let Some(waker) = writer {
                waker.wake();
            }
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        if arrived {
            self.arrivals
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(cell);
            self.wake_driver();
        }
        Ok(())
    }

    /// Streams that have come and have not been begun.
    pub(crate) fn take_arrivals(&self) -> Vec<Arc<StreamCell>> {
        std::mem::take(&mut *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks for what `done` waits for, as long as that is worth while and
    /// nobody else needs the thread. If it returns none, somebody else looks
    /// after the ring, and wakes the task that has parked with its stream.
    pub(crate) fn look<T>(&self, each: bool, mut done: impl FnMut() -> Option<T>) -> Option<T> {
        let mut rx = self.try_rx()?;
        if self.over.get().is_some() {
            return None;
        }
        if self.pump(&mut rx).ok()? > 0 || each {
            if let Some(found) = done() {
                self.stop_looking(&mut rx, true);
                return Some(found);
            }
        }
        let window = rx.window.length();
        let began = Instant::now();
        if rx.waiting_since.is_none() {
            rx.waiting_since = Some(began);
        }
        let mut found = None;
        if !window.is_zero()
            && Waiting::count() < self.lookers
            && Hot::count() <= usize::from(rx.hot.is_some())
        {
            let burst = window.min(BURST);
            rx.sleeper.get_up(&self.outbox);
            rx.lookers += 1;
            'burst: loop {
                for _ in 0..LOOKS {
                    if each || rx.consumer.is_ready(&self.inbox) {
                        match self.pump(&mut rx) {
                            Ok(taken) if taken > 0 || each => {
                                found = done();
                                if found.is_some() {
                                    break 'burst;
                                }
                            }
                            Ok(_) => {}
                            Err(_) => break 'burst,
                        }
                    }
                    std::hint::spin_loop();
                }
                if began.elapsed() >= burst {
                    break;
                }
            }
            rx.lookers -= 1;
        }
        self.stop_looking(&mut rx, found.is_some());
        found
    }

    /// Waits until `check` finds something in the state of a stream, for the
    /// task of one of its halves.
    pub(crate) fn poll_half<T>(
        &self,
        cell: &StreamCell,
        half: Half,
        cx: &mut Context<'_>,
        mut check: impl FnMut(&mut StreamState) -> Option<T>,
    ) -> Poll<T> {
        if let Some(found) = check(&mut cell.lock()) {
            return Poll::Ready(found);
        }
        if let Some(found) = self.look(false, || check(&mut cell.lock())) {
            cell.lock().unpark(half);
            return Poll::Ready(found);
        }
        let mut state = cell.lock();
        if let Some(found) = check(&mut state) {
            state.unpark(half);
            return Poll::Ready(found);
        }
        state.park(half, cx.waker());
        Poll::Pending
    }

    /// Leaves the ring to the driver: hot, if an answer may still be near, else
    /// asleep.
    fn stop_looking(&self, rx: &mut Rx, satisfied: bool) {
        if rx.hot.is_some() || rx.lookers > 0 || self.over.get().is_some() {
            return;
        }
        let near = if satisfied {
            Waiting::count() > 0 && self.open_streams() > 1
        } else {
            rx.waiting_since
                .is_none_or(|since| since.elapsed() < rx.window.length())
        };
        if near || self.is_ready_after_lying_down(rx) {
            rx.sleeper.get_up(&self.outbox);
            rx.hot = Some(Hot::new());
            self.wake_driver();
        }
    }

    /// Lies down; true if there is something to do after all.
    pub(crate) fn is_ready_after_lying_down(&self, rx: &mut Rx) -> bool {
        rx.sleeper.lie_down(&self.outbox);
        self.is_ready(rx)
    }

    /// Gets up, if down: no doorbell is needed until lying down again.
    pub(crate) fn get_up(&self, rx: &mut Rx) {
        rx.sleeper.get_up(&self.outbox);
    }

    /// Whether a task is looking at the ring.
    pub(crate) fn has_lookers(rx: &Rx) -> bool {
        rx.lookers > 0
    }

    /// Progress that a doorbell can have been rung for.
    pub(crate) fn progress(&self, rx: &Rx) -> u64 {
        rx.consumer
            .taken()
            .wrapping_add(self.tx().producer.acknowledged())
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
