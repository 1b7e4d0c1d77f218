//! The frame of a reference: which bytes of which segment it names.

use super::{SLOT_WORDS, StreamId, halves, pair};
use crate::misbehaved::PeerMisbehaved;

/// Kind number of a [`Frame::Extent`](super::Frame::Extent).
pub const KIND_EXTENT: u8 = 11;
/// Flag of an extent: another extent of the same reference follows.
pub const FLAG_MORE: u8 = 1;
/// Flag of an extent: the extents of the reference name everything that lies in
/// this segment.
pub const FLAG_WHOLE: u8 = 2;

/// Consecutive bytes of one segment, which a reference names; all of them or,
/// with others behind it, a part.
///
/// The extents of a reference follow one another, and right behind the
/// references of a frame comes that frame, on the same stream. The descriptors of
/// the segments were sent on the control socket before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The call.
    pub stream: StreamId,
    /// Number of the reference, by which its token names it.
    pub number: u64,
    /// Whether another extent of the same reference follows.
    pub more: bool,
    /// Whether the extents of the reference name everything that lies in the
    /// segment, so that its descriptor may be passed on to others.
    pub whole: bool,
    /// Which of the reference's descriptors, counted from 0: one that an extent
    /// before named too, or the next on the control socket.
    pub descriptor: u16,
    /// Where in the segment the bytes begin.
    pub offset_bytes: u64,
    /// How many bytes; not 0.
    pub bytes: u64,
    /// Size of the segment in bytes.
    pub segment_bytes: u64,
}

impl Extent {
    /// The words of a slot before they are stamped.
    pub(crate) fn to_words(self) -> [u64; SLOT_WORDS] {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let flags = flag(self.more, FLAG_MORE) | flag(self.whole, FLAG_WHOLE);
        [
            u64::from(KIND_EXTENT) << 32
                | u64::from(flags) << 40
                | u64::from(self.descriptor) << 48,
            pair(self.stream.index, self.stream.call),
            self.number,
            self.offset_bytes,
            self.bytes,
            self.segment_bytes,
            0,
            0,
        ]
    }

    /// Reads the copy of a slot that says it is an extent.
    pub(crate) fn from_words(words: &[u64; SLOT_WORDS]) -> Result<Self, PeerMisbehaved> {
        let flags = (words[0] >> 40) as u8;
        if flags & !(FLAG_MORE | FLAG_WHOLE) != 0 {
            return Err(PeerMisbehaved::Flags {
                kind: KIND_EXTENT,
                flags,
            });
        }
        if words[6] != 0 || words[7] != 0 {
            return Err(PeerMisbehaved::Reserved { kind: KIND_EXTENT });
        }
        let (index, call) = halves(words[1]);
        let [offset_bytes, bytes, segment_bytes] = [words[3], words[4], words[5]];
        let end = offset_bytes.checked_add(bytes);
        if bytes == 0 || end.is_none_or(|end| end > segment_bytes) || segment_bytes >> 63 != 0 {
            return Err(PeerMisbehaved::Extent {
                offset_bytes,
                bytes,
                segment_bytes,
            });
        }
        Ok(Self {
            stream: StreamId { index, call },
            number: words[2],
            more: flags & FLAG_MORE != 0,
            whole: flags & FLAG_WHOLE != 0,
            descriptor: (words[0] >> 48) as u16,
            offset_bytes,
            bytes,
            segment_bytes,
        })
    }
}
