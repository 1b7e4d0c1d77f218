//! The frames that pass through a ring, one slot of 64 bytes each.
//!
//! ```text
//! byte   0      4     5      6        8       12      16      20      24      28      32..64
//! parts  stamp  kind  flags  0        index   call    offset  head    data    tail    inline payload
//! credit stamp  kind  0      0        index   call    bytes   0
//! reset  stamp  kind  0      0        index   call    code    0
//! goaway stamp  kind  0      0        0       0       0       0
//! ping   stamp  kind  flags  0        0       0       token (8 bytes)
//! call   stamp  kind  flags  method   index   call    timeout 0       page    bytes   inline value
//! reply  stamp  kind  flags  status   index   call    0       0       page    bytes   inline value
//! segm.  stamp  kind  0      0        0       0       page    pages   0       0
//! retire stamp  kind  0      0        0       0       page    0       0       0
//! releas stamp  kind  count  0        0       0       pages, up to 12 of 4 bytes
//! extent stamp  kind  flags  descr.   index   call    number (8)      offset (8)      bytes (8), segment (8), 0
//! ```
//! All numbers are little-endian. `stamp` is written last and makes the frame
//! valid; `offset` is where the payload starts in the data area unless the flag
//! `INLINE` is set, when it lies in the slot itself; `head`, `data` and `tail`
//! are the lengths in bytes of the header block, the message data and the
//! trailer block, which follow one another in that order.

mod extent;
mod native;

use std::fmt;

use crate::geometry::Geometry;
use crate::misbehaved::PeerMisbehaved;

pub use extent::{Extent, FLAG_MORE, FLAG_WHOLE, KIND_EXTENT};
pub(crate) use native::segment_words;
pub use native::{
    KIND_CALL, KIND_RELEASE, KIND_REPLY, KIND_RETIRE, KIND_SEGMENT, Message, MessageKind, Pages,
    RELEASE_PAGES,
};

/// Kind number of a [`Frame::Parts`].
pub const KIND_PARTS: u8 = 1;
/// Kind number of a [`Frame::Credit`].
pub const KIND_CREDIT: u8 = 2;
/// Kind number of a [`Frame::Reset`].
pub const KIND_RESET: u8 = 3;
/// Kind number of a [`Frame::GoAway`].
pub const KIND_GO_AWAY: u8 = 4;
/// Kind number of a [`Frame::Ping`].
pub const KIND_PING: u8 = 5;

/// Flag of parts: a header block is there.
pub const FLAG_HEAD: u8 = 1;
/// Flag of parts: message data is there.
pub const FLAG_DATA: u8 = 2;
/// Flag of parts: a trailer block is there; goes with [`FLAG_END`].
pub const FLAG_TAIL: u8 = 4;
/// Flag of parts: the sender sends nothing more on this stream.
pub const FLAG_END: u8 = 8;
/// Flag of parts: the payload lies in the slot.
pub const FLAG_INLINE: u8 = 16;
/// Flag of a ping: this is the answer.
pub const FLAG_ANSWER: u8 = 1;

/// Payload bytes that fit into the slot itself.
pub const INLINE_BYTES: usize = 32;
/// Words of a slot.
pub(crate) const SLOT_WORDS: usize = 8;
/// The word of a slot at which an inline payload starts.
pub(crate) const INLINE_WORD: usize = 4;

const _: () = assert!(SLOT_WORDS * 8 == crate::geometry::SLOT_BYTES);
const _: () = assert!(INLINE_WORD * 8 + INLINE_BYTES == crate::geometry::SLOT_BYTES);

/// One call on a connection: the place it takes among the streams open at the
/// same time, and the number of the call that uses this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId {
    /// Place among the open streams, below the limit of the handshake.
    pub index: u32,
    /// Number of the call in this place, counting up from 1 and wrapping.
    pub call: u32,
}

impl StreamId {
    /// Whether this call came after `other` in the same place.
    pub fn is_after(self, other: u32) -> bool {
        self.call != other && self.call.wrapping_sub(other) < 1 << 31
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.index, self.call)
    }
}

/// Why a stream was reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResetCode {
    /// The caller gave up.
    Cancelled,
    /// The call was not begun and may be tried elsewhere.
    Refused,
    /// The handler failed without an answer.
    Failed,
    /// The deadline passed.
    DeadlineExceeded,
    /// A code this version does not know.
    Other(u32),
}

