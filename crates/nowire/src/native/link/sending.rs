//! What goes out: messages and control frames into the ring, or to those that
//! wait for room.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nowire_memory::refs::MAX_DESCRIPTORS;
use nowire_memory::{PeerSegment, socket};
use nowire_protocol::PeerMisbehaved;
use nowire_protocol::bell::{Ringer, Sleeper};
use nowire_protocol::frame::{Message, MessageKind, Pages, StreamId};
use nowire_protocol::geometry::{Geometry, SLEEPING_OFFSET, WANTS_ROOM_OFFSET};
use nowire_protocol::ring::{Control, Producer};
use rustix::io::Errno;

use super::{Link, lock};
use crate::crash::crash_point;
use crate::descriptors::UNREAD_REFERENCES;
use crate::error::ConnectionError;
use crate::native::value::{Parts, Sent};
use crate::refs::Passing;

/// Messages and control frames that may wait for room, beyond those that the
/// streams can cause.
const BACKLOG: usize = 4096;

/// How long to wait before the kernel is asked again to take a descriptor.
const ASK_AGAIN: Duration = Duration::from_micros(100);

const _: () = assert!(MAX_DESCRIPTORS <= UNREAD_REFERENCES);

pub(super) struct Tx {
    pub(super) producer: Producer,
    pub(super) bell: Ringer,
    pub(super) wants_room: Sleeper,
    pub(super) backlog: VecDeque<Queued>,
    /// Scopes of the peer's heap to be released when there is room for that.
    /// They are as many as the peer has handed over, and so may be many.
    releases: Vec<u32>,
    /// Up to where the ring must be read for each segment that was announced.
    announced: VecDeque<u64>,
    /// The same for each descriptor of a reference.
    handed_over: VecDeque<u64>,
}

impl Tx {
    pub(super) fn new(outbox: Geometry) -> Self {
        Self {
            producer: Producer::new(outbox),
            bell: Ringer::new(SLEEPING_OFFSET),
            wants_room: Sleeper::new(WANTS_ROOM_OFFSET),
            backlog: VecDeque::new(),
            releases: Vec::new(),
            announced: VecDeque::new(),
            handed_over: VecDeque::new(),
        }
    }

    /// Whether there is room for the frames of a reference, and the peer has taken
    /// enough descriptors to be handed over so many more.
    fn takes(
        &mut self,
        inbox: &PeerSegment,
        extents: usize,
        descriptors: usize,
    ) -> Result<bool, PeerMisbehaved> {
        // It learns how far the peer has read.
        self.producer.is_drained(inbox)?;
        let read = self.producer.acknowledged();
        while self.handed_over.pop_front_if(|at| *at <= read).is_some() {}
        Ok(self.handed_over.len() + descriptors <= UNREAD_REFERENCES
            && self.producer.has_room_for_extents(inbox, extents)?)
    }

    /// Frames that there will be once all is sent that waits for room.
    fn frames(&self) -> u64 {
        let queued: usize = self.backlog.iter().map(Queued::frames).sum();
        self.producer.sent() + queued as u64
    }
}

pub(super) enum Queued {
    Control(Control),
    /// A segment of the heap, with its descriptor until that is handed over.
    Segment {
        page: u32,
        pages: u32,
        descriptor: Option<OwnedFd>,
    },
    /// A reference, with how many of its descriptors were handed over. They are in
    /// the socket as their frames are in the ring: in the order of this queue.
    Reference {
        stream: StreamId,
        passing: Passing,
        handed_over: usize,
    },
    Parts(StreamId, Parts),
    Message(MessageKind, Message),
}

impl Queued {
    fn frames(&self) -> usize {
        match self {
            Self::Reference { passing, .. } => passing.passed().extents().len(),
            _ => 1,
        }
    }
}

/// A message, behind the references that go ahead of it.
#[cold]
fn queued(
    kind: MessageKind,
    message: &Message,
    references: Vec<Passing>,
    parts: Option<&Parts>,
) -> Vec<Queued> {
    let stream = message.stream;
    let references = references.into_iter();
    let references = references.map(|passing| Queued::Reference {
        stream,
        passing,
        handed_over: 0,
    });
    let parts = parts.map(|parts| Queued::Parts(stream, parts.clone()));
    let message = Queued::Message(kind, *message);
    references.chain(parts).chain([message]).collect()
}

