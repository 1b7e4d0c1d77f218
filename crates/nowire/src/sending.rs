//! What goes out on a connection: frames into the ring, and the wait for room.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll, Waker};

use nowire_memory::{OwnedSegment, PeerSegment, socket};
use nowire_protocol::PeerMisbehaved;
use nowire_protocol::bell::{Ringer, Sleeper};
use nowire_protocol::frame::ResetCode;
use nowire_protocol::geometry::{Geometry, SLEEPING_OFFSET, WANTS_ROOM_OFFSET};
use nowire_protocol::ring::{Control, Outgoing, Producer};
use nowire_protocol::stream::{REFERENCE_BYTES, Side};
use rustix::io::Errno;

use crate::cell::StreamCell;
use crate::crash::crash_point;
use crate::descriptors::UNREAD_REFERENCES;
use crate::error::{ConnectionError, StreamError};
use crate::owed::Owed;
use crate::refs::Passing;
use crate::shared::{BATCH, Shared};
use crate::wait::Waiting;

/// Frames, and tasks with frames, that may wait for room in the ring; an honest
/// peer causes a few for each stream.
const UNSENT_PER_STREAM: usize = 4;

/// Most descriptors that go before one frame.
pub(crate) const BATCH_DESCRIPTORS: usize = UNREAD_REFERENCES / 2;

/// The sending side.
pub(crate) struct Tx {
    pub(crate) producer: Producer,
    bell: Ringer,
    wants_room: Sleeper,
    pub(crate) room_waiters: Vec<(Waker, Waiting)>,
    unsent: Vec<Control>,
    /// Frames sent when each descriptor went that the peer has not been seen to
    /// take.
    handed_over: VecDeque<u64>,
    pub(crate) owed: Owed,
    /// Client: the server takes no further streams.
    pub(crate) going_away: bool,
}

impl Tx {
    pub(crate) fn new(outbox: Geometry) -> Self {
        Self {
            producer: Producer::new(outbox),
            bell: Ringer::new(SLEEPING_OFFSET),
            wants_room: Sleeper::new(WANTS_ROOM_OFFSET),
            room_waiters: Vec::new(),
            unsent: Vec::new(),
            handed_over: VecDeque::new(),
            owed: Owed::default(),
            going_away: false,
        }
    }
}

/// References that go before one frame.
#[derive(Clone, Copy, Default)]
pub(crate) struct Batch<'a> {
    references: &'a [Passing],
    /// Of all of them.
    extents: usize,
    descriptors: usize,
}

impl Batch<'_> {
    pub(crate) fn len(&self) -> usize {
        self.references.len()
    }

    /// The credit they take.
    pub(crate) fn bytes(&self) -> usize {
        self.len() * REFERENCE_BYTES as usize
    }
}

impl Tx {
    /// Whether a frame of any size, with references before it, would find room.
    fn has_room(&mut self, inbox: &PeerSegment) -> Result<bool, PeerMisbehaved> {
        Ok(self.producer.has_room_for_piece(inbox)?
            && self.may_hand_over(inbox, BATCH_DESCRIPTORS)?)
    }

    /// Whether the peer has taken enough descriptors to be handed so many more.
    fn may_hand_over(&mut self, inbox: &PeerSegment, count: usize) -> Result<bool, PeerMisbehaved> {
        if self.handed_over.len() + count > UNREAD_REFERENCES {
            self.producer.is_drained(inbox)?;
            let taken = self.producer.acknowledged();
            while self
                .handed_over
                .pop_front_if(|sent| *sent < taken)
                .is_some()
            {}
        }
        Ok(self.owed.is_empty() && self.handed_over.len() + count <= UNREAD_REFERENCES)
    }

    /// Has the peer ring when it makes room, once more.
    pub(crate) fn want_room_again(&mut self, outbox: &OwnedSegment) {
        self.wants_room.get_up(outbox);
        self.wants_room.lie_down(outbox);
    }
}

