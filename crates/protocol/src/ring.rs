//! The ring: one producer, one consumer, one writer per byte.
//!
//! The producer writes frames into the ring of *its* outbox and the consumer
//! publishes how far it has read in *its own* outbox. A slot is valid when it
//! bears the stamp of the current turn, so a consumer that waits looks at one
//! cache line, and finds the frame in the line that it has just fetched.
//!
//! Rules:
//! 1. Only the owner of an outbox stores to it ([`WriteMemory`]).
//! 2. A slot's words and its payload are stored before its stamp (release); the
//!    stamp is loaded (acquire) before any of them.
//! 3. The cursor is stored (release) after the payloads it passes were copied
//!    out, and loaded (acquire) before their places are written again.
//! 4. What the peer wrote is copied out once and only the copy is looked at.
//! 5. Neither side reads back what it wrote: its own state is private.

use std::sync::atomic::Ordering;

use crate::frame::{
    self, Extent, FLAG_ANSWER, FLAG_DATA, FLAG_END, FLAG_HEAD, FLAG_INLINE, FLAG_TAIL, Frame,
    INLINE_BYTES, INLINE_WORD, KIND_CREDIT, KIND_GO_AWAY, KIND_PARTS, KIND_PING, KIND_RESET,
    KIND_RETIRE, KIND_SEGMENT, Message, MessageKind, Pages, Parts, Place, ResetCode, SLOT_WORDS,
    Slot, StreamId,
};
use crate::geometry::{CURSOR_OFFSET, Geometry, SLOT_BYTES};
use crate::memory::{ReadMemory, WriteMemory};
use crate::misbehaved::PeerMisbehaved;

/// Parts of a call on their way into a ring.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing<'a> {
    /// The header block, if it goes with this frame.
    pub head: Option<&'a [u8]>,
    /// Message data, if any goes with this frame.
    pub data: Option<&'a [u8]>,
    /// The trailer block, if it goes with this frame; ends the stream.
    pub tail: Option<&'a [u8]>,
    /// Nothing more will be sent on this stream.
    pub end: bool,
}

impl Outgoing<'_> {
    fn payload_bytes(&self) -> usize {
        [self.head, self.data, self.tail]
            .into_iter()
            .flatten()
            .map(<[u8]>::len)
            .sum()
    }

    fn flags(&self) -> u8 {
        let flag = |there: bool, flag: u8| if there { flag } else { 0 };
        flag(self.head.is_some(), FLAG_HEAD)
            | flag(self.data.is_some(), FLAG_DATA)
            | flag(self.tail.is_some(), FLAG_TAIL)
            | flag(self.end || self.tail.is_some(), FLAG_END)
    }
}

/// A frame without payload on its way into a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// See [`Frame::Credit`].
    Credit {
        /// The stream.
        stream: StreamId,
        /// Bytes granted.
        bytes: u32,
    },
    /// See [`Frame::Reset`].
    Reset {
        /// The stream.
        stream: StreamId,
        /// The reason.
        code: ResetCode,
    },
    /// See [`Frame::GoAway`].
    GoAway,
    /// See [`Frame::Ping`].
    Ping {
        /// Sent back in the answer.
        token: u64,
        /// Whether this is the answer.
        answer: bool,
    },
    /// See [`Frame::Segment`].
    Segment {
        /// Page of the heap at which the segment begins.
        page: u32,
        /// Its length in pages; not 0.
        pages: u32,
    },
    /// See [`Frame::Retire`].
    Retire {
        /// Page of the heap at which the segment begins.
        page: u32,
    },
    /// See [`Frame::Release`]. Without pages there is nothing to say, and nothing
    /// is written.
    Release(Pages),
}

/// The writing end: state of the owner of the outbox.
#[derive(Debug)]
pub struct Producer {
    geometry: Geometry,
    /// Frames written so far.
    sent: u64,
    /// Frames the consumer is known to have taken.
    acknowledged: u64,
    /// Bytes of the data area handed out and given back so far, gaps included.
    data_sent: u64,
    data_acknowledged: u64,
    /// `data_sent` after the frame in each slot.
    data_after: Box<[u64]>,
}

