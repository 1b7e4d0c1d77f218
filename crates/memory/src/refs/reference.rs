//! Names for bytes that do not change any more.

use std::fmt;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::{Arc, Mutex};

use super::body::{self, Body, Copied, Piece, Pieces, Segment};
use super::own::Own;
use super::{Buffer, Edit, Pool, RefError, View};

/// Names bytes in memory, of this process or of others, that do not change any
/// more.
///
/// It is one pointer. It keeps the memory; clones name the same bytes. The bytes are
/// seen through [`map`](Self::map), [`read`](Self::read) and
/// [`edit`](Self::edit). Nobody can make a ref to bytes that it was not given:
/// there is nothing to guess.
#[derive(Clone)]
pub struct Ref {
    body: Arc<Body>,
}

impl Ref {
    pub(super) fn empty() -> Self {
        Self::of_pieces(Pieces::join([]))
    }

    #[inline]
    pub(super) fn of_piece(piece: Piece) -> Self {
        Self::of_pieces(Pieces::One(piece))
    }

    #[inline]
    pub(super) fn of_pieces(pieces: Pieces) -> Self {
        Self {
            body: Arc::new(Body::new(pieces)),
        }
    }

    #[inline]
    pub(super) fn pieces(&self) -> &[Piece] {
        self.body.pieces.as_slice()
    }

    pub(super) fn copies(&self) -> &Mutex<Vec<(Copied, Arc<Own>)>> {
        &self.body.copies
    }

    /// How many bytes it names.
    #[inline]
    pub fn len(&self) -> usize {
        self.body.len
    }

    /// Whether it names none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A ref to some of the bytes. It keeps the segments they lie in.
    ///
    /// # Errors
    /// [`RefError::Range`].
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<Self, RefError> {
        let range = checked_range(range, self.len())?;
        if range == (0..self.len()) {
            return Ok(self.clone());
        }
        if range.is_empty() {
            return Ok(Self::empty());
        }
        Ok(Self::of_pieces(Pieces::join(body::parts(
            self.pieces(),
            range,
        ))))
    }

    /// The bytes, to read (`DmRPC`'s `map_ref`).
    ///
    /// Bytes of this process are shown where they lie. Bytes of a peer are shown
    /// where they lie if there are many or their segment came before, and nobody can
    /// change them or the peer is trusted ([`Keeping`](crate::heap::Keeping));
    /// otherwise they are copied now, and shown as they were.
    ///
    /// # Errors
    /// [`RefError::Segment`] for memory of a peer that is not as it must be,
    /// [`RefError::Lost`], [`RefError::Os`], [`RefError::NoMemory`].
    pub fn map(&self) -> Result<View, RefError> {
        View::of(self.pieces(), self.len())
    }

    /// Copies `into.len()` bytes from `offset` on. Nothing is mapped for it but a
    /// segment that comes again.
    ///
    /// # Errors
    /// [`RefError::Range`]; as [`map`](Self::map) otherwise.
    pub fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), RefError> {
        let range = checked_part(offset, into.len(), self.len())?;
        body::read(self.pieces(), range.start, into)
    }

    /// The bytes, to write (`DmRPC`'s `map_ref` for writing): pages are copied to
    /// memory of `pool` when they are changed, and nobody who has this ref sees
    /// the changes.
    ///
    /// # Errors
    /// [`RefError::Segment`] for memory of a peer that is not as it must be,
    /// [`RefError::Lost`]. Memory is asked for when something is written.
    pub fn edit(&self, pool: &Pool) -> Result<Edit, RefError> {
        body::check(self.pieces())?;
        Ok(Edit::of(self.clone(), pool))
    }

    /// The memory back, to write in place, if this is the last owner: the ref names
    /// all of a segment of this process, nothing else here has to do with the
    /// segment, and the kernel proves that no other process holds it (see
    /// [`Reuse`](super::Reuse) for when it is asked).
    ///
    /// # Errors
    /// The ref itself, as good as before.
    pub fn try_into_buffer(self) -> Result<Buffer, Self> {
        let body = Arc::try_unwrap(self.body).map_err(|body| Self { body })?;
        let piece = match body.pieces {
            Pieces::One(piece) => piece,
            pieces @ Pieces::Several(_) => return Err(Self::of_pieces(pieces)),
        };
        let Piece {
            segment: Segment::Own(own),
            offset: 0,
            len,
            ..
        } = piece
        else {
            return Err(Self::of_piece(piece));
        };
        let own = match Arc::try_unwrap(own) {
            Ok(mut own) => {
                if own.len() == len && own.data_bytes() == len && own.regain() {
                    return Ok(Buffer::over(own));
                }
                Arc::new(own)
            }
            Err(own) => own,
        };
        Err(Self::of_piece(Piece::own(own, 0, len)))
    }
}

/// Resolves `range` of something of `len` bytes.
pub(super) fn checked_range(
    range: impl RangeBounds<usize>,
    len: usize,
) -> Result<Range<usize>, RefError> {
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => last.saturating_add(1),
        Bound::Excluded(&end) => end,
        Bound::Unbounded => len,
    };
    if start > end || end > len {
        return Err(RefError::Range {
            start,
            end,
            len_bytes: len,
        });
    }
    Ok(start..end)
}

/// Resolves `bytes` bytes at `offset` of something of `len` bytes.
pub(super) fn checked_part(
    offset: usize,
    bytes: usize,
    len: usize,
) -> Result<Range<usize>, RefError> {
    checked_range(offset..offset.saturating_add(bytes), len)
}

impl fmt::Debug for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ref")
            .field("len", &self.len())
            .field("pieces", &self.pieces().len())
            .finish_non_exhaustive()
    }
}
