//! Passing a ref to a peer.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::slice;
use std::sync::{Arc, PoisonError};

use rustix::fd::BorrowedFd;

use super::body::{self, Copied, Piece, Segment};
use super::own::Own;
use super::{Buffer, Pool, Ref, RefError};

/// Descriptors a passed ref has at most. One that names more segments is copied into
/// one before it is passed.
pub const MAX_DESCRIPTORS: usize = 32;

/// Extents a passed ref has at most; one of more pieces is copied, as with
/// [`MAX_DESCRIPTORS`].
pub const MAX_EXTENTS: usize = 256;

/// Adjacent bytes of one segment, as a peer is told of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Which of the ref's descriptors, in the order of
    /// [`Passed::descriptors`]; an extent's is at most one more than those before.
    pub descriptor: usize,
    /// Where in the segment they begin.
    pub offset_bytes: u64,
    /// How many they are; at least one.
    pub bytes: u64,
    /// Size of the segment.
    pub segment_bytes: u64,
    /// Whether the extents of this ref name everything that lies in the segment:
    /// only then may the receiver pass the descriptor on to somebody else. The
    /// same for all extents in a segment.
    pub whole: bool,
}

/// Whom a ref is passed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audience {
    /// The connection, by a number no other connection of this process has, or
    /// ever had, and which is not 0.
    pub connection: u64,
    /// The peer's user, as the kernel says.
    pub uid: u32,
    /// From how many bytes on the peer wants the memory of refs sealed against
    /// writing; [`u32::MAX`] for never.
    pub seal_from_bytes: u32,
}

impl Audience {
    pub(super) fn wants_seal(&self, ref_bytes: usize) -> bool {
        self.seal_from_bytes != u32::MAX && ref_bytes >= self.seal_from_bytes as usize
    }
}

impl Ref {
    /// What to send so that the peer has the ref.
    ///
    /// A descriptor lets the peer read all of a segment. So where the ref does not
    /// name all of it, and the peer is not known to have it, the named bytes are
    /// first copied into a segment of `pool`; likewise where a segment that came
    /// from elsewhere would reach a process of another user than its owner's. The
    /// ref remembers the copy.
    ///
    /// # Errors
    /// [`RefError::Lost`], [`RefError::Os`] when there is no descriptor left; where
    /// bytes are copied also [`RefError::Pool`], and [`RefError::Segment`] for
    /// memory of a peer that is not as it must be.
    #[inline]
    pub fn pass(&self, audience: &Audience, pool: &Pool) -> Result<Passed, RefError> {
        let [piece] = self.pieces() else {
            return self.pass_several(audience, pool);
        };
        // What a service finds that only passes on: little code, as none of it is in
        // the caches when it is needed.
        if let Segment::Foreign(foreign) = &piece.segment
            && audience.uid == pool.uid()
            && foreign.goes_on(piece.len)
        {
            let segment = Segment::Foreign(Arc::clone(foreign));
            return Ok(Passed::one(
                audience,
                segment,
                piece.offset,
                piece.len,
                true,
            ));
        }
        self.pass_one(piece, audience, pool)
    }

    #[inline(never)]
    fn pass_one(
        &self,
        piece: &Piece,
        audience: &Audience,
        pool: &Pool,
    ) -> Result<Passed, RefError> {
        let kept = self.keep_or_copy(&piece.segment, piece.len, audience, pool)?;
        let offset = if kept.copy.is_some() { 0 } else { piece.offset };
        let whole = kept.whole;
        let segment = kept.ready(&piece.segment, audience, self.len())?;
        Ok(Passed::one(audience, segment, offset, piece.len, whole))
    }

    #[inline(never)]
    fn pass_several(&self, audience: &Audience, pool: &Pool) -> Result<Passed, RefError> {
        let pieces = self.pieces();
        let mut parcel = Parcel::default();
        let mut named = HashMap::new();
        for piece in pieces {
            *named.entry(piece.segment.id()).or_insert(0) += piece.len;
        }
        if pieces.len() > MAX_EXTENTS || named.len() > MAX_DESCRIPTORS {
            let kept = Kept {
                whole: true,
                copy: Some(self.copy(Copied::All, pool)?),
            };
            let segment = kept.ready(&pieces[0].segment, audience, self.len())?;
            return Ok(Passed::one(audience, segment, 0, self.len(), true));
        }
        let mut attached = HashMap::new();
        for piece in pieces {
            let id = piece.segment.id();
            let Attached {
                descriptor,
                whole,
                copied_bytes,
            } = match attached.entry(id) {
                Entry::Occupied(attached) => attached.into_mut(),
                Entry::Vacant(vacant) => {
                    let bytes = named.get(&id).copied().unwrap_or(0);
                    let kept = self.keep_or_copy(&piece.segment, bytes, audience, pool)?;
                    let attached = Attached {
                        descriptor: parcel.segments.len(),
                        copied_bytes: kept.copy.is_some().then_some(0),
                        whole: kept.whole,
                    };
                    let segment = kept.ready(&piece.segment, audience, self.len())?;
                    parcel.segments.push(segment);
                    vacant.insert(attached)
                }
            };
            // A copy has the pieces side by side, in their order.
            let offset = copied_bytes.unwrap_or(piece.offset);
            *copied_bytes = copied_bytes.map(|bytes| bytes + piece.len);
            parcel.push(*descriptor, offset, piece.len, *whole);
        }
        Ok(Passed {
            parts: Parts::Several(parcel),
            connection: audience.connection,
        })
    }