impl Producer {
    /// The writing end of a ring that nothing has been written to.
    pub fn new(geometry: Geometry) -> Self {
        Self {
            geometry,
            sent: 0,
            acknowledged: 0,
            data_sent: 0,
            data_acknowledged: 0,
            data_after: vec![0; geometry.ring_slots() as usize].into_boxed_slice(),
        }
    }

    /// The geometry of the outbox written to.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Frames written so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Frames the consumer was last seen to have taken.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Writes the extents of references that go with the frame to be pushed next;
    /// false, with nothing written, if there is not room for them and for the
    /// largest frame now.
    ///
    /// # Errors
    /// If the peer's cursor is a lie.
    #[inline]
    pub fn push_extents(
        &mut self,
        outbox: &impl WriteMemory,
        peer: &impl ReadMemory,
        extents: impl ExactSizeIterator<Item = Extent>,
    ) -> Result<bool, PeerMisbehaved> {
        if !self.has_room_for_extents(peer, extents.len())? {
            return Ok(false);
        }
        for extent in extents {
            self.publish_slot(outbox, extent.to_words());
        }
        Ok(true)
    }

    /// Whether so many extents would find room, and the largest frame behind them.
    ///
    /// # Errors
    /// If the peer's cursor is a lie.
    pub fn has_room_for_extents(
        &mut self,
        peer: &impl ReadMemory,
        extents: usize,
    ) -> Result<bool, PeerMisbehaved> {
        // One more than their number: some calls take two frames.
        let slots = extents as u64 + 1;
        let piece = self.geometry.piece_bytes().next_multiple_of(SLOT_BYTES) as u64;
        self.has_room(peer, self.reserve() + slots, 2 * piece)
    }

    /// Most extents that [`push_extents`](Self::push_extents) ever finds room for.
    pub fn extents_limit(&self) -> usize {
        (self.geometry.ring_slots() / 2) as usize
    }

    /// Writes parts of a call; false if there is no room now.
    ///
    /// # Errors
    /// If the peer's cursor is a lie.
    ///
    /// # Panics
    /// If the payload is longer than [`Geometry::piece_bytes`].
    pub fn push_parts(
        &mut self,
        outbox: &impl WriteMemory,
        peer: &impl ReadMemory,
        stream: StreamId,
        parts: &Outgoing<'_>,
    ) -> Result<bool, PeerMisbehaved> {
        let bytes = parts.payload_bytes();
        assert!(
            bytes <= self.geometry.piece_bytes(),
            "payload of {bytes} bytes in one frame"
        );
        let flags = parts.flags();
        let lengths =
            [parts.head, parts.data, parts.tail].map(|part| part.map_or(0, <[u8]>::len) as u32);
        let pieces = [parts.head, parts.data, parts.tail].into_iter().flatten();
        let reserve = self.reserve();
        if bytes <= INLINE_BYTES {
            if !self.has_room(peer, reserve, 0)? {
                return Ok(false);
            }
            let mut inline = [0; INLINE_BYTES];
            let mut at = 0;
            for piece in pieces {
                inline[at..at + piece.len()].copy_from_slice(piece);
                at += piece.len();
            }
            let words = frame::slot_words(
                KIND_PARTS,
                flags | FLAG_INLINE,
                stream,
                [0, lengths[0], lengths[1], lengths[2]],
            );
            self.publish(outbox, words, &inline[..at]);
            return Ok(true);
        }
        let area = u64::from(self.geometry.data_bytes());
        let needed = bytes.next_multiple_of(SLOT_BYTES) as u64;
        let position = self.data_sent % area;
        let gap = if position + needed > area {
            area - position
        } else {
            0
        };
        if !self.has_room(peer, reserve, gap + needed)? {
            return Ok(false);
        }
        let offset = ((self.data_sent + gap) % area) as usize;
        let mut at = self.geometry.data_offset() + offset;
        for piece in pieces {
            outbox.copy_in(at, piece);
            at += piece.len();
        }
        self.data_sent += gap + needed;
        let words = frame::slot_words(
            KIND_PARTS,
            flags,
            stream,
            [offset as u32, lengths[0], lengths[1], lengths[2]],
        );
        self.publish(outbox, words, &[]);
        Ok(true)
    }

