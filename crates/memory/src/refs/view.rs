//! The bytes of a ref, to read.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use rustix::io::Errno;

use super::RefError;
use super::body::{self, Piece, Segment};
use super::foreign::Foreign;
use super::own::Own;
use super::scratch::Scratch;
use crate::sys::mapping::Mapping;
use crate::sys::pieces::{self, Pieces};

/// From this size on, mapping foreign bytes is cheaper than copying them.
const MAP_FROM_BYTES: usize = 256 << 10;

/// What each mapping must bring, at least, to be cheaper than copying.
const BYTES_PER_MAPPING: usize = 32 << 10;

/// The bytes of a [`Ref`](super::Ref), adjacent and unchanging.
///
/// It keeps the memory; shown [in place](Self::in_place), it holds what the ref holds.
/// Clones show the same bytes.
#[derive(Clone)]
pub struct View {
    shown: Shown,
}

#[derive(Clone)]
enum Shown {
    Nothing,
    /// Where they lie in a segment of this process.
    Own {
        own: Arc<Own>,
        range: Range<usize>,
    },
    /// Where they lie in a segment of a peer that stays mapped.
    Familiar {
        mapping: Arc<Mapping>,
        /// Holds the segment, which the mapping does not.
        _segment: Arc<Foreign>,
        range: Range<usize>,
    },
    /// Where they lie, in one or more segments.
    Mapped(Arc<Mapped>),
    /// What they were when they were copied.
    Copied(Arc<Scratch>),
}

struct Mapped {
    pieces: Pieces,
    /// A mapping holds foreign memory by itself, but not this process's own.
    _segments: Box<[Segment]>,
}

impl View {
    /// The bytes of `pieces`, which make up `len` bytes.
    pub(super) fn of(pieces: &[Piece], len: usize) -> Result<Self, RefError> {
        let shown = match pieces {
            [] => Shown::Nothing,
            [
                Piece {
                    segment: Segment::Own(own),
                    offset,
                    len,
                    ..
                },
            ] => Shown::Own {
                own: Arc::clone(own),
                range: *offset..*offset + *len,
            },
            pieces => match familiar(pieces)? {
                Some(familiar) => familiar,
                None => match map(pieces, len)? {
                    Some(mapped) => Shown::Mapped(Arc::new(mapped)),
                    None => Shown::Copied(Arc::new(copy(pieces, len)?)),
                },
            },
        };
        Ok(Self { shown })
    }

    /// Whether the bytes are shown where they lie, and not a copy of them.
    pub fn in_place(&self) -> bool {
        !matches!(self.shown, Shown::Copied(_))
    }
}

/// A piece of a segment that is mapped already, if the bytes keep still there.
fn familiar(pieces: &[Piece]) -> Result<Option<Shown>, RefError> {
    let [
        Piece {
            segment: Segment::Foreign(foreign),
            offset,
            len,
            ..
        },
    ] = pieces
    else {
        return Ok(None);
    };
    let Some(mapping) = foreign.mapping()? else {
        return Ok(None);
    };
    Ok(foreign.is_still()?.then(|| Shown::Familiar {
        mapping: Arc::clone(mapping),
        _segment: Arc::clone(foreign),
        range: *offset..*offset + *len,
    }))
}

/// Maps pieces side by side, where that can be done and is worth it.
fn map(pieces: &[Piece], len: usize) -> Result<Option<Mapped>, RefError> {
    let worth_it = len >= MAP_FROM_BYTES && len / pieces.len() >= BYTES_PER_MAPPING;
    let places = pieces.iter().map(|piece| (piece.offset, piece.len));
    if !worth_it || !pieces::are_mappable(places) {
        return Ok(None);
    }
    let failed = |call, source: Errno| RefError::Os {
        call,
        len_bytes: len,
        source,
    };
    let mut files = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let file = match &piece.segment {
            Segment::Own(own) => own.reader().map_err(|errno| failed("open", errno))?,
            Segment::Foreign(foreign) if foreign.is_still()? => {
                foreign.note_read(piece.len);
                foreign.mappable()?
            }
            Segment::Foreign(_) => return Ok(None),
        };
        files.push(pieces::Piece {
            file,
            offset: piece.offset,
            len: piece.len,
        });
    }
    // SAFETY: a segment of this process is not written while it is named by a piece,
    // and does not shrink. A foreign one was verified not to shrink, and not to
    // change or its owner is trusted not to change it; pieces lie inside the size
    // that was verified. All stay so without being held.
    let mapped = unsafe { Pieces::map(&files) };
    Ok(Some(Mapped {
        pieces: mapped.map_err(|errno| failed("mmap", errno))?,
        _segments: pieces.iter().map(|piece| piece.segment.clone()).collect(),
    }))
}

fn copy(pieces: &[Piece], len: usize) -> Result<Scratch, RefError> {
    body::check(pieces)?;
    let mut copy = Scratch::new(len).map_err(|_| RefError::NoMemory { len_bytes: len })?;
    body::read(pieces, 0, copy.bytes_mut())?;
    Ok(copy)
}

impl Deref for View {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.shown {
            Shown::Nothing => &[],
            Shown::Own { own, range } => &own.bytes()[range.clone()],
            Shown::Familiar { mapping, range, .. } => {
                // SAFETY: the segment is held, so that its owner does not use it
                // again; it cannot be written any more, or its owner is trusted not
                // to.
                unsafe { mapping.bytes(range.start, range.len()) }
            }
            Shown::Mapped(mapped) => mapped.pieces.bytes(),
            Shown::Copied(copy) => copy,
        }
    }
}

impl AsRef<[u8]> for View {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("len", &self.len())
            .field("in_place", &self.in_place())
            .finish_non_exhaustive()
    }
}
