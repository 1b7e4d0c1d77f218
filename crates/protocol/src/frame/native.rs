//! The frames of native calls: arguments and results are structures in the heap
//! of their sender, and a frame says where.

use super::{INLINE_WORD, SLOT_WORDS, StreamId, halves, pair};
use crate::misbehaved::PeerMisbehaved;

/// Kind number of a [`Frame::Call`](super::Frame::Call).
pub const KIND_CALL: u8 = 6;
/// Kind number of a [`Frame::Reply`](super::Frame::Reply).
pub const KIND_REPLY: u8 = 7;
/// Kind number of a [`Frame::Segment`](super::Frame::Segment).
pub const KIND_SEGMENT: u8 = 8;
/// Kind number of a [`Frame::Retire`](super::Frame::Retire).
pub const KIND_RETIRE: u8 = 9;
/// Kind number of a [`Frame::Release`](super::Frame::Release).
pub const KIND_RELEASE: u8 = 10;

/// Most pages that one [`Frame::Release`](super::Frame::Release) names.
pub const RELEASE_PAGES: usize = 12;

/// The word of a slot at which the pages of a release begin.
const PAGES_WORD: usize = 2;

const _: () = assert!((SLOT_WORDS - PAGES_WORD) * 2 == RELEASE_PAGES);
const _: () = assert!(size_of::<Message>() <= 64);

/// Which way a [`Message`] goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// From the caller: a call, or one more item of its request.
    Call,
    /// To the caller: an item of the reply, or the reply that ends the call.
    Reply,
}

impl MessageKind {
    const fn to_wire(self) -> u8 {
        match self {
            Self::Call => KIND_CALL,
            Self::Reply => KIND_REPLY,
        }
    }

    const fn flags(self) -> u8 {
        let both = Message::AHEAD | Message::ITEM;
        match self {
            Self::Call => both | Message::END,
            Self::Reply => both | Message::KEPT | Message::FAILED | Message::LENT,
        }
    }
}

/// One value on its way: a call or a reply, or an item of one of them.
///
/// The value's root lies in `inline` or in the parts frame before, and what the
/// root points to in the scope: the `bytes` bytes from page `page` on of its
/// sender's heap, or, with [`LENT`](Self::LENT), in one of its receiver's. Nothing of
/// that is checked when the frame is read, apart from the flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The call.
    pub stream: StreamId,
    /// [`AHEAD`](Self::AHEAD) and the like.
    pub flags: u8,
    /// Of a call: which method, as the two sides agreed on when they met. Of a
    /// reply: its status.
    pub code: u16,
    /// Microseconds that the caller waits, 0 for as long as it takes. Of a reply: 0.
    pub timeout_us: u32,
    /// Page of the sender's heap, with [`LENT`](Self::LENT) of the receiver's, at
    /// which the scope begins.
    pub page: u32,
    /// Bytes of the scope that are in use; 0 if there is no scope, or it is lent.
    pub bytes: u32,
    /// The root, and zeros behind it.
    pub inline: [u64; 4],
}

impl Message {
    /// Flag: the root does not lie in `inline` but came in the parts frame just
    /// before, as its data; the header block of that frame is metadata.
    pub const AHEAD: u8 = 1;
    /// Flag of a reply, not of one that failed: what it points to lies in a scope of
    /// its receiver's heap, which the sender holds.
    pub const LENT: u8 = 2;
    /// Flag: one item of a stream; others, or the reply, follow.
    pub const ITEM: u8 = 4;
    /// Flag of a reply: the scope of the call is held until it is released.
    pub const KEPT: u8 = 8;
    /// Flag of a reply: the call failed with the status in `code`.
    pub const FAILED: u8 = 16;
    /// Flag of a call: no more items come.
    pub const END: u8 = 32;

    /// Whether all of `flags` are set.
    #[inline]
    pub const fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The words of a slot before they are stamped.
    #[inline]
    pub(crate) fn to_words(self, kind: MessageKind) -> [u64; SLOT_WORDS] {
        debug_assert!(
            self.flags & !kind.flags() == 0,
            "{kind:?} with flags {:#04x}",
            self.flags
        );
        debug_assert!(
            kind == MessageKind::Call || self.timeout_us == 0,
            "reply with a timeout"
        );
        let [a, b, c, d] = self.inline;
        [
            u64::from(kind.to_wire()) << 32
                | u64::from(self.flags) << 40
                | u64::from(self.code) << 48,
            pair(self.stream.index, self.stream.call),
            u64::from(self.timeout_us),
            pair(self.page, self.bytes),
            a,
            b,
            c,
            d,
        ]
    }