    /// Writes a native call or a reply to one; false if there is no room now.
    ///
    /// # Errors
    /// If the peer's cursor is a lie.
    ///
    /// # Panics
    /// In debug builds, if the message has flags that its kind does not have, or
    /// is a reply with a timeout.
    #[inline]
    pub fn push_message(
        &mut self,
        outbox: &impl WriteMemory,
        peer: &impl ReadMemory,
        kind: MessageKind,
        message: &Message,
    ) -> Result<bool, PeerMisbehaved> {
        if !self.has_room_for_message(peer)? {
            return Ok(false);
        }
        self.publish_slot(outbox, message.to_words(kind));
        Ok(true)
    }

    /// Writes a frame without payload; false if there is no room now.
    ///
    /// # Errors
    /// If the peer's cursor is a lie.
    pub fn push_control(
        &mut self,
        outbox: &impl WriteMemory,
        peer: &impl ReadMemory,
        control: Control,
    ) -> Result<bool, PeerMisbehaved> {
        if !self.has_room(peer, 0, 0)? {
            return Ok(false);
        }
        let none = StreamId { index: 0, call: 0 };
        let words = match control {
            Control::Credit { stream, bytes } => {
                frame::slot_words(KIND_CREDIT, 0, stream, [bytes, 0, 0, 0])
            }
            Control::Reset { stream, code } => {
                frame::slot_words(KIND_RESET, 0, stream, [code.to_wire(), 0, 0, 0])
            }
            Control::GoAway => frame::slot_words(KIND_GO_AWAY, 0, none, [0; 4]),
            Control::Segment { page, pages } => frame::segment_words(KIND_SEGMENT, page, pages),
            Control::Retire { page } => frame::segment_words(KIND_RETIRE, page, 0),
            Control::Release(pages) => {
                if !pages.is_empty() {
                    self.publish_slot(outbox, pages.to_words());
                }
                return Ok(true);
            }
            Control::Ping { token, answer } => {
                let flags = if answer { FLAG_ANSWER } else { 0 };
                frame::slot_words(
                    KIND_PING,
                    flags,
                    none,
                    [token as u32, (token >> 32) as u32, 0, 0],
                )
            }
        };
        self.publish(outbox, words, &[]);
        Ok(true)
    }

    /// Whether the consumer has taken everything.
    ///
    /// # Errors
    /// If the peer's cursor is a lie.
    pub fn is_drained(&mut self, peer: &impl ReadMemory) -> Result<bool, PeerMisbehaved> {
        self.refresh(peer)?;
        Ok(self.acknowledged == self.sent)
    }

    /// Whether a frame with a payload of the largest size would find room.
    ///
    /// # Errors
    /// If the peer's cursor is a lie.
    pub fn has_room_for_piece(&mut self, peer: &impl ReadMemory) -> Result<bool, PeerMisbehaved> {
        // A gap at the end of the area is shorter than the piece that caused it.
        let piece = self.geometry.piece_bytes().next_multiple_of(SLOT_BYTES) as u64;
        self.has_room(peer, self.reserve(), 2 * piece)
    }

    /// Whether a call or a reply would find room.
    ///
    /// # Errors
    /// If the peer's cursor is a lie.
    #[inline]
    pub fn has_room_for_message(&mut self, peer: &impl ReadMemory) -> Result<bool, PeerMisbehaved> {
        self.has_room(peer, self.reserve(), 0)
    }

    /// Slots left to control frames: credit must flow while data waits.
    #[inline]
    fn reserve(&self) -> u64 {
        u64::from(self.geometry.ring_slots() / 8)
    }