impl ResetCode {
    /// The number on the wire.
    pub fn to_wire(self) -> u32 {
        match self {
            Self::Cancelled => 1,
            Self::Refused => 2,
            Self::Failed => 3,
            Self::DeadlineExceeded => 4,
            Self::Other(code) => code,
        }
    }

    /// The code of a number on the wire.
    pub fn from_wire(code: u32) -> Self {
        match code {
            1 => Self::Cancelled,
            2 => Self::Refused,
            3 => Self::Failed,
            4 => Self::DeadlineExceeded,
            other => Self::Other(other),
        }
    }
}

/// A frame as taken off a ring: copied out of the peer's memory and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Parts of a call.
    Parts(Parts),
    /// The peer may send so many bytes more on this stream.
    Credit {
        /// The stream.
        stream: StreamId,
        /// Bytes granted on top of what was granted before.
        bytes: u32,
    },
    /// The stream is over, for this reason.
    Reset {
        /// The stream.
        stream: StreamId,
        /// The reason.
        code: ResetCode,
    },
    /// From a server: open no further streams. From a client: none will come.
    GoAway,
    /// Are you there.
    Ping {
        /// Sent back in the answer.
        token: u64,
        /// Whether this is the answer.
        answer: bool,
    },
    /// A native call, or one more item of its request.
    Call(Message),
    /// An item of the reply to a native call, or the reply that ends it.
    Reply(Message),
    /// The sender's heap has grown; the descriptor of the new segment was sent on
    /// the control socket before.
    Segment {
        /// Page of the heap at which the segment begins.
        page: u32,
        /// Its length in pages; not 0, and the last has a number.
        pages: u32,
    },
    /// The sender gives back a segment of its heap. Nothing in it may still be
    /// read by the receiver.
    Retire {
        /// Page of the heap at which the segment begins.
        page: u32,
    },
    /// The sender no longer reads these scopes of the receiver's heap.
    Release(Pages),
    /// A reference, or a part of one, which goes with the frame behind it.
    Extent(Extent),
}

impl Frame {
    /// Its kind number.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Parts(_) => KIND_PARTS,
            Self::Credit { .. } => KIND_CREDIT,
            Self::Reset { .. } => KIND_RESET,
            Self::GoAway => KIND_GO_AWAY,
            Self::Ping { .. } => KIND_PING,
            Self::Call(_) => KIND_CALL,
            Self::Reply(_) => KIND_REPLY,
            Self::Segment { .. } => KIND_SEGMENT,
            Self::Retire { .. } => KIND_RETIRE,
            Self::Release(_) => KIND_RELEASE,
            Self::Extent(_) => KIND_EXTENT,
        }
    }
}

/// Header block, data and trailers of one call, as far as one frame carries them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The stream.
    pub stream: StreamId,
    /// Length of the header block in bytes, if there is one.
    pub head_bytes: Option<u32>,
    /// Length of the data in bytes, if there is any.
    pub data_bytes: Option<u32>,
    /// Length of the trailer block in bytes, if there is one.
    pub tail_bytes: Option<u32>,
    /// Whether the sender sends nothing more on this stream.
    pub end: bool,
    pub(crate) place: Place,
}

impl Parts {
    /// Length of the whole payload in bytes.
    pub fn payload_bytes(&self) -> usize {
        [self.head_bytes, self.data_bytes, self.tail_bytes]
            .into_iter()
            .flatten()
            .map(|n| n as usize)
            .sum()
    }
}

/// Where a payload lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Slot([u64; INLINE_BYTES / 8]),
    Area { offset: u32 },
}

/// The words of a slot before they are stamped.
pub(crate) fn slot_words(
    kind: u8,
    flags: u8,
    stream: StreamId,
    rest: [u32; 4],
) -> [u64; INLINE_WORD] {
    [
        u64::from(kind) << 32 | u64::from(flags) << 40,
        pair(stream.index, stream.call),
        pair(rest[0], rest[1]),
        pair(rest[2], rest[3]),
    ]
}

/// The copy of a slot, not checked.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    words: [u64; SLOT_WORDS],
    geometry: Geometry,
}

impl Slot {
    #[inline]
    pub(crate) fn new(words: [u64; SLOT_WORDS], geometry: Geometry) -> Self {
        Self { words, geometry }
    }

    /// Whether it says that it is a message, and of which kind.
    #[inline]
    pub fn message_kind(&self) -> Option<MessageKind> {
        match (self.words[0] >> 32) as u8 {
            KIND_CALL => Some(MessageKind::Call),
            KIND_REPLY => Some(MessageKind::Reply),
            _ => None,
        }
    }