    /// Whether a segment of which the ref names `bytes` can be sent as it is, or as
    /// a copy of what is named.
    fn keep_or_copy(
        &self,
        segment: &Segment,
        bytes: usize,
        audience: &Audience,
        pool: &Pool,
    ) -> Result<Kept, RefError> {
        let connection = audience.connection;
        let (whole, sendable) = match segment {
            Segment::Own(own) => {
                let whole = own.data_bytes() == bytes;
                (whole, whole || own.is_known_to(connection))
            }
            Segment::Foreign(foreign) => {
                foreign.file()?;
                let whole = foreign.data_bytes() == Some(bytes);
                let sendable = foreign.is_known_to(connection)
                    || (whole && foreign.may_go_to(audience.uid, pool.uid())?);
                (whole, sendable)
            }
        };
        if sendable {
            return Ok(Kept { whole, copy: None });
        }
        let copy = self.copy(Copied::Segment(segment.id()), pool)?;
        Ok(Kept {
            whole: true,
            copy: Some(copy),
        })
    }

    /// A segment with a copy of what the ref names there, and nothing else.
    fn copy(&self, what: Copied, pool: &Pool) -> Result<Arc<Own>, RefError> {
        let mut copies = self.copies().lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, own)) = copies.iter().find(|(copied, _)| *copied == what) {
            return Ok(Arc::clone(own));
        }
        let meant = |piece: &&Piece| match what {
            Copied::Segment(id) => piece.segment.id() == id,
            Copied::All => true,
        };
        body::check(self.pieces())?;
        let pieces = || self.pieces().iter().filter(meant);
        let bytes = pieces().map(|piece| piece.len).sum();
        let mut buffer = Buffer::unfilled(pool.stock(), bytes)?;
        let mut rest = &mut buffer[..];
        for piece in pieces() {
            let (here, after) = rest.split_at_mut(piece.len);
            body::read(self.pieces(), piece.start, here)?;
            rest = after;
        }
        let own = buffer
            .into_own()
            .ok_or(super::PoolError::Size { asked_bytes: 0 })?;
        let own = Arc::new(own);
        copies.push((what, Arc::clone(&own)));
        Ok(own)
    }
}

/// How a segment is sent.
struct Kept {
    whole: bool,
    copy: Option<Arc<Own>>,
}

impl Kept {
    /// The segment, or the copy that stands for it, as it can be sent.
    fn ready(
        self,
        segment: &Segment,
        audience: &Audience,
        ref_bytes: usize,
    ) -> Result<Segment, RefError> {
        let segment = self.copy.map_or_else(|| segment.clone(), Segment::Own);
        if let Segment::Own(own) = &segment {
            own.hand_over(audience, ref_bytes)
                .map_err(|source| RefError::Os {
                    call: "open",
                    len_bytes: ref_bytes,
                    source,
                })?;
        }
        Ok(segment)
    }
}

/// A segment that is among a ref's descriptors.
struct Attached {
    descriptor: usize,
    whole: bool,
    /// Of a copy: how much of it the extents so far name.
    copied_bytes: Option<usize>,
}

/// A ref on its way to a peer. It keeps the memory until it is dropped: drop it
/// when the descriptors are in the socket.
#[derive(Debug)]
pub struct Passed {
    parts: Parts,
    connection: u64,
}

/// Segments of this process are [handed over](Own::hand_over), so have a
/// descriptor.
#[derive(Debug)]
enum Parts {
    One(Extent, Segment),
    Several(Parcel),
}

/// Several extents, and the segments they lie in.
#[derive(Debug, Default)]
struct Parcel {
    extents: Vec<Extent>,
    segments: Vec<Segment>,
}

impl Parcel {
    fn push(&mut self, descriptor: usize, offset: usize, len: usize, whole: bool) {
        let segment = &self.segments[descriptor];
        self.extents
            .push(extent(descriptor, segment, offset, len, whole));
    }
}

#[inline]
fn extent(descriptor: usize, segment: &Segment, offset: usize, len: usize, whole: bool) -> Extent {
    Extent {
        descriptor,
        offset_bytes: offset as u64,
        bytes: len as u64,
        segment_bytes: segment.size_bytes() as u64,
        whole,
    }
}

impl Passed {
    #[inline]
    fn one(audience: &Audience, segment: Segment, offset: usize, len: usize, whole: bool) -> Self {
        let extent = extent(0, &segment, offset, len, whole);
        Self {
            parts: Parts::One(extent, segment),
            connection: audience.connection,
        }
    }

    /// What the peer is told: at least one, unless the ref is empty.
    #[inline]
    pub fn extents(&self) -> &[Extent] {
        match &self.parts {
            Parts::One(extent, _) => slice::from_ref(extent),
            Parts::Several(parcel) => &parcel.extents,
        }
    }

    #[inline]
    fn segments(&self) -> &[Segment] {
        match &self.parts {
            Parts::One(_, segment) => slice::from_ref(segment),
            Parts::Several(parcel) => &parcel.segments,
        }
    }

    /// What is attached, in the order the extents count them.
    #[inline]
    pub fn descriptors(&self) -> impl ExactSizeIterator<Item = BorrowedFd<'_>> {
        self.segments().iter().map(|segment| match segment {
            Segment::Own(own) => own.handed_over(),
            Segment::Foreign(foreign) => foreign.file().expect("looked at when it was passed"),
        })
    }

    /// To be called when the descriptors were handed to the kernel: from now on
    /// the peer has the segments, so that parts of them can be passed to it
    /// without a copy.
    #[inline]
    pub fn sent(&self) {
        for segment in self.segments() {
            match segment {
                Segment::Own(own) => own.sent_to(self.connection),
                Segment::Foreign(foreign) => foreign.note_sent_to(self.connection),
            }
        }
    }
}
