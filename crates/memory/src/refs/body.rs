//! What a ref names: pieces of segments.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use super::RefError;
use super::foreign::Foreign;
use super::own::Own;

/// A segment of this process, or of another.
#[derive(Debug, Clone)]
pub(super) enum Segment {
    Own(Arc<Own>),
    Foreign(Arc<Foreign>),
}

impl Segment {
    /// Tells segments apart, as long as they are held.
    pub(super) fn id(&self) -> usize {
        match self {
            Self::Own(own) => Arc::as_ptr(own).addr(),
            Self::Foreign(foreign) => Arc::as_ptr(foreign).addr(),
        }
    }

    #[inline]
    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Self::Own(own) => own.size_bytes(),
            Self::Foreign(foreign) => foreign.size_bytes(),
        }
    }

    /// Copies bytes from `offset` on. They lie in a piece.
    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), RefError> {
        match self {
            Self::Own(own) => {
                into.copy_from_slice(&own.bytes()[offset..offset + into.len()]);
                Ok(())
            }
            Self::Foreign(foreign) => foreign.read(offset, into),
        }
    }
}

/// Adjacent bytes of a segment, at least one, as a part of a ref. The pieces of a
/// ref do not overlap.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) segment: Segment,
    /// Where they begin in the segment.
    pub(super) offset: usize,
    pub(super) len: usize,
    /// Where they begin in the ref.
    pub(super) start: usize,
}

impl Piece {
    pub(super) fn own(own: Arc<Own>, offset: usize, len: usize) -> Self {
        Self {
            segment: Segment::Own(own),
            offset,
            len,
            start: 0,
        }
    }

    pub(super) fn end(&self) -> usize {
        self.start + self.len
    }
}

/// The pieces of a ref, in order.
#[derive(Debug)]
pub(super) enum Pieces {
    One(Piece),
    Several(Box<[Piece]>),
}

impl Pieces {
    /// Puts `pieces` one after the other. Those that continue the one before become
    /// a part of it.
    pub(super) fn join(pieces: impl IntoIterator<Item = Piece>) -> Self {
        let mut joined: Vec<Piece> = Vec::new();
        for mut piece in pieces {
            let start = joined.last().map_or(0, Piece::end);
            match joined.last_mut() {
                Some(last)
                    if last.segment.id() == piece.segment.id()
                        && last.offset + last.len == piece.offset =>
                {
                    last.len += piece.len;
                }
                _ => {
                    piece.start = start;
                    joined.push(piece);
                }
            }
        }
        if joined.len() == 1
            && let Some(piece) = joined.pop()
        {
            return Self::One(piece);
        }
        Self::Several(joined.into())
    }

    pub(super) fn as_slice(&self) -> &[Piece] {
        match self {
            Self::One(piece) => std::slice::from_ref(piece),
            Self::Several(pieces) => pieces,
        }
    }
}

/// What the clones of a ref have in common.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) pieces: Pieces,
    pub(super) len: usize,
    /// Copies made to pass the ref, by the segment whose bytes they stand for.
    pub(super) copies: Mutex<Vec<(Copied, Arc<Own>)>>,
}

/// What was copied to pass a ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copied {
    /// The pieces in the segment with this [id](Segment::id).
    Segment(usize),
    /// All of it.
    All,
}

impl Body {
    #[inline]
    pub(super) fn new(pieces: Pieces) -> Self {
        Self {
            len: pieces.as_slice().last().map_or(0, Piece::end),
            pieces,
            copies: Mutex::default(),
        }
    }
}

/// Checks that the segments are there and as they must be, before anything is
/// allocated by what a peer says of their size.
pub(super) fn check(pieces: &[Piece]) -> Result<(), RefError> {
    pieces.iter().try_for_each(|piece| match &piece.segment {
        Segment::Own(_) => Ok(()),
        Segment::Foreign(foreign) => foreign.checked().map(drop),
    })
}

/// The parts of `pieces` that lie in `range` of the ref.
pub(super) fn parts(
    pieces: &[Piece],
    range: Range<usize>,
) -> impl Iterator<Item = Piece> + use<'_> {
    let first = pieces.partition_point(|piece| piece.end() <= range.start);
    pieces[first..]
        .iter()
        .take_while(move |piece| piece.start < range.end)
        .map(move |piece| {
            let start = piece.start.max(range.start);
            Piece {
                segment: piece.segment.clone(),
                offset: piece.offset + (start - piece.start),
                len: piece.end().min(range.end) - start,
                start,
            }
        })
}

/// Copies the bytes of `pieces` from `offset` of the ref on, which has so many.
pub(super) fn read(pieces: &[Piece], offset: usize, mut into: &mut [u8]) -> Result<(), RefError> {
    let end = offset + into.len();
    let first = pieces.partition_point(|piece| piece.end() <= offset);
    for piece in &pieces[first..] {
        if piece.start >= end {
            break;
        }
        let start = piece.start.max(offset);
        let (here, rest) = into.split_at_mut(piece.end().min(end) - start);
        piece
            .segment
            .read(piece.offset + (start - piece.start), here)?;
        into = rest;
    }
    Ok(())
}
