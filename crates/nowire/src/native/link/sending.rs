//! What goes out: messages and control frames into the ring, or to those that
//! wait for room.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use nowire_memory::socket;
use nowire_protocol::PeerMisbehaved;
use nowire_protocol::bell::{Ringer, Sleeper};
use nowire_protocol::frame::{Message, MessageKind, Pages, StreamId};
use nowire_protocol::geometry::{Geometry, SLEEPING_OFFSET, WANTS_ROOM_OFFSET};
use nowire_protocol::head::Block;
use nowire_protocol::ring::{Control, Outgoing, Producer};

use super::{Link, lock};
use crate::crash::crash_point;
use crate::error::ConnectionError;
use crate::native::value::Sent;

/// Messages and control frames that may wait for room, beyond those that the
/// streams can cause.
const BACKLOG: usize = 4096;

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
        }
    }
}

pub(super) enum Queued {
    Control(Control),
    Parts(StreamId, Block, Vec<u8>),
    Message(MessageKind, Message),
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
        crash_point!("send.in-the-ring");
        let ring = bell == Bell::Now && tx.bell.must_ring(&self.inbox);
        drop(tx);
        if ring {
            self.ring();
        }
        Ok(())
    }

    /// The root and metadata that do not fit into the message go ahead of it.
    pub(super) fn send_in_two(
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
            crash_point!("publish.root-sent-ahead");
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
        if !self.flush_releases(tx)? {
            return Ok(());
        }
        tx.wants_room.get_up(&self.outbox);
        self.room_wanted.store(false, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn give_room(&self) -> Result<(), ConnectionError> {
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
    pub(super) fn ring(&self) {
        // A hang-up shows to whoever waits on the same socket.
        let _ = socket::ring_doorbell(self.socket.as_fd());
    }

    /// Notes that a segment was announced just now.
    pub(super) fn has_announced(&self) {
        let mut tx = lock(&self.tx);
        let at = tx.producer.sent() + tx.backlog.len() as u64;
        tx.announced.push_back(at);
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
        queued.any(|queued| !matches!(queued, Queued::Control(_)))
    }

    pub(super) fn has_room(&self) -> bool {
        // A lie in the cursor comes out at the next push.
        lock(&self.tx)
            .producer
            .has_room_for_piece(&self.inbox)
            .unwrap_or(true)
    }
}
