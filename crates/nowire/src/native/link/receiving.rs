//! What comes in: frames off the ring, to what this side does with them.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use nowire_memory::SegmentError;
use nowire_memory::heap::MAX_UNSEALED;
use nowire_memory::heap::PeerHeapError;
use nowire_protocol::PeerMisbehaved;
use nowire_protocol::bell::{Ringer, Sleeper};
use nowire_protocol::frame::{
    Extent, Frame, KIND_EXTENT, Message, MessageKind, ResetCode, Slot, StreamId,
};
use nowire_protocol::geometry::{Geometry, SLEEPING_OFFSET, WANTS_ROOM_OFFSET};
use nowire_protocol::head::{Block, Fields};
use nowire_protocol::ring::{Consumer, Control};

use super::{Link, lock};
use crate::crash::crash_point;
use crate::descriptors::{Descriptors, Handed, LOST, Socket, UNREAD_REFERENCES};
use crate::error::ConnectionError;
use crate::native::attached::ATTACHED_LIMIT;
use crate::native::value::Arrived;
use crate::refs::{Arriving, Come, Step};
use crate::wait::{Wait, Window};

/// Frames taken off the ring before anything else is looked after.
const BATCH: usize = 64;
/// Descriptors of segments that may have come before their frames were read. While
/// this side is held up, a peer may make all the segments that wait to be sealed,
/// and as many others as take it from nothing to the usual quota.
const DESCRIPTORS: usize = 2 * MAX_UNSEALED + UNREAD_REFERENCES;
/// Times this side may get up before it looks whether it was rung.
const UNANSWERED: u32 = 16;
/// Doorbells without anything behind them before a peer is cut off.
const EMPTY_RINGS: u32 = 4096;

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

pub(crate) struct Rx {
    consumer: Consumer,
    sleeper: Sleeper,
    room_bell: Ringer,
    pub(crate) window: Window,
    /// Times this side got up without looking whether it was rung.
    unanswered: u32,
    descriptors: Descriptors,
    /// A root that came ahead of its message.
    ahead: Option<(StreamId, Arrived)>,
    /// A reference that is coming, and those that came ahead of their message.
    arriving: Arriving,
    references: Vec<Come>,
    /// Whether any frame of a reference came that no message has followed yet.
    has_references: bool,
    /// Rings of the doorbell since a frame was found behind one.
    empty_rings: u32,
    /// Frames taken when the doorbell was answered last.
    taken_before: u64,
    hung_up: bool,
}

impl Rx {
    pub(super) fn new(inbox: Geometry, wait: Wait) -> Self {
        Self {
            consumer: Consumer::new(inbox),
            sleeper: Sleeper::new(SLEEPING_OFFSET),
            room_bell: Ringer::new(WANTS_ROOM_OFFSET),
            window: Window::new(wait),
            descriptors: Descriptors::new(DESCRIPTORS),
            ahead: None,
            arriving: Arriving::default(),
            references: Vec::new(),
            has_references: false,
            unanswered: 0,
            empty_rings: 0,
            taken_before: 0,
            hung_up: false,
        }
    }

    #[inline]
    fn arrived(&mut self, message: &Message) -> Result<Arrived, PeerMisbehaved> {
        let mut arrived = match (self.ahead.take(), message.has(Message::AHEAD)) {
            (None, false) => Arrived::inline(message.inline),
            (Some((stream, arrived)), true) if stream == message.stream => arrived,
            _ => return Err(out_of_order(message.stream)),
        };
        if self.has_references {
            self.attach(&mut arrived, message.stream)?;
        }
        Ok(arrived)
    }

    /// Adds the references that came ahead of a message.
    #[cold]
    fn attach(&mut self, arrived: &mut Arrived, stream: StreamId) -> Result<(), PeerMisbehaved> {
        self.has_references = false;
        let references = std::mem::take(&mut self.references);
        let mut in_order = references.iter().zip(0..);
        if self.arriving.is_amid()
            || !in_order.all(|(come, number)| (come.stream, come.number) == (stream, number))
        {
            return Err(PeerMisbehaved::References("not ahead of their message"));
        }
        let references = references.into_iter();
        arrived
            .attached()
            .add(references.map(|come| come.reference.map_err(|error| *error)));
        Ok(())
    }
}