impl Shared {
    /// Puts references into the ring, and a frame behind them if there is one. False,
    /// with nothing sent, if there is no room, or if the stream was reset before
    /// the peer has heard of it.
    pub(crate) fn send_parts(
        &self,
        cell: &StreamCell,
        batch: Batch<'_>,
        parts: Option<&Outgoing<'_>>,
    ) -> Result<bool, StreamError> {
        if let Some(over) = self.over.get() {
            return Err(over.clone().into());
        }
        let mut tx = self.tx();
        if parts.is_some_and(|parts| parts.head.is_some()) && tx.going_away {
            return Err(ConnectionError::GoingAway { peer: self.label() }.into());
        }
        if cell.is_withheld() {
            return Ok(false);
        }
        let sent = match self.flush_unsent(&mut tx) {
            Ok(true) if !batch.references.is_empty() => {
                // Whoever sleeps is woken by the descriptors, and then finds all that
                // they are for; whoever looks at the ring finds them there.
                let asleep = tx.bell.must_ring(&self.inbox);
                let sent = self.push_with_references(&mut tx, asleep, cell, batch, parts);
                if asleep && matches!(sent, Ok(Ok(true))) && tx.owed.is_empty() {
                    // Rung by the descriptors, of which each reference has one at least. A
                    // peer that has taken it all by now and sleeps again is not to be
                    // woken once more.
                    return Ok(true);
                }
                if asleep {
                    self.ring();
                }
                sent
            }
            Ok(true) => Ok(self.push(&mut tx, cell, parts)),
            flushed => Ok(flushed),
        };
        match sent {
            Ok(sent) => Ok(self.after_push(tx, sent)?),
            Err(error) => {
                self.after_push(tx, Ok(false))?;
                Err(self.not_handed_over(error).into())
            }
        }
    }

    fn push(
        &self,
        tx: &mut Tx,
        cell: &StreamCell,
        parts: Option<&Outgoing<'_>>,
    ) -> Result<bool, PeerMisbehaved> {
        let Some(parts) = parts else { return Ok(true) };
        let pushed = tx
            .producer
            .push_parts(&self.outbox, &self.inbox, cell.id, parts);
        if let Ok(true) = pushed {
            cell.announced();
        }
        pushed
    }

