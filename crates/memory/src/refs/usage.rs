//! What a pool has taken.

/// What a [`Pool`](super::Pool) has taken of its quota at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Usage {
    /// The most the pool may take, in bytes.
    pub quota_bytes: usize,
    /// What is in use, in bytes of whole segments: named by buffers, refs, views
    /// and edits of this process, or not yet proven to be free of peers.
    pub live_bytes: usize,
    /// The part of `live_bytes` that this process has let go of, and peers, as far
    /// as is known, have not.
    pub waiting_bytes: usize,
    /// Free memory kept for the next allocation, in bytes.
    pub kept_bytes: usize,
    /// Segments in use, as `live_bytes`. Each takes a descriptor, and a second one
    /// once it was passed.
    pub segments: usize,
    /// The part of `segments` that only peers may have.
    pub waiting_segments: usize,
}