    #[inline]
    fn has_room(
        &mut self,
        peer: &impl ReadMemory,
        reserve: u64,
        data: u64,
    ) -> Result<bool, PeerMisbehaved> {
        if self.fits(reserve, data) {
            return Ok(true);
        }
        self.refresh(peer)?;
        Ok(self.fits(reserve, data))
    }

    #[inline]
    fn fits(&self, reserve: u64, data: u64) -> bool {
        let slots = u64::from(self.geometry.ring_slots()) - (self.sent - self.acknowledged);
        let free =
            u64::from(self.geometry.data_bytes()) - (self.data_sent - self.data_acknowledged);
        slots > reserve && free >= data
    }

    fn refresh(&mut self, peer: &impl ReadMemory) -> Result<(), PeerMisbehaved> {
        // SYNC: pairs with the release store in `Consumer::publish` (rule 3).
        let found = peer.load(CURSOR_OFFSET, Ordering::Acquire);
        if found < self.acknowledged || found > self.sent {
            return Err(PeerMisbehaved::Cursor {
                found,
                acknowledged: self.acknowledged,
                sent: self.sent,
            });
        }
        if found > self.acknowledged {
            self.data_acknowledged = self.data_after[self.geometry.slot_index(found - 1)];
            self.acknowledged = found;
        }
        Ok(())
    }

    /// Writes a slot with as much of its second half as is `inline`; the rest of
    /// it stays as it is.
    fn publish(&mut self, outbox: &impl WriteMemory, words: [u64; INLINE_WORD], inline: &[u8]) {
        let at = self.geometry.slot_offset(self.sent);
        for (i, bytes) in inline.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            outbox.store(
                at + (INLINE_WORD + i) * 8,
                u64::from_le_bytes(word),
                Ordering::Relaxed,
            );
        }
        let [first, rest @ ..] = words;
        outbox.store_words(at + 8, rest);
        self.stamp(outbox, at, first);
    }

    /// Writes a whole slot.
    #[inline]
    fn publish_slot(&mut self, outbox: &impl WriteMemory, words: [u64; SLOT_WORDS]) {
        let at = self.geometry.slot_offset(self.sent);
        let [first, rest @ ..] = words;
        outbox.store_words(at + 8, rest);
        self.stamp(outbox, at, first);
    }

    /// Writes the first word of the slot `at`, which makes it a frame.
    #[inline]
    fn stamp(&mut self, outbox: &impl WriteMemory, at: usize, first: u64) {
        let stamp = u64::from(self.geometry.stamp(self.sent));
        // SYNC: pairs with the acquire load in `Consumer::peek` (rule 2).
        outbox.store(at, first | stamp, Ordering::Release);
        self.data_after[self.geometry.slot_index(self.sent)] = self.data_sent;
        self.sent += 1;
    }
}

/// The reading end: state of the peer of the owner.
#[derive(Debug)]
pub struct Consumer {
    geometry: Geometry,
    /// Frames taken so far.
    taken: u64,
    /// The cursor as the peer can see it.
    published: u64,
    /// Payload bytes taken since the cursor was published.
    unpublished_bytes: usize,
}

impl Consumer {
    /// The reading end of a ring in an outbox of this geometry.
    pub fn new(geometry: Geometry) -> Self {
        Self {
            geometry,
            taken: 0,
            published: 0,
            unpublished_bytes: 0,
        }
    }

    /// The geometry of the outbox read from.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Frames taken so far.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Frames taken, as far as the peer has been told.
    pub fn published(&self) -> u64 {
        self.published
    }

    /// Whether a frame is there, without looking into it.
    #[inline]
    pub fn is_ready(&self, peer: &impl ReadMemory) -> bool {
        let word = peer.load(self.geometry.slot_offset(self.taken), Ordering::Relaxed);
        word as u32 == self.geometry.stamp(self.taken)
    }