    /// Reads and checks it as a message of the [kind](Self::message_kind) it has.
    ///
    /// It is read where this is called from, as nothing else about a message costs as
    /// much as a call of a function would.
    ///
    /// # Errors
    /// If it is none.
    #[inline]
    pub fn message(&self, kind: MessageKind) -> Result<Message, PeerMisbehaved> {
        Message::from_words(kind, &self.words)
    }

    /// Reads and checks it.
    ///
    /// # Errors
    /// If it is no frame.
    #[inline]
    pub fn frame(&self) -> Result<Frame, PeerMisbehaved> {
        match self.message_kind() {
            Some(MessageKind::Call) => self.message(MessageKind::Call).map(Frame::Call),
            Some(MessageKind::Reply) => self.message(MessageKind::Reply).map(Frame::Reply),
            None => read_other(&self.words, self.geometry),
        }
    }
}

#[inline(never)]
fn read_other(words: &[u64; SLOT_WORDS], geometry: Geometry) -> Result<Frame, PeerMisbehaved> {
    let (data_bytes, piece_bytes) = (geometry.data_bytes(), geometry.piece_bytes());
    let kind = (words[0] >> 32) as u8;
    let flags = (words[0] >> 40) as u8;
    let (index, call) = halves(words[1]);
    let stream = StreamId { index, call };
    let bad_flags = Err(PeerMisbehaved::Flags { kind, flags });
    match kind {
        KIND_PARTS => {}
        KIND_CREDIT | KIND_RESET | KIND_GO_AWAY if flags != 0 => return bad_flags,
        KIND_CREDIT => {
            return Ok(Frame::Credit {
                stream,
                bytes: halves(words[2]).0,
            });
        }
        KIND_RESET => {
            return Ok(Frame::Reset {
                stream,
                code: ResetCode::from_wire(halves(words[2]).0),
            });
        }
        KIND_GO_AWAY => return Ok(Frame::GoAway),
        KIND_PING if flags & !FLAG_ANSWER != 0 => return bad_flags,
        KIND_PING => {
            return Ok(Frame::Ping {
                token: words[2],
                answer: flags & FLAG_ANSWER != 0,
            });
        }
        KIND_SEGMENT => {
            let (page, pages) = native::read_segment(kind, words)?;
            return Ok(Frame::Segment { page, pages });
        }
        KIND_RETIRE => {
            let (page, _) = native::read_segment(kind, words)?;
            return Ok(Frame::Retire { page });
        }
        KIND_RELEASE => return Pages::from_words(words).map(Frame::Release),
        KIND_EXTENT => return Extent::from_words(words).map(Frame::Extent),
        _ => return Err(PeerMisbehaved::Kind(kind)),
    }
    let known = FLAG_HEAD | FLAG_DATA | FLAG_TAIL | FLAG_END | FLAG_INLINE;
    if flags & !known != 0
        || (flags & FLAG_TAIL != 0 && flags & FLAG_END == 0)
        || flags & !FLAG_INLINE == 0
    {
        return bad_flags;
    }
    let (offset, head) = halves(words[2]);
    let (data, tail) = halves(words[3]);
    let length = |flag: u8, bytes: u32| {
        if flags & flag != 0 {
            Ok(Some(bytes))
        } else if bytes == 0 {
            Ok(None)
        } else {
            Err(())
        }
    };
    let (Ok(head_bytes), Ok(body_bytes), Ok(tail_bytes)) = (
        length(FLAG_HEAD, head),
        length(FLAG_DATA, data),
        length(FLAG_TAIL, tail),
    ) else {
        return bad_flags;
    };
    let bytes = u64::from(head) + u64::from(data) + u64::from(tail);
    let inline = flags & FLAG_INLINE != 0;
    let fits = if inline {
        bytes <= INLINE_BYTES as u64
    } else {
        bytes <= piece_bytes as u64 && u64::from(offset) + bytes <= u64::from(data_bytes)
    };
    if !fits {
        return Err(PeerMisbehaved::Payload {
            offset,
            bytes,
            data_bytes,
        });
    }
    let place = if inline {
        Place::Slot([words[4], words[5], words[6], words[7]])
    } else {
        Place::Area { offset }
    };
    Ok(Frame::Parts(Parts {
        stream,
        head_bytes,
        data_bytes: body_bytes,
        tail_bytes,
        end: flags & FLAG_END != 0,
        place,
    }))
}

#[inline]
fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

#[inline]
fn halves(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}
