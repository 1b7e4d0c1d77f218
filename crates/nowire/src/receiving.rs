//! What comes in on a connection: frames off the ring, to the streams they are for.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use nowire_protocol::PeerMisbehaved;
use nowire_protocol::bell::{Ringer, Sleeper};
use nowire_protocol::frame::{Extent, Frame, KIND_EXTENT, Parts, StreamId};
use nowire_protocol::geometry::{Geometry, SLEEPING_OFFSET, WANTS_ROOM_OFFSET};
use nowire_protocol::head::Block;
use nowire_protocol::ring::{Consumer, Control};
use nowire_protocol::stream::Side;
use smallvec::smallvec;

use crate::cell::{Data, Half, StreamCell};
use crate::crash::crash_point;
use crate::descriptors::{Handed, Socket};
use crate::driver::EMPTY_RINGS;
use crate::error::{ConnectionError, StreamError};
use crate::refs::{Arriving, Come, Step};
use crate::shared::{BATCH, Shared};
use crate::table::Found;
use crate::wait::{Hot, Wait, Window};

/// References that may come before the frame that opens their stream.
const AHEAD_LIMIT: usize = 64;

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
    pub(crate) lookers: u32,
    room_bell: Ringer,
    scratch: Vec<u8>,
    /// Pings sent and not answered: at most one.
    pub(crate) ping: Option<u64>,
    arriving: Arriving,
    /// References that came before the frame that opens their stream.
    ahead: Vec<Come>,
    /// The next frame needs a descriptor that has not come; it rings when it does.
    stalled: bool,
}

impl Rx {
    pub(crate) fn new(inbox: Geometry, wait: Wait) -> Self {
        Self {
            consumer: Consumer::new(inbox),
            sleeper: Sleeper::new(SLEEPING_OFFSET),
            window: Window::new(wait),
            waiting_since: None,
            hot: None,
            lookers: 0,
            room_bell: Ringer::new(WANTS_ROOM_OFFSET),
            scratch: Vec::new(),
            ping: None,
            arriving: Arriving::default(),
            ahead: Vec::new(),
            stalled: false,
        }
    }
}

impl Rx {
    /// Lets go of what has come in part and will not go on.
    pub(crate) fn give_up(&mut self) {
        self.hot = None;
        self.arriving = Arriving::default();
        self.ahead = Vec::new();
    }

    /// References that come before their stream is known come right before the
    /// frame that opens it.
    fn expect_no_reference(&mut self, frame: &Frame) -> Result<(), PeerMisbehaved> {
        if self.arriving.is_amid() {
            return Err(PeerMisbehaved::References("a frame amid one"));
        }
        let opens =
            |come: &Come| matches!(frame, Frame::Parts(parts) if parts.stream == come.stream);
        if !self.ahead.iter().all(opens) {
            return Err(PeerMisbehaved::References("without their stream"));
        }
        Ok(())
    }
}