    /// Reads the copy of a slot that says it is a message of this kind.
    #[inline]
    pub(crate) fn from_words(
        kind: MessageKind,
        words: &[u64; SLOT_WORDS],
    ) -> Result<Self, PeerMisbehaved> {
        let flags = (words[0] >> 40) as u8;
        if flags & !kind.flags() != 0 {
            return Err(bad_flags(kind.to_wire(), flags));
        }
        let reserved = match kind {
            MessageKind::Call => words[2] >> 32,
            MessageKind::Reply => words[2],
        };
        if reserved != 0 {
            return Err(bad_reserved(kind.to_wire()));
        }
        let (index, call) = halves(words[1]);
        let (page, bytes) = halves(words[3]);
        if flags & Self::LENT != 0 {
            if flags & Self::FAILED != 0 {
                return Err(bad_flags(kind.to_wire(), flags));
            }
            if bytes != 0 {
                return Err(bad_reserved(kind.to_wire()));
            }
        }
        Ok(Self {
            stream: StreamId { index, call },
            flags,
            code: (words[0] >> 48) as u16,
            timeout_us: words[2] as u32,
            page,
            bytes,
            inline: [words[4], words[5], words[6], words[7]],
        })
    }
}

#[cold]
fn bad_flags(kind: u8, flags: u8) -> PeerMisbehaved {
    PeerMisbehaved::Flags { kind, flags }
}

#[cold]
fn bad_reserved(kind: u8) -> PeerMisbehaved {
    PeerMisbehaved::Reserved { kind }
}

/// First pages of scopes in the peer's heap, up to [`RELEASE_PAGES`] of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    count: u8,
    /// Zero from `count` on.
    pages: [u32; RELEASE_PAGES],
}

impl Pages {
    /// No pages.
    pub const fn new() -> Self {
        Self {
            count: 0,
            pages: [0; RELEASE_PAGES],
        }
    }

    /// Adds a page; false if there is no place for it.
    #[inline]
    pub fn push(&mut self, page: u32) -> bool {
        let Some(place) = self.pages.get_mut(usize::from(self.count)) else {
            return false;
        };
        *place = page;
        self.count += 1;
        true
    }

    /// The pages, as they were added.
    #[inline]
    pub fn as_slice(&self) -> &[u32] {
        &self.pages[..usize::from(self.count)]
    }

    /// Whether there are none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether there is no place for another.
    #[inline]
    pub const fn is_full(&self) -> bool {
        self.count as usize == RELEASE_PAGES
    }

    /// The words of a slot before they are stamped.
    pub(crate) fn to_words(self) -> [u64; SLOT_WORDS] {
        let p = &self.pages;
        [
            u64::from(KIND_RELEASE) << 32 | u64::from(self.count) << 40,
            0,
            pair(p[0], p[1]),
            pair(p[2], p[3]),
            pair(p[4], p[5]),
            pair(p[6], p[7]),
            pair(p[8], p[9]),
            pair(p[10], p[11]),
        ]
    }

    /// Reads the copy of a slot that says it is a release.
    pub(crate) fn from_words(words: &[u64; SLOT_WORDS]) -> Result<Self, PeerMisbehaved> {
        let count = (words[0] >> 40) as u8;
        if count == 0 || usize::from(count) > RELEASE_PAGES {
            return Err(bad_flags(KIND_RELEASE, count));
        }
        let mut pages = [0; RELEASE_PAGES];
        for (pages, word) in pages.chunks_exact_mut(2).zip(&words[PAGES_WORD..]) {
            (pages[0], pages[1]) = halves(*word);
        }
        let unused = &pages[usize::from(count)..];
        if words[0] >> 48 != 0 || words[1] != 0 || unused.iter().any(|page| *page != 0) {
            return Err(bad_reserved(KIND_RELEASE));
        }
        Ok(Self { count, pages })
    }
}

/// The words of a frame about a segment, before they are stamped.
pub(crate) fn segment_words(kind: u8, page: u32, pages: u32) -> [u64; INLINE_WORD] {
    [u64::from(kind) << 32, 0, pair(page, pages), 0]
}

/// Page and number of pages of a slot that says it is about a segment.
pub(crate) fn read_segment(
    kind: u8,
    words: &[u64; SLOT_WORDS],
) -> Result<(u32, u32), PeerMisbehaved> {
    let flags = (words[0] >> 40) as u8;
    if flags != 0 {
        return Err(bad_flags(kind, flags));
    }
    let (page, pages) = halves(words[PAGES_WORD]);
    let reserved = words[0] >> 48 != 0 || words[1] != 0 || words[3] != 0;
    if reserved || (kind == KIND_RETIRE && pages != 0) {
        return Err(bad_reserved(kind));
    }
    if kind == KIND_SEGMENT && (pages == 0 || page.checked_add(pages).is_none()) {
        return Err(PeerMisbehaved::Segment { page, pages });
    }
    Ok((page, pages))
}