impl Link {
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
        let published = rx.consumer.published();
        while taken < BATCH {
            let next = rx.consumer.peek_slot(&self.inbox);
            let seen_to = match next {
                Ok(Some(slot)) => self.dispatch(rx, &slot, to),
                Ok(None) => break,
                Err(what) => Err(what),
            };
            if let Err(what) = seen_to {
                return Err(self.misbehaved(what));
            }
            taken += 1;
        }
        // The cursor moves by quarters of the ring: whoever waits for room gets it
        // then, and no call waits for the fence in between.
        if rx.consumer.published() != published {
            self.ring_for_room(rx);
        }
        if self.room_wanted.load(Ordering::Relaxed) {
            self.give_room()?;
        }
        Ok(taken)
    }

    /// Wakes a peer that sleeps until there is room, which there is.
    #[inline]
    fn ring_for_room(&self, rx: &mut Rx) {
        if rx.room_bell.must_ring(&self.inbox) && Ringer::new(SLEEPING_OFFSET).is_down(&self.inbox)
        {
            self.ring();
        }
    }

    #[inline]
    fn dispatch(
        &self,
        rx: &mut Rx,
        slot: &Slot,
        to: &mut impl Receive,
    ) -> Result<(), PeerMisbehaved> {
        let Some(kind) = slot.message_kind() else {
            return self.dispatch_other(rx, slot.frame()?, to);
        };
        let message = slot.message(kind)?;
        let arrived = rx.arrived(&message)?;
        match kind {
            MessageKind::Call => to.call(&message, arrived)?,
            MessageKind::Reply => to.reply(&message, arrived)?,
        }
        rx.consumer.advance(&self.outbox, 0);
        Ok(())
    }

    #[inline(never)]
    fn dispatch_other(
        &self,
        rx: &mut Rx,
        frame: Frame,
        to: &mut impl Receive,
    ) -> Result<(), PeerMisbehaved> {
        let mut payload_bytes = 0;
        match frame {
            Frame::Call(message) | Frame::Reply(message) => {
                return Err(out_of_order(message.stream));
            }
            Frame::Parts(parts) => {
                payload_bytes = parts.payload_bytes();
                let lengths = (parts.head_bytes, parts.data_bytes, parts.tail_bytes);
                let (Some(head_bytes), Some(data_bytes), tail_bytes) = lengths else {
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
                let mut bytes = vec![0; tail_bytes.unwrap_or(0) as usize];
                let at = (head_bytes + data_bytes) as usize;
                rx.consumer
                    .copy_payload_range(&self.inbox, &parts, at, &mut bytes);
                if rx.ahead.is_some() {
                    return Err(out_of_order(parts.stream));
                }
                rx.ahead = Some((parts.stream, Arrived::ahead(&root, metadata, bytes)));
            }
            Frame::Segment { page, pages } => {
                self.add_segment(rx, page, pages)?;
                crash_point!("take.segment-added");
            }
            Frame::Extent(extent) => self.take_extent(rx, &extent)?,
            Frame::Retire { page } => {
                crash_point!("retire.taken");
                self.peer_heap
                    .remove(page)
                    .map_err(|error| PeerMisbehaved::Heap(error.to_string()))?;
            }
            Frame::Release(pages) => {
                crash_point!("release.taken");
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

    #[cold]
    fn take_extent(&self, rx: &mut Rx, extent: &Extent) -> Result<(), PeerMisbehaved> {
        let Some(references) = self.references() else {
            return Err(PeerMisbehaved::Kind(KIND_EXTENT));
        };
        rx.has_references = true;
        let mut arriving = std::mem::take(&mut rx.arriving);
        let step = arriving.take(extent, references.source(), || self.next_descriptor(rx))?;
        rx.arriving = arriving;
        crash_point!("refs.descriptor-taken");
        match step {
            // On these connections it goes before its frame.
            Step::Wait => Err(PeerMisbehaved::References("one without a descriptor")),
            Step::Amid => Ok(()),
            Step::Come(_) if rx.references.len() == ATTACHED_LIMIT => {
                Err(PeerMisbehaved::References("too many for a message"))
            }
            Step::Come(come) => {
                rx.references.push(come);
                crash_point!("refs.arrived");
                Ok(())
            }
        }
    }

    fn add_segment(&self, rx: &mut Rx, page: u32, pages: u32) -> Result<(), PeerMisbehaved> {
        let descriptor = match self.next_descriptor(rx)? {
            Some(Handed::Over(descriptor)) => descriptor,
            Some(Handed::Lost) => {
                // The first reason counts, and this one is not the peer's.
                self.close(ConnectionError::Memory {
                    peer: self.label(),
                    error: LOST.to_owned(),
                });
                return Err(PeerMisbehaved::Heap(LOST.to_owned()));
            }
            None => {
                return Err(PeerMisbehaved::Heap(format!(
                    "the segment at page {page} came without a descriptor"
                )));
            }
        };
        self.peer_heap
            .add(page, pages, descriptor)
            .map_err(|error| {
                if let PeerHeapError::Segment(SegmentError::Os { .. }) = &error {
                    // The first reason counts, and this one is not the peer's.
                    self.close(ConnectionError::Memory {
                        peer: self.label(),
                        error: error.to_string(),
                    });
                }
                PeerMisbehaved::Heap(error.to_string())
            })
    }

    /// The next descriptor; they are sent before their frames.
    fn next_descriptor(&self, rx: &mut Rx) -> Result<Option<Handed>, PeerMisbehaved> {
        if let Some(handed) = rx.descriptors.next() {
            return Ok(Some(handed));
        }
        self.drain(rx)?;
        Ok(rx.descriptors.next())
    }

    /// Takes what came on the control socket: doorbells and descriptors.
    fn drain(&self, rx: &mut Rx) -> Result<(), PeerMisbehaved> {
        let taken = rx.consumer.taken();
        if taken != rx.taken_before {
            rx.taken_before = taken;
            rx.empty_rings = 0;
        }
        loop {
            match rx.descriptors.take_in(self.socket.as_fd())? {
                Socket::Rung(times) => {
                    // The peer rings no second time for one lying down.
                    rx.sleeper.get_up(&self.outbox);
                    rx.empty_rings += times;
                    if rx.empty_rings > EMPTY_RINGS {
                        return Err(PeerMisbehaved::DoorbellStorm(rx.empty_rings));
                    }
                }
                Socket::Empty => return Ok(()),
                Socket::HungUp => {
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
        rx.unanswered = 0;
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

    /// Lies down: from now on the peer rings. True if there is something to do
    /// after all.
    pub(crate) fn is_ready_after_lying_down(&self, rx: &mut Rx) -> bool {
        // A peer that waits for room shall not wait for the rest of a quarter.
        if rx.consumer.publish(&self.outbox) {
            self.ring_for_room(rx);
        }
        rx.sleeper.lie_down(&self.outbox);
        if self.room_wanted.load(Ordering::Relaxed) {
            let mut tx = lock(&self.tx);
            tx.wants_room.get_up(&self.outbox);
            tx.wants_room.lie_down(&self.outbox);
        }
        self.is_ready(rx)
    }

    /// Gets up, as this side looks by itself. What was rung meanwhile is answered
    /// before it can fill the socket.
    #[inline]
    pub(crate) fn stay_up(&self, rx: &mut Rx) -> Result<(), ConnectionError> {
        if rx.sleeper.is_down() {
            self.get_up(rx);
            rx.unanswered += 1;
            if rx.unanswered >= UNANSWERED {
                return self.answer(rx);
            }
        }
        Ok(())
    }

    /// Gets up, if down: no doorbell is needed until lying down again.
    pub(crate) fn get_up(&self, rx: &mut Rx) {
        rx.sleeper.get_up(&self.outbox);
    }
}

#[cold]
fn out_of_order(stream: StreamId) -> PeerMisbehaved {
    PeerMisbehaved::Order {
        stream,
        what: "a root and its message do not follow each other",
    }
}