    /// Those of the first references that may go together, with so many bytes of
    /// credit.
    pub(crate) fn batch<'a>(&self, references: &'a [Passing], credit_bytes: usize) -> Batch<'a> {
        let mut batch = Batch::default();
        let Some(connection) = self.references.as_ref().filter(|_| !references.is_empty()) else {
            return batch;
        };
        let affordable = credit_bytes / REFERENCE_BYTES as usize;
        for (count, passing) in references.iter().take(affordable).enumerate() {
            let extents = batch.extents + passing.passed().extents().len();
            let descriptors = batch.descriptors + passing.descriptors();
            if extents > connection.extents_limit() || descriptors > BATCH_DESCRIPTORS {
                break;
            }
            batch = Batch {
                references: &references[..=count],
                extents,
                descriptors,
            };
        }
        batch
    }

    fn push_with_references(
        &self,
        tx: &mut Tx,
        asleep: bool,
        cell: &StreamCell,
        batch: Batch<'_>,
        parts: Option<&Outgoing<'_>>,
    ) -> Result<Result<bool, PeerMisbehaved>, Errno> {
        let Batch {
            references,
            extents,
            descriptors,
        } = batch;
        debug_assert!(descriptors > 0, "what is empty goes by value");
        let room = tx.producer.has_room_for_extents(&self.inbox, extents);
        let room = room.and_then(|room| Ok(room && tx.may_hand_over(&self.inbox, descriptors)?));
        if !matches!(room, Ok(true)) {
            return Ok(room);
        }
        if !asleep {
            self.hand_over(tx, references)?;
        }
        let mut pushed = Ok(true);
        for passing in references {
            let extents = passing.extents(cell.id);
            let producer = &mut tx.producer;
            pushed = pushed.and_then(|_| producer.push_extents(&self.outbox, &self.inbox, extents));
        }
        crash_point!("refs.extents-pushed");
        let last = tx.producer.sent() - 1;
        for _ in 0..descriptors {
            tx.handed_over.push_back(last);
        }
        let pushed = pushed.and_then(|_| self.push(tx, cell, parts));
        crash_point!("refs.frame-pushed");
        if asleep {
            self.hand_over(tx, references)?;
        }
        if !tx.owed.is_empty() {
            self.owes.store(true, Ordering::Relaxed);
            self.wake_driver();
        }
        Ok(pushed)
    }

    fn hand_over(&self, tx: &mut Tx, references: &[Passing]) -> Result<(), Errno> {
        for passing in references {
            for descriptor in passing.passed().descriptors() {
                tx.owed.hand_over(self.socket.as_fd(), descriptor)?;
                crash_point!("refs.descriptor-handed-over");
            }
            passing.passed().sent();
        }
        crash_point!("refs.descriptors-handed-over");
        Ok(())
    }

    /// Closes: frames and descriptors no longer go together. Not with `tx` held.
    pub(crate) fn not_handed_over(&self, error: Errno) -> ConnectionError {
        let peer = self.label();
        self.close(match error {
            // Only a peer that answers no doorbell lets the socket fill.
            Errno::AGAIN => return self.peer_stuck(),
            Errno::PIPE | Errno::CONNRESET => ConnectionError::PeerGone { peer },
            error => ConnectionError::Socket {
                peer,
                error: Arc::new(error.into()),
            },
        })
    }

    /// Tells the peer that a stream is over, if it has heard of it.
    pub(crate) fn send_reset(&self, cell: &StreamCell, code: ResetCode) {
        let tx = self.tx();
        if !cell.is_announced() {
            cell.withhold();
            return;
        }
        let stream = cell.id;
        // A connection that is over needs no reset.
        let _ = self.put_control(tx, Control::Reset { stream, code });
    }

    /// Puts a control frame into the ring, or keeps it until there is room.
    pub(crate) fn send_control(&self, control: Control) -> Result<(), ConnectionError> {
        self.put_control(self.tx(), control)
    }

    fn put_control(
        &self,
        mut tx: MutexGuard<'_, Tx>,
        control: Control,
    ) -> Result<(), ConnectionError> {
        if let Some(over) = self.over.get() {
            return Err(over.clone());
        }
        let mut sent = self.flush_unsent(&mut tx).and_then(|flushed| {
            Ok(flushed
                && tx
                    .producer
                    .push_control(&self.outbox, &self.inbox, control)?)
        });
        if let Ok(false) = sent {
            if tx.unsent.len() > self.unsent_limit() {
                drop(tx);
                return Err(self.peer_stuck());
            }
            tx.unsent.push(control);
            self.room_wanted.store(true, Ordering::Relaxed);
            tx.wants_room.lie_down(&self.outbox);
            // SYNC: pairs with the fence in `Ringer::must_ring`: the peer moved
            // its cursor before we lay down, or sees that we did.
            sent = self.flush_unsent(&mut tx);
        }
        self.after_push(tx, sent).map(|_| ())
    }

    /// Frames, and tasks with frames, that may wait for room.
    fn unsent_limit(&self) -> usize {
        self.streams as usize * UNSENT_PER_STREAM + BATCH
    }

    /// Closes: only a peer that makes us answer and never reads gets so far.
    fn peer_stuck(&self) -> ConnectionError {
        self.close(ConnectionError::PeerStuck {
            peer: self.label(),
            frames: self.unsent_limit(),
        })
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

    pub(crate) fn ring(&self) {
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
        if has_room().is_none()
            && self
                .look(self.side == Side::Client, true, has_room)
                .is_none()
        {
            let mut tx = self.tx();
            let waits = |(waiter, _): &(Waker, Waiting)| waiter.will_wake(cx.waker());
            if !tx.room_waiters.iter().any(waits) {
                if tx.room_waiters.len() > self.unsent_limit() {
                    drop(tx);
                    return Poll::Ready(Err(self.peer_stuck()));
                }
                tx.room_waiters.push((cx.waker().clone(), Waiting::new()));
            }
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

    pub(crate) fn has_room(&self) -> bool {
        // A lie in the cursor comes out at the next push.
        self.tx().has_room(&self.inbox).unwrap_or(true)
    }

    /// Wakes those who wait for room, if there is some.
    pub(crate) fn give_room(&self) -> Result<(), ConnectionError> {
        if !self.room_wanted.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut tx = self.tx();
        let ready = self
            .flush_unsent(&mut tx)
            .and_then(|flushed| Ok(flushed && tx.has_room(&self.inbox)?));
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
}
