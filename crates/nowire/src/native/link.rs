//! One native connection in this process, the same on both sides: frames out,
//! frames in, and the heap of each side.
//!
//! Locks, in the order in which they may be taken: `rx`, then what the receiver
//! of frames has of its own, then `growing`, `held`, `tx`.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use nowire_memory::data::{self, Shared};
use nowire_memory::heap::{Grown, Heap, HeapError, Keeping, PAGE_BYTES, PeerHeap, Run};
use nowire_memory::{OwnedSegment, PeerSegment, socket};
use nowire_protocol::PeerMisbehaved;
use nowire_protocol::bell::{Ringer, Sleeper};
use nowire_protocol::frame::{Frame, Message, MessageKind, Pages, ResetCode, StreamId};
use nowire_protocol::geometry::{SLEEPING_OFFSET, WANTS_ROOM_OFFSET};
use nowire_protocol::head::{Block, Fields};
use nowire_protocol::ring::{Consumer, Control, Outgoing, Producer};

use super::held::Held;
use super::value::{Arrived, Root, Sent};
use crate::error::ConnectionError;
use crate::wait::{Wait, Window};
use crate::{Met, Peer};

/// Frames taken off the ring before anything else is looked after.
const BATCH: usize = 64;
/// Descriptors of segments that may have come before their frames.
const DESCRIPTORS: usize = 64;
/// Messages and control frames that may wait for room, beyond those that the
/// streams can cause.
const BACKLOG: usize = 4096;

/// What a side does with the frames that come.
pub(crate) trait Receive {
    /// A call, or an item of its requests.
    fn call(&mut self, message: &Message, arrived: Arrived) -> Result<(), PeerMisbehaved>;
    /// A reply, or an item of the replies.
    fn reply(&mut self, message: &Message, arrived: Arrived) -> Result<(), PeerMisbehaved>;
    /// The peer takes so many items more.
    fn credit(&mut self, stream: StreamId, items: u32) -> Result<(), PeerMisbehaved>;
    /// The caller gives a call up.
    fn reset(&mut self, stream: StreamId, code: ResetCode) -> Result<(), PeerMisbehaved>;
    /// No further calls.
    fn go_away(&mut self);
}

pub(crate) struct Link {
    pub(crate) peer: Peer,
    pub(crate) streams: u32,
    label: Arc<str>,
    socket: OwnedFd,
    outbox: OwnedSegment,
    inbox: PeerSegment,
    over: OnceLock<ConnectionError>,
    tx: Mutex<Tx>,
    rx: Mutex<Rx>,
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
}

struct Tx {
    producer: Producer,
    bell: Ringer,
    wants_room: Sleeper,
    backlog: VecDeque<Queued>,
}

enum Queued {
    Control(Control),
    Parts(StreamId, Block, Vec<u8>),
    Message(MessageKind, Message),
}

pub(crate) struct Rx {
    consumer: Consumer,
    sleeper: Sleeper,
    room_bell: Ringer,
    pub(crate) window: Window,
    descriptors: VecDeque<OwnedFd>,
    /// A root that came ahead of its message.
    ahead: Option<(StreamId, Arrived)>,
    hung_up: bool,
}

