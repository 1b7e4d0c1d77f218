//! How a pool is made.

/// What a [`Pool`](super::Pool) may take, and when it uses memory again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOptions {
    /// The most memory the pool takes, in bytes; 1 GiB by default. Counted are
    /// whole segments, those that peers still hold and those kept for reuse
    /// included. Too little, and allocating fails while peers are slow to let go;
    /// too much, and a peer that never lets go can make this process fill the
    /// machine.
    pub quota_bytes: usize,
    /// When memory that a peer has seen may be used again.
    pub reuse: Reuse,
    /// Free memory that is kept for the next allocation, in bytes; 64 MiB by
    /// default. Of small segments fewer are kept: they take no more than an eighth of
    /// the descriptors this process may have (`RLIMIT_NOFILE` when the pool is made),
    /// nor more than 1024. Making a segment afresh costs about 0.3 µs for each KiB; 0 makes
    /// every segment afresh.
    pub keep_bytes: usize,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            quota_bytes: 1 << 30,
            reuse: Reuse::Proven,
            keep_bytes: 64 << 20,
        }
    }
}

/// When memory that was passed to a peer may be used for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Reuse {
    /// When the kernel proves that no other process holds a ref to it: the open file
    /// that was passed is neither open nor mapped anywhere, nor on its way. And only
    /// if it was passed to nobody but processes of this process's own user.
    ///
    /// There is something the proof does not see. Pages that a peer moved into a pipe
    /// (`splice`) or registered with `io_uring` stay readable there after the peer has
    /// closed the segment. So they do where it opened the file once more by itself:
    /// readers do so, to have mapped what comes again, and look there only while they
    /// hold a ref. A peer can even take away the mark that the kernel is asked for,
    /// while others hold the same open file. Processes of one user can read each
    /// other's memory anyway. What was passed to another user is therefore used once
    /// only, whatever is set here; so is what was sealed.
    #[default]
    Proven,
    /// Never: every buffer is fresh memory from the kernel.
    Never,
}