impl Shared {
    /// Takes up to a batch of frames off the ring. Streams that come go to
    /// `arrivals`, or are left for the driver.
    pub(crate) fn pump(
        &self,
        rx: &mut Rx,
        mut arrivals: Option<&mut Vec<Arc<StreamCell>>>,
    ) -> Result<usize, ConnectionError> {
        if let Some(over) = self.over.get() {
            return Err(over.clone());
        }
        let mut taken = 0;
        while taken < BATCH {
            match rx.consumer.peek(&self.inbox) {
                Ok(Some(frame)) => {
                    rx.stalled = !self.dispatch(rx, frame, &mut arrivals)?;
                    if rx.stalled {
                        break;
                    }
                }
                Ok(None) => break,
                Err(what) => return Err(self.misbehaved(what)),
            }
            taken += 1;
        }
        if taken > 0 {
            rx.waiting_since = None;
            rx.consumer.publish(&self.outbox);
            if rx.room_bell.must_ring(&self.inbox)
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
        self.has_frame(rx) || (self.room_wanted.load(Ordering::Relaxed) && self.has_room())
    }

    /// Whether there is a frame that can be taken.
    pub(crate) fn has_frame(&self, rx: &Rx) -> bool {
        !rx.stalled && rx.consumer.is_ready(&self.inbox)
    }

    /// Whether the frame could be taken already.
    fn dispatch(
        &self,
        rx: &mut Rx,
        frame: Frame,
        arrivals: &mut Option<&mut Vec<Arc<StreamCell>>>,
    ) -> Result<bool, ConnectionError> {
        let mut payload_bytes = 0;
        if !matches!(frame, Frame::Extent(_))
            && let Err(what) = rx.expect_no_reference(&frame)
        {
            return Err(self.misbehaved(what));
        }
        let result = match frame {
            Frame::Extent(extent) => match self.take_extent(rx, &extent) {
                Ok(false) => return Ok(false),
                taken => taken.map(drop),
            },
            Frame::Parts(parts) => {
                payload_bytes = parts.payload_bytes();
                self.take_parts(rx, &parts, arrivals)
            }
            Frame::Credit { stream, bytes } => match self.find(stream)? {
                Found::Open(cell) => {
                    let mut state = cell.lock();
                    let granted = state.outbound.grant(bytes);
                    let waker = state.unpark(Half::Writer);
                    let credit = state.outbound.credit_bytes();
                    let unconsumed = (self.send_window_bytes as usize).saturating_sub(credit);
                    let settled = state.references.unconsumed(unconsumed);
                    drop(state);
                    cell.settled(settled);
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
            // Of native calls, which this connection does not carry.
            native @ (Frame::Call(_)
            | Frame::Reply(_)
            | Frame::Segment { .. }
            | Frame::Retire { .. }
            | Frame::Release(_)) => Err(PeerMisbehaved::Kind(native.kind())),
        };
        result.map_err(|what| self.misbehaved(what))?;
        rx.consumer.advance(&self.outbox, payload_bytes);
        Ok(true)
    }

    /// Whether the extent's descriptor has come.
    fn take_extent(&self, rx: &mut Rx, extent: &Extent) -> Result<bool, PeerMisbehaved> {
        let Some(references) = &self.references else {
            return Err(PeerMisbehaved::Kind(KIND_EXTENT));
        };
        if rx.ahead.len() > AHEAD_LIMIT {
            return Err(PeerMisbehaved::References("too many before their stream"));
        }
        let Rx {
            arriving, sleeper, ..
        } = rx;
        let next = || self.next_descriptor(sleeper);
        let come = match arriving.take(extent, references.source(), next)? {
            Step::Wait => return Ok(false),
            Step::Amid => return Ok(true),
            Step::Come(come) => come,
        };
        crash_point!("refs.arrived");
        let found = self.table().find(come.stream)?;
        match found {
            Found::Open(cell) => self.bring(&cell, come)?,
            Found::Over => {}
            Found::Fresh if self.side == Side::Server => rx.ahead.push(come),
            Found::Fresh => return Err(PeerMisbehaved::UnknownStream(come.stream)),
        }
        Ok(true)
    }

    /// The next descriptor of the control socket, if it has come. It is sent before
    /// its frame or, to a peer that sleeps, behind it, as the doorbell.
    fn next_descriptor(&self, sleeper: &mut Sleeper) -> Result<Option<Handed>, PeerMisbehaved> {
        // With the lock held: whoever takes one off the socket puts it here first.
        let mut descriptors = self.descriptors();
        let mut rung = 0_u32;
        loop {
            if let Some(handed) = descriptors.next() {
                crash_point!("refs.descriptor-taken");
                return Ok(Some(handed));
            }
            match descriptors.take_in(self.socket.as_fd())? {
                // The peer rings no second time for one lying down.
                Socket::Rung(times) => {
                    sleeper.get_up(&self.outbox);
                    // Who rings without end must not hold us here.
                    rung += times;
                    if rung > EMPTY_RINGS {
                        return Err(PeerMisbehaved::DoorbellStorm(rung));
                    }
                }
                Socket::Empty | Socket::HungUp => return Ok(None),
            }
        }
    }

    /// Keeps a reference for its stream.
    fn bring(&self, cell: &StreamCell, come: Come) -> Result<(), PeerMisbehaved> {
        let Some(references) = &self.references else {
            return Ok(());
        };
        let mut state = cell.lock();
        let credit = state.bring_reference()?;
        let discards = state.discards;
        drop(state);
        // With the stream's end, it is forgotten.
        if !discards
            && !references
                .arrived()
                .keep(come.stream, come.number, come.reference)
        {
            return Err(PeerMisbehaved::References("two of one number"));
        }
        crash_point!("refs.kept");
        if let Some(bytes) = credit {
            let _ = self.send_control(Control::Credit {
                stream: cell.id,
                bytes,
            });
        }
        Ok(())
    }

    fn find(&self, stream: StreamId) -> Result<Found, ConnectionError> {
        // The table is free again before the connection is closed over it.
        let found = self.table().find(stream);
        found.map_err(|what| self.misbehaved(what))
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

    fn take_parts(
        &self,
        rx: &mut Rx,
        parts: &Parts,
        arrivals: &mut Option<&mut Vec<Arc<StreamCell>>>,
    ) -> Result<(), PeerMisbehaved> {
        let (cell, arrived) = {
            let mut table = self.table();
            match table.find(parts.stream)? {
                Found::Over => return Ok(()),
                Found::Open(cell) => {
                    // Nothing comes after the server's end, so the client may
                    // use the place again at once.
                    if self.side == Side::Client && parts.end {
                        table.close(parts.stream);
                        self.vacate(table, parts.stream);
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
                    // Closing sets this before it empties the table.
                    if self.over.get().is_some() {
                        return Ok(());
                    }
                    let cell = self.new_cell(parts.stream);
                    table.open_at(parts.stream, Arc::clone(&cell));
                    (cell, true)
                }
            }
        };
        if !rx.ahead.is_empty() {
            while let Some(come) = rx.ahead.pop() {
                self.bring(&cell, come)?;
            }
            crash_point!("refs.frame-taken");
        }
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
        let delivered = cell.lock().deliver(parts, head, data, tail);
        let (waker, credit) = match delivered {
            Ok(delivered) => delivered,
            Err(what) => {
                // With the end, the stream has left the table, and closing does
                // not find it there.
                cell.fail(self.misbehaved(what.clone()).into());
                return Err(what);
            }
        };
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
            match arrivals {
                Some(arrivals) => arrivals.push(cell),
                None => {
                    self.arrivals
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(cell);
                    self.wake_driver();
                }
            }
        }
        Ok(())
    }

    /// Streams that came while somebody else than the driver read the ring.
    pub(crate) fn take_arrivals(&self) -> Vec<Arc<StreamCell>> {
        std::mem::take(&mut *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