/// Whether a message also rings the doorbell of a sleeping peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bell {
    /// It does.
    Now,
    /// [`Link::ring_if_asleep`] follows.
    Later,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    /// None if the peer has no native calls.
    pub(crate) fn new(met: Met, wait: Wait, keeping: Keeping) -> Option<Self> {
        let heaps = met.heaps?;
        Some(Self {
            label: met.peer.to_string().into(),
            peer: met.peer,
            streams: met.streams,
            socket: met.socket,
            over: OnceLock::new(),
            tx: Mutex::new(Tx {
                producer: Producer::new(met.outbox_geometry),
                bell: Ringer::new(SLEEPING_OFFSET),
                wants_room: Sleeper::new(WANTS_ROOM_OFFSET),
                backlog: VecDeque::new(),
            }),
            rx: Mutex::new(Rx {
                consumer: Consumer::new(met.inbox_geometry),
                sleeper: Sleeper::new(SLEEPING_OFFSET),
                room_bell: Ringer::new(WANTS_ROOM_OFFSET),
                window: Window::new(wait),
                descriptors: VecDeque::new(),
                ahead: None,
                hung_up: false,
            }),
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
        })
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
        }
        self.over.get().expect("over").clone()
    }

    pub(crate) fn misbehaved(&self, what: PeerMisbehaved) -> ConnectionError {
        self.close(ConnectionError::PeerMisbehaved {
            peer: self.label(),
            what,
        })
    }

    fn gone(&self) -> ConnectionError {
        self.close(ConnectionError::PeerGone { peer: self.label() })
    }

    /// Longest root and metadata of one message, together, in bytes.
    pub(crate) fn root_limit_bytes(&self) -> usize {
        self.piece_bytes
    }

    /// Sends a message, now or when there is room for it.
    #[inline]
    pub(crate) fn send(
        &self,
        kind: MessageKind,
        message: &Message,
        sent: &Sent<'_>,
        bell: Bell,
    ) -> Result<(), ConnectionError> {
        if let Some(over) = self.over.get() {
            return Err(over.clone());
        }
        let mut tx = lock(&self.tx);
        let pushed = match *sent {
            Sent::Inline if tx.backlog.is_empty() => {
                tx.producer
                    .push_message(&self.outbox, &self.inbox, kind, message)
            }
            _ => self.send_in_two(&mut tx, kind, message, sent),
        };
        match pushed {
            Ok(true) => {}
            Ok(false) => return self.queue(tx, [Queued::Message(kind, *message)]),
            Err(what) => {
                drop(tx);
                return Err(self.misbehaved(what));
            }
        }
        let ring = bell == Bell::Now && tx.bell.must_ring(&self.inbox);
        drop(tx);
        if ring {
            self.ring();
        }
        Ok(())
    }

    /// The root and metadata that do not fit into the message go ahead of it.
    fn send_in_two(
        &self,
        tx: &mut Tx,
        kind: MessageKind,
        message: &Message,
        sent: &Sent<'_>,
    ) -> Result<bool, PeerMisbehaved> {
        if let Sent::Ahead { root, metadata } = *sent {
            let parts = Outgoing {
                head: Some(metadata),
                data: Some(root),
                ..Outgoing::default()
            };
            let pushed = tx.backlog.is_empty()
                && tx
                    .producer
                    .push_parts(&self.outbox, &self.inbox, message.stream, &parts)?;
            if !pushed {
                tx.backlog.push_back(Queued::Parts(
                    message.stream,
                    Block::from_slice(metadata),
                    root.to_vec(),
                ));
            }
        }
        Ok(tx.backlog.is_empty()
            && tx
                .producer
                .push_message(&self.outbox, &self.inbox, kind, message)?)
    }

    /// Sends a frame without payload, now or when there is room for it.
    pub(crate) fn send_control(&self, control: Control) -> Result<(), ConnectionError> {
        if let Some(over) = self.over.get() {
            return Err(over.clone());
        }
        let mut tx = lock(&self.tx);
        let pushed = if tx.backlog.is_empty() {
            tx.producer.push_control(&self.outbox, &self.inbox, control)
        } else {
            Ok(false)
        };
        match pushed {
            Ok(true) => {
                let ring = tx.bell.must_ring(&self.inbox);
                drop(tx);
                if ring {
                    self.ring();
                }
                Ok(())
            }
            Ok(false) => self.queue(tx, [Queued::Control(control)]),
            Err(what) => {
                drop(tx);
                Err(self.misbehaved(what))
            }
        }
    }

    fn queue(
        &self,
        mut tx: MutexGuard<'_, Tx>,
        queued: impl IntoIterator<Item = Queued>,
    ) -> Result<(), ConnectionError> {
        tx.backlog.extend(queued);
        let frames = tx.backlog.len();
        if frames > BACKLOG + 4 * self.streams as usize {
            drop(tx);
            return Err(self.close(ConnectionError::PeerStuck {
                peer: self.label(),
                frames,
            }));
        }
        self.room_wanted.store(true, Ordering::Relaxed);
        tx.wants_room.get_up(&self.outbox);
        tx.wants_room.lie_down(&self.outbox);
        // SYNC: pairs with the fence in `Ringer::must_ring`: the peer moved its
        // cursor before we lay down, or sees that we did.
        let flushed = self.flush(&mut tx);
        let ring = tx.bell.must_ring(&self.inbox);
        drop(tx);
        if ring {
            self.ring();
        }
        flushed.map_err(|what| self.misbehaved(what))
    }

    /// Sends what has waited for room, as far as there is some.
    fn flush(&self, tx: &mut Tx) -> Result<(), PeerMisbehaved> {
        while let Some(queued) = tx.backlog.front() {
            let pushed = match queued {
                Queued::Control(control) => {
                    tx.producer
                        .push_control(&self.outbox, &self.inbox, *control)?
                }
                Queued::Parts(stream, head, data) => {
                    let parts = Outgoing {
                        head: Some(head),
                        data: Some(data),
                        ..Outgoing::default()
                    };
                    tx.producer
                        .push_parts(&self.outbox, &self.inbox, *stream, &parts)?
                }
                Queued::Message(kind, message) => {
                    tx.producer
                        .push_message(&self.outbox, &self.inbox, *kind, message)?
                }
            };
            if !pushed {
                return Ok(());
            }
            tx.backlog.pop_front();
        }
        tx.wants_room.get_up(&self.outbox);
        self.room_wanted.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn give_room(&self) -> Result<(), ConnectionError> {
        let mut tx = lock(&self.tx);
        let flushed = self.flush(&mut tx);
        let ring = tx.bell.must_ring(&self.inbox);
        drop(tx);
        if ring {
            self.ring();
        }
        flushed.map_err(|what| self.misbehaved(what))
    }

    /// Wakes the peer if it sleeps and has not been woken since.
    pub(crate) fn ring_if_asleep(&self) {
        let ring = lock(&self.tx).bell.must_ring(&self.inbox);
        if ring {
            self.ring();
        }
    }

    #[cold]
    fn ring(&self) {
        // A hang-up shows to whoever waits on the same socket.
        let _ = socket::ring_doorbell(self.socket.as_fd());
    }

    /// The receiving side, for whoever waits.
    pub(crate) fn rx(&self) -> MutexGuard<'_, Rx> {
        lock(&self.rx)
    }

    /// The receiving side, unless somebody else has it.
    pub(crate) fn try_rx(&self) -> Option<MutexGuard<'_, Rx>> {
        match self.rx.try_lock() {
            Ok(rx) => Some(rx),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }

    /// Takes up to a batch of frames off the ring.
    pub(crate) fn pump(
        &self,
        rx: &mut Rx,
        to: &mut impl Receive,
    ) -> Result<usize, ConnectionError> {
        if let Some(over) = self.over.get() {
            return Err(over.clone());
        }
        let mut taken = 0;
        while taken < BATCH {
            match rx.consumer.peek(&self.inbox) {
                Ok(Some(frame)) => self
                    .dispatch(rx, frame, to)
                    .map_err(|what| self.misbehaved(what))?,
                Ok(None) => break,
                Err(what) => return Err(self.misbehaved(what)),
            }
            taken += 1;
        }
        if taken > 0 {
            rx.consumer.publish(&self.outbox);
            if rx.room_bell.must_ring(&self.inbox)
                && Ringer::new(SLEEPING_OFFSET).is_down(&self.inbox)
            {
                self.ring();
            }
        }
        if self.room_wanted.load(Ordering::Relaxed) {
            self.give_room()?;
        }
        Ok(taken)
    }

    #[inline]
    fn dispatch(
        &self,
        rx: &mut Rx,
        frame: Frame,
        to: &mut impl Receive,
    ) -> Result<(), PeerMisbehaved> {
        let mut payload_bytes = 0;
        match frame {
            Frame::Call(message) => {
                let arrived = rx.arrived(&message)?;
                to.call(&message, arrived)?;
            }
            Frame::Reply(message) => {
                let arrived = rx.arrived(&message)?;
                to.reply(&message, arrived)?;
            }
            Frame::Parts(parts) => {
                payload_bytes = parts.payload_bytes();
                let lengths = (parts.head_bytes, parts.data_bytes, parts.tail_bytes);
                let (Some(head_bytes), Some(data_bytes), None) = lengths else {
                    return Err(PeerMisbehaved::Order {
                        stream: parts.stream,
                        what: "parts of another kind than a root ahead of its message",
                    });
                };
                let mut metadata: Block = smallvec::smallvec![0; head_bytes as usize];
                rx.consumer
                    .copy_payload_range(&self.inbox, &parts, 0, &mut metadata);
                for field in Fields::new(&metadata) {
                    field?;
                }
                let mut root = vec![0; data_bytes as usize];
                rx.consumer
                    .copy_payload_range(&self.inbox, &parts, head_bytes as usize, &mut root);
                if rx.ahead.is_some() {
                    return Err(out_of_order(parts.stream));
                }
                rx.ahead = Some((
                    parts.stream,
                    Arrived {
                        root: Root::from_bytes(&root),
                        metadata: (!metadata.is_empty()).then(|| Box::new(metadata)),
                    },
                ));
            }
            Frame::Segment { page, pages } => self.add_segment(rx, page, pages)?,
            Frame::Retire { page } => self
                .peer_heap
                .remove(page)
                .map_err(|error| PeerMisbehaved::Heap(error.to_string()))?,
            Frame::Release(pages) => {
                let mut held = lock(&self.held);
                for page in pages.as_slice() {
                    held.release(*page)?;
                }
            }
            Frame::Credit { stream, bytes } => to.credit(stream, bytes)?,
            Frame::Reset { stream, code } => to.reset(stream, code)?,
            Frame::GoAway => to.go_away(),
            Frame::Ping { token, answer } => {
                if answer {
                    return Err(PeerMisbehaved::Ping(token));
                }
                // A connection that is over shows at the next frame.
                let _ = self.send_control(Control::Ping {
                    token,
                    answer: true,
                });
            }
        }
        rx.consumer.advance(&self.outbox, payload_bytes);
        Ok(())
    }

    fn add_segment(&self, rx: &mut Rx, page: u32, pages: u32) -> Result<(), PeerMisbehaved> {
        if rx.descriptors.is_empty() {
            // It was sent before the frame.
            self.drain(rx)?;
        }
        let Some(descriptor) = rx.descriptors.pop_front() else {
            return Err(PeerMisbehaved::Heap(format!(
                "the segment at page {page} came without a descriptor"
            )));
        };
        self.peer_heap
            .add(page, pages, descriptor)
            .map_err(|error| PeerMisbehaved::Heap(error.to_string()))
    }

    /// Takes what came on the control socket: doorbells and descriptors.
    fn drain(&self, rx: &mut Rx) -> Result<(), PeerMisbehaved> {
        let mut bytes = [0; 256];
        loop {
            match socket::recv_with_descriptors(
                self.socket.as_fd(),
                &mut bytes,
                socket::DESCRIPTORS_LIMIT,
            ) {
                Ok(received) if received.bytes == 0 => {
                    rx.hung_up = true;
                    return Ok(());
                }
                Ok(received) => {
                    rx.descriptors.extend(received.descriptors);
                    if received.surplus || rx.descriptors.len() > DESCRIPTORS {
                        return Err(PeerMisbehaved::Heap(
                            "more descriptors came than segments".to_owned(),
                        ));
                    }
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(_) => {
                    rx.hung_up = true;
                    return Ok(());
                }
            }
        }
    }

    /// Answers the doorbell: takes it, and says that this side is up.
    ///
    /// # Errors
    /// If the peer is gone.
    pub(crate) fn answer(&self, rx: &mut Rx) -> Result<(), ConnectionError> {
        self.drain(rx).map_err(|what| self.misbehaved(what))?;
        rx.sleeper.get_up(&self.outbox);
        Ok(())
    }

    /// What is left in the ring of a peer that has hung up still counts; call
    /// this when nothing is left.
    pub(crate) fn check_alive(&self, rx: &Rx) -> Result<(), ConnectionError> {
        if rx.hung_up {
            return Err(self.gone());
        }
        Ok(())
    }

    /// Whether there is anything to do.
    #[inline]
    pub(crate) fn is_ready(&self, rx: &Rx) -> bool {
        rx.consumer.is_ready(&self.inbox)
            || (self.room_wanted.load(Ordering::Relaxed) && self.has_room())
    }

    fn has_room(&self) -> bool {
        // A lie in the cursor comes out at the next push.
        lock(&self.tx)
            .producer
            .has_room_for_piece(&self.inbox)
            .unwrap_or(true)
    }

    /// Lies down: from now on the peer rings. True if there is something to do
    /// after all.
    pub(crate) fn is_ready_after_lying_down(&self, rx: &mut Rx) -> bool {
        rx.sleeper.lie_down(&self.outbox);
        if self.room_wanted.load(Ordering::Relaxed) {
            let mut tx = lock(&self.tx);
            tx.wants_room.get_up(&self.outbox);
            tx.wants_room.lie_down(&self.outbox);
        }
        self.is_ready(rx)
    }

    /// Gets up, if down: no doorbell is needed until lying down again.
    pub(crate) fn get_up(&self, rx: &mut Rx) {
        rx.sleeper.get_up(&self.outbox);
    }

    /// A run of at least `bytes` of this side's heap, which grows for it.
    pub(crate) fn allocate(&self, bytes: usize) -> Result<Arc<Run>, AllocateError> {
        let pages = u32::try_from(bytes.div_ceil(PAGE_BYTES))
            .unwrap_or(u32::MAX)
            .max(1);
        loop {
            if let Some(run) = self.heap.allocate(pages) {
                return Ok(run);
            }
            let _one = lock(&self.growing);
            if let Some(run) = self.heap.allocate(pages) {
                return Ok(run);
            }
            self.may_grow(pages)?;
            let grown = self.heap.grow(pages)?;
            self.announce(grown)?;
        }
    }

    /// Whether everything `value` points to, not followed, lies in what the scope
    /// of `run` has used.
    pub(crate) fn lies_in<T: Shared>(&self, value: &T, run: &Run) -> bool {
        let start = self.heap.base() as usize + run.page() as usize * PAGE_BYTES;
        data::points_into(value, start, run.used_bytes() as usize)
    }

    /// Keeps a run until the peer releases it.
    pub(crate) fn hold(&self, run: Arc<Run>) {
        lock(&self.held).hold(run);
    }

    /// Runs that the peer holds.
    pub(crate) fn held_runs(&self) -> usize {
        lock(&self.held).len()
    }

    /// A run in a segment of its own, which can be sealed.
    pub(crate) fn allocate_sealable(&self, bytes: usize) -> Result<Arc<Run>, AllocateError> {
        let pages = u32::try_from(bytes.div_ceil(PAGE_BYTES))
            .unwrap_or(u32::MAX)
            .max(1);
        let _one = lock(&self.growing);
        self.may_grow(pages)?;
        let (run, grown) = self.heap.grow_sealable(pages)?;
        self.announce(grown)?;
        Ok(run)
    }

    fn may_grow(&self, pages: u32) -> Result<(), AllocateError> {
        let bytes = self.heap.size_bytes() + pages as usize * PAGE_BYTES;
        self.charge
            .may_grow_to(bytes)
            .map_err(|exceeded| AllocateError::Server(exceeded.to_string()))
    }

    /// With `growing` held: descriptors come in the order of their frames.
    fn announce(&self, grown: Grown) -> Result<(), ConnectionError> {
        loop {
            let descriptor = [grown.descriptor.as_fd()];
            let sent = socket::send_with_descriptors(self.socket.as_fd(), &[1], &descriptor);
            match sent {
                Ok(_) => break,
                Err(rustix::io::Errno::AGAIN) => {
                    // Only a peer that answers no doorbell lets the socket fill.
                    return Err(self.close(ConnectionError::PeerStuck {
                        peer: self.label(),
                        frames: 0,
                    }));
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Err(self.gone()),
            }
        }
        self.send_control(Control::Segment {
            page: grown.page,
            pages: grown.pages,
        })?;
        grown.open();
        self.charge.has_grown_to(self.heap.size_bytes());
        Ok(())
    }

    /// Gives memory back that no scope, call or keeper uses.
    pub(crate) fn shrink(&self) {
        let _one = lock(&self.growing);
        let pages = self.heap.shrink();
        if pages.is_empty() {
            return;
        }
        self.charge.has_grown_to(self.heap.size_bytes());
        for page in pages {
            if self.send_control(Control::Retire { page }).is_err() {
                return;
            }
        }
    }

    /// Tells the peer that this side no longer reads a scope of its heap.
    pub(crate) fn release(&self, page: u32) {
        let mut pages = Pages::new();
        pages.push(page);
        // Of a connection that is over nothing is held.
        let _ = self.send_control(Control::Release(pages));
    }
}

impl Rx {
    #[inline]
    fn arrived(&mut self, message: &Message) -> Result<Arrived, PeerMisbehaved> {
        match (self.ahead.take(), message.has(Message::AHEAD)) {
            (None, false) => Ok(Arrived::inline(message)),
            (Some((stream, arrived)), true) if stream == message.stream => Ok(arrived),
            _ => Err(out_of_order(message.stream)),
        }
    }
}

#[cold]
fn out_of_order(stream: StreamId) -> PeerMisbehaved {
    PeerMisbehaved::Order {
        stream,
        what: "a root and its message do not follow each other",
    }
}

/// Why there is no memory for a scope.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AllocateError {
    #[error(transparent)]
    Heap(#[from] HeapError),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// All connections of the server together have as much as it allows.
    #[error("{0}")]
    Server(String),
}
