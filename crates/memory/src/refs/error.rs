//! What can go wrong with references.

use std::sync::Arc;

use rustix::io::Errno;

use crate::segment::SegmentError;

/// Why a pool gave no memory.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The quota is used up, even after everything that is free was taken back.
    /// Drop refs, wait for peers to drop theirs, or set a larger
    /// [`quota_bytes`](super::PoolOptions::quota_bytes).
    #[error(
        "pool is full: {asked_bytes} bytes asked for, {live_bytes} of {quota_bytes} are in use"
    )]
    Full {
        /// What was asked for, in bytes of a whole segment.
        asked_bytes: usize,
        /// What is in use.
        live_bytes: usize,
        /// The quota.
        quota_bytes: usize,
    },
    /// No process can have a buffer of this size.
    #[error("a buffer of {asked_bytes} bytes: not a size a segment can have")]
    Size {
        /// What was asked for.
        asked_bytes: usize,
    },
    /// More was written to a buffer than it can take. Ask for a larger one.
    #[error(
        "buffer of {capacity_bytes} bytes holds {len_bytes} and cannot take {asked_bytes} more"
    )]
    Capacity {
        /// What the buffer can hold.
        capacity_bytes: usize,
        /// What it holds.
        len_bytes: usize,
        /// What was to be added.
        asked_bytes: usize,
    },
    /// This process, or the system, has no descriptor left. Raise `RLIMIT_NOFILE`
    /// (each ref takes one or two), or drop refs.
    #[error(
        "no descriptor for a segment of {asked_bytes} bytes beside {segments} others: {source}"
    )]
    Descriptors {
        /// What was asked for, in bytes.
        asked_bytes: usize,
        /// Segments the pool has.
        segments: usize,
        /// What the kernel said: `EMFILE` is this process's limit, `ENFILE` the
        /// system's.
        source: Errno,
    },
    /// A segment could not be made.
    #[error(transparent)]
    Segment(#[from] SegmentError),
}

/// Why something could not be done with a ref.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RefError {
    /// A range that does not lie inside the ref. The caller's mistake.
    #[error("bytes {start}..{end} of a ref of {len_bytes}")]
    Range {
        /// The range's first byte.
        start: usize,
        /// The byte after its last.
        end: usize,
        /// How many bytes the ref has.
        len_bytes: usize,
    },
    /// The pool gave no memory for a copy.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// What a peer said about a ref makes no sense: it misbehaves.
    #[error("{peer}: bad reference: {flaw}")]
    Extent {
        /// Which peer.
        peer: Arc<str>,
        /// What is wrong with it.
        flaw: ExtentFlaw,
    },
    /// What a peer passed is not a segment as it must be: it misbehaves, or, with
    /// [`SegmentError::Os`], this side lacks something.
    #[error("{peer}: memory of a reference: {source}")]
    Segment {
        /// Which peer.
        peer: Arc<str>,
        /// What is wrong with it.
        source: SegmentError,
    },
    /// The peer has passed as many descriptors as this side holds for one peer.
    /// Drop refs, or raise the limit.
    #[error(
        "{peer}: {held} descriptors of references are held, and {more} more are over the limit of {limit}"
    )]
    TooMany {
        /// Which peer.
        peer: Arc<str>,
        /// Descriptors held that came from it.
        held: usize,
        /// What the new ref would have added.
        more: usize,
        /// The limit.
        limit: usize,
    },
    /// The ref came, but this process had no descriptor left for its memory. Raise
    /// `RLIMIT_NOFILE`, and have the peer pass it again.
    #[error("{peer}: a reference lost its memory: this process was out of descriptors")]
    Lost {
        /// Which peer.
        peer: Arc<str>,
    },
    /// A token that was taken before, or whose call is over.
    #[error("{peer}: a reference that is not valid any more")]
    Expired {
        /// Which peer.
        peer: Arc<str>,
    },
    /// A ref could not be mapped, read or passed: the machine, or a limit, is in
    /// the way.
    #[error("ref of {len_bytes} bytes: {call}: {source}")]
    Os {
        /// The call that failed.
        call: &'static str,
        /// How many bytes the ref has.
        len_bytes: usize,
        /// What the kernel said.
        source: Errno,
    },
    /// This process has no memory for a copy.
    #[error("no memory to copy {len_bytes} bytes of a ref")]
    NoMemory {
        /// How many bytes.
        len_bytes: usize,
    },
}

impl RefError {
    /// Whether an honest peer would never have caused it: end the connection, and
    /// name it.
    pub fn is_misbehaviour(&self) -> bool {
        match self {
            Self::Extent { .. } => true,
            Self::Segment { source, .. } => !matches!(
                source,
                SegmentError::Os { .. } | SegmentError::NoMemory { .. }
            ),
            _ => false,
        }
    }
}

/// What is wrong with the extents of a ref that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtentFlaw {
    /// It has none, or more than [`MAX_EXTENTS`](super::MAX_EXTENTS) or
    /// [`MAX_DESCRIPTORS`](super::MAX_DESCRIPTORS).
    #[error("{extents} extents on {descriptors} descriptors")]
    Count {
        /// How many extents.
        extents: usize,
        /// How many descriptors.
        descriptors: usize,
    },
    /// An extent on a descriptor the ref does not have, or a descriptor without an
    /// extent.
    #[error("descriptor {descriptor} of {descriptors}")]
    Descriptor {
        /// The descriptor's index.
        descriptor: usize,
        /// How many there are.
        descriptors: usize,
    },
    /// An extent of no bytes, or beyond the end of its segment.
    #[error("{bytes} bytes at {offset_bytes} of a segment of {segment_bytes}")]
    Outside {
        /// Where it begins.
        offset_bytes: u64,
        /// How long it is.
        bytes: u64,
        /// How long the segment is said to be.
        segment_bytes: u64,
    },
    /// Two extents say different things about one segment.
    #[error("two extents disagree about the segment of descriptor {descriptor}")]
    Disagree {
        /// The descriptor's index.
        descriptor: usize,
    },
    /// Two extents name the same bytes.
    #[error("two extents of descriptor {descriptor} overlap")]
    Overlap {
        /// The descriptor's index.
        descriptor: usize,
    },
    /// More bytes than this process can address.
    #[error("extents of more bytes than can be addressed")]
    TooLong,
}