    /// Copies out and checks the next frame, if there is one. It stays in the
    /// ring until [`advance`](Self::advance).
    ///
    /// # Errors
    /// If what is there is not a frame.
    #[inline]
    pub fn peek(&self, peer: &impl ReadMemory) -> Result<Option<Frame>, PeerMisbehaved> {
        match self.peek_slot(peer)? {
            Some(slot) => slot.frame().map(Some),
            None => Ok(None),
        }
    }

    /// Copies out the slot of the next frame, if there is one: for those who look for
    /// a message there before anything else.
    ///
    /// # Errors
    /// If it has the stamp of another frame.
    #[inline]
    pub fn peek_slot(&self, peer: &impl ReadMemory) -> Result<Option<Slot>, PeerMisbehaved> {
        let at = self.geometry.slot_offset(self.taken);
        // SYNC: pairs with the release store in `Producer::publish` (rule 2).
        let first = peer.load(at, Ordering::Acquire);
        let expected = self.geometry.stamp(self.taken);
        let found = first as u32;
        if found != expected {
            if found == expected.wrapping_sub(1) {
                return Ok(None);
            }
            return Err(self.wrong_stamp(found, expected));
        }
        let [a, b, c, d, e, f, g] = peer.load_words(at + 8);
        let words = [first, a, b, c, d, e, f, g];
        Ok(Some(Slot::new(words, self.geometry)))
    }

    #[cold]
    fn wrong_stamp(&self, found: u32, expected: u32) -> PeerMisbehaved {
        PeerMisbehaved::Stamp {
            slot: self.geometry.slot_index(self.taken) as u32,
            found,
            expected,
        }
    }

    /// Copies the payload of the frame just peeked at into `into`, which is as
    /// long as [`Parts::payload_bytes`].
    ///
    /// # Panics
    /// If `into` has another length.
    pub fn copy_payload(&self, peer: &impl ReadMemory, parts: &Parts, into: &mut [u8]) {
        self.copy_payload_range(peer, parts, 0, into);
        assert_eq!(
            into.len(),
            parts.payload_bytes(),
            "payload copied into a buffer of another size"
        );
    }

    /// Copies `into.len()` bytes of the payload, from its byte `from` on.
    ///
    /// # Panics
    /// If the payload is shorter than that.
    pub fn copy_payload_range(
        &self,
        peer: &impl ReadMemory,
        parts: &Parts,
        from: usize,
        into: &mut [u8],
    ) {
        assert!(
            from + into.len() <= parts.payload_bytes(),
            "range outside the payload"
        );
        match &parts.place {
            Place::Slot(words) => {
                let mut bytes = [0; INLINE_BYTES];
                for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
                    chunk.copy_from_slice(&word.to_le_bytes());
                }
                into.copy_from_slice(&bytes[from..from + into.len()]);
            }
            Place::Area { offset } => {
                peer.copy_out(self.geometry.data_offset() + *offset as usize + from, into)
            }
        }
    }

    /// Passes the frame just peeked at. The cursor is published when a quarter
    /// of the ring or of the data area has been taken since; the caller
    /// publishes the rest when it has nothing left to read.
    #[inline]
    pub fn advance(&mut self, outbox: &impl WriteMemory, payload_bytes: usize) {
        self.taken += 1;
        self.unpublished_bytes += payload_bytes;
        if self.taken - self.published >= u64::from(self.geometry.ring_slots() / 4)
            || self.unpublished_bytes >= self.geometry.data_bytes() as usize / 4
        {
            self.publish(outbox);
        }
    }

    /// Publishes the cursor; true if it moved.
    #[inline]
    pub fn publish(&mut self, outbox: &impl WriteMemory) -> bool {
        if self.published == self.taken {
            return false;
        }
        // SYNC: pairs with the acquire load in `Producer::refresh` (rule 3).
        outbox.store(CURSOR_OFFSET, self.taken, Ordering::Release);
        self.published = self.taken;
        self.unpublished_bytes = 0;
        true
    }
}
