//! Refs that come from a peer.

use std::sync::Arc;

use rustix::fd::OwnedFd;

use super::body::{Piece, Pieces, Segment};
use super::foreign::Foreign;
use super::{Extent, ExtentFlaw, MAX_DESCRIPTORS, MAX_EXTENTS, Ref, RefError, Source};

impl Ref {
    /// The ref that a peer passed, as its extents and descriptors arrived. `None`
    /// stands for a descriptor that was lost because this process had none left:
    /// the ref is there, but what needs that segment fails with
    /// [`RefError::Lost`].
    ///
    /// It makes no system call. The descriptors may be anything; they are looked at
    /// when their bytes are first read, and a ref that is only passed on is never
    /// looked at.
    ///
    /// # Errors
    /// [`RefError::Extent`]: the peer misbehaves. [`RefError::TooMany`]. The
    /// descriptors are closed then.
    pub fn arrived(
        extents: &[Extent],
        descriptors: impl IntoIterator<Item = Option<OwnedFd>, IntoIter: ExactSizeIterator>,
        source: &Arc<Source>,
    ) -> Result<Self, RefError> {
        let descriptors = descriptors.into_iter();
        let segments = check(extents, descriptors.len()).map_err(|flaw| RefError::Extent {
            peer: source.label(),
            flaw,
        })?;
        let descriptors: Vec<_> = descriptors.collect();
        source.hold(descriptors.iter().flatten().count())?;
        let segments: Vec<Segment> = segments
            .iter()
            .zip(descriptors)
            .map(|(said, file)| {
                let foreign = Foreign::new(file, said.size_bytes, said.data_bytes, source);
                Segment::Foreign(Arc::new(foreign))
            })
            .collect();
        let pieces = extents.iter().map(|extent| Piece {
            segment: segments[extent.descriptor].clone(),
            // They are not more than the segment's size, which is checked.
            offset: extent.offset_bytes as usize,
            len: extent.bytes as usize,
            start: 0,
        });
        Ok(Self::of_pieces(Pieces::join(pieces)))
    }
}

impl Ref {
    /// As [`arrived`](Self::arrived), for what nearly all refs are: one extent and
    /// its descriptor. It takes no memory for lists, and little code.
    ///
    /// # Errors
    /// As [`arrived`](Self::arrived).
    #[inline]
    pub fn arrived_in_one(
        extent: &Extent,
        descriptor: Option<OwnedFd>,
        source: &Arc<Source>,
    ) -> Result<Self, RefError> {
        let (bytes, segment_bytes) = (extent.bytes, extent.segment_bytes);
        let end = extent.offset_bytes.checked_add(bytes);
        if extent.descriptor != 0
            || bytes == 0
            || end.is_none_or(|end| end > segment_bytes)
            || isize::try_from(segment_bytes).is_err()
        {
            return Self::arrived(&[*extent], [descriptor], source);
        }
        source.hold(usize::from(descriptor.is_some()))?;
        let len = bytes as usize;
        let data_bytes = extent.whole.then_some(len);
        let foreign = Foreign::new(descriptor, segment_bytes as usize, data_bytes, source);
        Ok(Self::of_piece(Piece {
            segment: Segment::Foreign(Arc::new(foreign)),
            // It is not more than the segment's size, which is checked.
            offset: extent.offset_bytes as usize,
            len,
            start: 0,
        }))
    }
}

/// Checks that an extent lies in its segment.
fn inside(extent: &Extent) -> Result<(), ExtentFlaw> {
    let end = extent.offset_bytes.checked_add(extent.bytes);
    let inside = end.is_some_and(|end| end <= extent.segment_bytes);
    if extent.bytes == 0 || !inside {
        return Err(ExtentFlaw::Outside {
            offset_bytes: extent.offset_bytes,
            bytes: extent.bytes,
            segment_bytes: extent.segment_bytes,
        });
    }
    Ok(())
}

/// The size of an extent's segment, which can be addressed.
fn size_of(extent: &Extent) -> Result<usize, ExtentFlaw> {
    usize::try_from(extent.segment_bytes)
        .ok()
        .filter(|&bytes| isize::try_from(bytes).is_ok())
        .ok_or(ExtentFlaw::TooLong)
}

/// What a peer says of a segment.
struct Said {
    size_bytes: usize,
    data_bytes: Option<usize>,
}

/// Checks what was said; one [`Said`] for each descriptor.
fn check(extents: &[Extent], descriptors: usize) -> Result<Vec<Said>, ExtentFlaw> {
    let fitting = extents.len() <= MAX_EXTENTS && descriptors <= MAX_DESCRIPTORS;
    if !fitting || extents.is_empty() != (descriptors == 0) {
        return Err(ExtentFlaw::Count {
            extents: extents.len(),
            descriptors,
        });
    }
    let mut sum = 0_usize;
    for extent in extents {
        if extent.descriptor >= descriptors {
            return Err(ExtentFlaw::Descriptor {
                descriptor: extent.descriptor,
                descriptors,
            });
        }
        inside(extent)?;
        let bytes = usize::try_from(extent.bytes).ok();
        sum = bytes
            .and_then(|bytes| sum.checked_add(bytes))
            .filter(|&sum| isize::try_from(sum).is_ok())
            .ok_or(ExtentFlaw::TooLong)?;
    }
    (0..descriptors)
        .map(|descriptor| {
            let mut named = extents.iter().filter(|e| e.descriptor == descriptor);
            let first = named.next().ok_or(ExtentFlaw::Descriptor {
                descriptor,
                descriptors,
            })?;
            let same =
                |e: &Extent| e.segment_bytes == first.segment_bytes && e.whole == first.whole;
            if !named.all(same) {
                return Err(ExtentFlaw::Disagree { descriptor });
            }
            let size_bytes = size_of(first)?;
            let named_bytes = distinct_bytes(extents, descriptor)?;
            Ok(Said {
                size_bytes,
                data_bytes: first.whole.then_some(named_bytes),
            })
        })
        .collect()
}

/// How many bytes the extents in one segment name.
fn distinct_bytes(extents: &[Extent], descriptor: usize) -> Result<usize, ExtentFlaw> {
    let named = extents.iter().filter(|e| e.descriptor == descriptor);
    let mut named: Vec<_> = named.map(|e| (e.offset_bytes, e.bytes)).collect();
    named.sort_unstable();
    let overlap = |pair: &[(u64, u64)]| pair[0].0 + pair[0].1 > pair[1].0;
    if named.windows(2).any(overlap) {
        // Else a peer could make this side copy far more than it has itself.
        return Err(ExtentFlaw::Overlap { descriptor });
    }
    // Not more than the sum of all, which can be addressed.
    Ok(named.iter().map(|(_, bytes)| *bytes as usize).sum())
}
