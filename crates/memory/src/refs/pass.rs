//! Passing a ref to a peer.

use rustix::fd::BorrowedFd;

use super::{Pool, Ref, RefError};

/// Descriptors a passed ref has at most. One of more segments is copied into one
/// before it is passed.
pub const MAX_DESCRIPTORS: usize = 32;

/// Extents a passed ref has at most; see [`MAX_DESCRIPTORS`].
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
    /// only then may the receiver pass the descriptor on to somebody else.
    pub whole: bool,
}

/// Whom a ref is passed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audience {
    /// The connection, by a number no other connection of this process has, or
    /// ever had.
    pub connection: u64,
    /// The peer's user, as the kernel says.
    pub uid: u32,
    /// From how many bytes on the peer wants the memory of refs sealed against
    /// writing; [`u32::MAX`] for never.
    pub seal_from_bytes: u32,
}

impl Ref {
    /// What to send so that the peer has the ref.
    pub fn pass(&self, audience: &Audience, pool: &Pool) -> Result<Passed, RefError> {
        let _ = (audience, pool);
        todo!()
    }
}

/// A ref on its way to a peer. It keeps the memory until it is dropped: drop it
/// when the descriptors are in the socket.
#[derive(Debug)]
pub struct Passed {
    extents: Vec<Extent>,
}

impl Passed {
    /// What the peer is told: at least one, unless the ref is empty.
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// What is attached, in the order the extents count them.
    pub fn descriptors(&self) -> impl ExactSizeIterator<Item = BorrowedFd<'_>> {
        std::iter::empty()
    }

    /// To be called when the descriptors were handed to the kernel: from now on
    /// the peer has the segments, so that parts of them can be passed to it
    /// without a copy.
    pub fn sent(&self) {}
}