/// What became of a descriptor.
enum Handing {
    Done,
    /// The kernel takes no more now.
    NotNow,
    Over(ConnectionError),
}

/// Whether a message also rings the doorbell of a sleeping peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bell {
    /// It does.
    Now,
    /// [`Link::ring_if_asleep`] follows.
    Later,
}

impl Link {
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
            Sent::Inline => Ok(false),
            Sent::With(with) => {
                let references = with.take_references();
                if !references.is_empty() {
                    let queued = queued(kind, message, references, with.parts.as_ref());
                    return self.send_queued(tx, queued);
                }
                self.send_in_two(&mut tx, kind, message, with.parts.as_ref())
            }
        };
        match pushed {
            Ok(true) => {}
            Ok(false) => return self.queue(tx, [Queued::Message(kind, *message)]),
            Err(what) => {
                drop(tx);
                return Err(self.misbehaved(what));
            }
        }
        crash_point!("send.in-the-ring");
        let ring = bell == Bell::Now && tx.bell.must_ring(&self.inbox);
        drop(tx);
        if ring {
            self.ring();
        }
        Ok(())
    }

    /// What does not fit into the message goes ahead of it.
    fn send_in_two(
        &self,
        tx: &mut Tx,
        kind: MessageKind,
        message: &Message,
        parts: Option<&Parts>,
    ) -> Result<bool, PeerMisbehaved> {
        if let Some(parts) = parts {
            let outgoing = parts.outgoing();
            let pushed = tx.backlog.is_empty()
                && tx
                    .producer
                    .push_parts(&self.outbox, &self.inbox, message.stream, &outgoing)?;
            if !pushed {
                let parts = Queued::Parts(message.stream, parts.clone());
                tx.backlog.push_back(parts);
            }
            crash_point!("publish.root-sent-ahead");
        }
        Ok(tx.backlog.is_empty()
            && tx
                .producer
                .push_message(&self.outbox, &self.inbox, kind, message)?)
    }

    /// Sends what may have to wait for room, behind what waits already.
    fn send_queued(
        &self,
        mut tx: MutexGuard<'_, Tx>,
        queued: impl IntoIterator<Item = Queued>,
    ) -> Result<(), ConnectionError> {
        if !tx.backlog.is_empty() {
            return self.queue(tx, queued);
        }
        tx.backlog.extend(queued);
        match self.flush(&mut tx) {
            Ok(()) if tx.backlog.is_empty() => {}
            Ok(()) => return self.queue(tx, []),
            Err(what) => {
                drop(tx);
                return Err(self.misbehaved(what));
            }
        }
        let ring = tx.bell.must_ring(&self.inbox);
        drop(tx);
        if ring {
            self.ring();
        }
        Ok(())
    }

    /// Tells the peer of a segment of the heap, which its descriptor opens.
    pub(super) fn send_segment(
        &self,
        page: u32,
        pages: u32,
        descriptor: BorrowedFd<'_>,
    ) -> Result<(), ConnectionError> {
        if let Some(over) = self.over.get() {
            return Err(over.clone());
        }
        let mut tx = lock(&self.tx);
        // What waits for room may have descriptors that go before this one.
        let handed = match tx.backlog.is_empty() {
            true => self.hand_over(&mut tx, descriptor),
            false => Handing::NotNow,
        };
        let queued = match handed {
            Handing::Done => Queued::Control(Control::Segment { page, pages }),
            Handing::NotNow => match descriptor.try_clone_to_owned() {
                Ok(descriptor) => Queued::Segment {
                    page,
                    pages,
                    descriptor: Some(descriptor),
                },
                Err(error) => {
                    drop(tx);
                    return Err(self.close(ConnectionError::Memory {
                        peer: self.label(),
                        error: error.to_string(),
                    }));
                }
            },
            Handing::Over(error) => return Err(error),
        };
        crash_point!("build.descriptor-sent");
        let at = tx.frames() + 1;
        tx.announced.push_back(at);
        self.send_queued(tx, [queued])
    }

    /// Hands a descriptor over to the peer, whose frame follows.
    fn hand_over(&self, tx: &mut Tx, descriptor: BorrowedFd<'_>) -> Handing {
        // It wakes the peer as the doorbell does.
        let must_ring = tx.bell.must_ring(&self.inbox);
        let error = match socket::hand_over(self.socket.as_fd(), descriptor) {
            Ok(()) => return Handing::Done,
            // As many are on their way as this user may have; others make room, and
            // nothing tells when.
            Err(Errno::TOOMANYREFS) => {
                if must_ring {
                    tx.bell.did_not_ring();
                }
                std::thread::sleep(ASK_AGAIN);
                return Handing::NotNow;
            }
            Err(error) => error,
        };
        Handing::Over(match error {
            // Only a peer that answers no doorbell lets the socket fill.
            Errno::AGAIN => self.close(ConnectionError::PeerStuck {
                peer: self.label(),
                frames: 0,
            }),
            _ => self.gone(),
        })
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

    /// Tells the peer that this side no longer reads a scope of its heap.
    pub(crate) fn release(&self, page: u32) {
        if self.over.get().is_some() {
            // Nothing is held of it.
            return;
        }
        let mut tx = lock(&self.tx);
        tx.releases.push(page);
        // Behind the reply that says that it is held.
        let sent = if tx.backlog.is_empty() && tx.releases.len() == 1 {
            self.flush_releases(&mut tx)
        } else {
            Ok(false)
        };
        match sent {
            Ok(true) => {
                crash_point!("release.sent");
                let ring = tx.bell.must_ring(&self.inbox);
                drop(tx);
                if ring {
                    self.ring();
                }
            }
            // It shows at the next look at the ring.
            Ok(false) => drop(self.wait_for_room(tx)),
            Err(what) => {
                drop(tx);
                self.misbehaved(what);
            }
        }
    }

    /// Whether all have been sent.
    fn flush_releases(&self, tx: &mut Tx) -> Result<bool, PeerMisbehaved> {
        while !tx.releases.is_empty() {
            let mut pages = Pages::new();
            let last_first = tx.releases.iter().rev();
            let taken = last_first.take_while(|page| pages.push(**page)).count();
            let control = Control::Release(pages);
            let pushed = tx
                .producer
                .push_control(&self.outbox, &self.inbox, control)?;
            if !pushed {
                return Ok(false);
            }
            let left = tx.releases.len() - taken;
            tx.releases.truncate(left);
        }
        Ok(true)
    }

    pub(super) fn queue(
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
        self.wait_for_room(tx)
    }

    fn wait_for_room(&self, mut tx: MutexGuard<'_, Tx>) -> Result<(), ConnectionError> {
        crash_point!("send.waits-for-room");
        self.room_wanted.store(true, Ordering::Relaxed);
        let flushed = loop {
            tx.wants_room.get_up(&self.outbox);
            tx.wants_room.lie_down(&self.outbox);
            let sent = tx.producer.sent();
            // SYNC: pairs with the fence in `Ringer::must_ring`: the peer moved its
            // cursor before we lay down, or sees that we did. If it moved, it may
            // have seen us as well, and does so only once.
            let flushed = self.flush(&mut tx);
            if flushed.is_err() || !self.wants_room() || tx.producer.sent() == sent {
                break flushed;
            }
        };
        let ring = tx.bell.must_ring(&self.inbox);
        drop(tx);
        if ring {
            self.ring();
        }
        flushed.map_err(|what| self.misbehaved(what))
    }

    /// Sends what has waited for room, as far as there is some.
    pub(super) fn flush(&self, tx: &mut Tx) -> Result<(), PeerMisbehaved> {
        while let Some(mut queued) = tx.backlog.pop_front() {
            let pushed = match &mut queued {
                Queued::Control(control) => {
                    tx.producer
                        .push_control(&self.outbox, &self.inbox, *control)?
                }
                Queued::Segment {
                    page,
                    pages,
                    descriptor,
                } => self.push_segment(tx, *page, *pages, descriptor)?,
                Queued::Reference {
                    stream,
                    passing,
                    handed_over,
                } => self.push_reference(tx, *stream, passing, handed_over)?,
                Queued::Parts(stream, parts) => {
                    tx.producer
                        .push_parts(&self.outbox, &self.inbox, *stream, &parts.outgoing())?
                }
                Queued::Message(kind, message) => {
                    tx.producer
                        .push_message(&self.outbox, &self.inbox, *kind, message)?
                }
            };
            if !pushed {
                tx.backlog.push_front(queued);
                return Ok(());
            }
        }
        if !self.flush_releases(tx)? {
            return Ok(());
        }
        tx.wants_room.get_up(&self.outbox);
        self.room_wanted.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn push_segment(
        &self,
        tx: &mut Tx,
        page: u32,
        pages: u32,
        descriptor: &mut Option<OwnedFd>,
    ) -> Result<bool, PeerMisbehaved> {
        if let Some(waiting) = descriptor {
            match self.hand_over(tx, waiting.as_fd()) {
                Handing::Done => *descriptor = None,
                Handing::NotNow | Handing::Over(_) => return Ok(false),
            }
        }
        let control = Control::Segment { page, pages };
        tx.producer.push_control(&self.outbox, &self.inbox, control)
    }

    /// Hands over the descriptors of a reference, and sends its frames behind them;
    /// false as long as there is no room for either.
    fn push_reference(
        &self,
        tx: &mut Tx,
        stream: StreamId,
        passing: &Passing,
        handed_over: &mut usize,
    ) -> Result<bool, PeerMisbehaved> {
        let extents = passing.extents(stream);
        let descriptors = passing.descriptors();
        if !tx.takes(&self.inbox, extents.len(), descriptors)? {
            return Ok(false);
        }
        for descriptor in passing.passed().descriptors().skip(*handed_over) {
            match self.hand_over(tx, descriptor) {
                Handing::Done => *handed_over += 1,
                // The next message says that the connection is over.
                Handing::NotNow | Handing::Over(_) => return Ok(false),
            }
            crash_point!("refs.descriptor-handed-over");
        }
        passing.passed().sent();
        crash_point!("refs.descriptors-handed-over");
        let pushed = tx
            .producer
            .push_extents(&self.outbox, &self.inbox, extents.into_iter())?;
        debug_assert!(pushed, "there was room");
        crash_point!("refs.extents-pushed");
        let sent = tx.producer.sent();
        tx.handed_over
            .extend(std::iter::repeat_n(sent, descriptors));
        Ok(pushed)
    }

    pub(super) fn give_room(&self) -> Result<(), ConnectionError> {
        let mut tx = lock(&self.tx);
        let sent = tx.producer.sent();
        let flushed = self.flush(&mut tx);
        // This is tried again and again while the kernel refuses what is to go.
        let ring = tx.producer.sent() != sent && tx.bell.must_ring(&self.inbox);
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
    pub(super) fn ring(&self) {
        // A hang-up shows to whoever waits on the same socket.
        let _ = socket::ring_doorbell(self.socket.as_fd());
    }

    /// Segments of which the peer has not read yet. Their descriptors pile up at
    /// it.
    pub(super) fn unread_segments(&self) -> usize {
        let mut tx = lock(&self.tx);
        // A lie in the cursor comes out at the next push.
        let _ = tx.producer.is_drained(&self.inbox);
        let read = tx.producer.acknowledged();
        while tx.announced.pop_front_if(|at| *at <= read).is_some() {}
        tx.announced.len()
    }

    /// Whether anything waits for room.
    #[inline]
    pub(crate) fn wants_room(&self) -> bool {
        self.room_wanted.load(Ordering::Relaxed)
    }

    /// Whether messages wait for room.
    pub(crate) fn has_unsent(&self) -> bool {
        let tx = lock(&self.tx);
        let mut queued = tx.backlog.iter();
        queued.any(|queued| !matches!(queued, Queued::Control(_) | Queued::Segment { .. }))
    }

    pub(super) fn has_room(&self) -> bool {
        let tx = &mut *lock(&self.tx);
        let has_room = match tx.backlog.front() {
            Some(Queued::Reference { passing, .. }) => {
                let extents = passing.passed().extents().len();
                let descriptors = passing.descriptors();
                tx.takes(&self.inbox, extents, descriptors)
            }
            _ => tx.producer.has_room_for_piece(&self.inbox),
        };
        // A lie in the cursor comes out at the next push.
        has_room.unwrap_or(true)
    }

    /// Lets go of the references that wait for room: nobody takes them any more.
    pub(crate) fn forget_unsent(&self) {
        let mut tx = lock(&self.tx);
        let backlog = std::mem::take(&mut tx.backlog);
        drop(tx);
        drop(backlog);
    }
}
