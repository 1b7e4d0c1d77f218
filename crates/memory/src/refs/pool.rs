//! The memory refs are made of.

use std::sync::{Arc, LazyLock};

use super::stock::Stock;
use super::{Buffer, PoolError, PoolOptions, Ref, Usage};

static PROCESS: LazyLock<Pool> = LazyLock::new(|| Pool::new(PoolOptions::default()));

/// Memory of this process that can be shared with others.
///
/// Clones are the same pool. Every method may be called from any thread. The memory
/// is given back when the pool and everything made from it are gone. A forked
/// child has none of it.
///
/// ```
/// use nowire_memory::refs::Pool;
///
/// let mut buffer = Pool::process().alloc(1 << 20)?;
/// buffer[..5].copy_from_slice(b"hello");
/// let whole = buffer.share();
/// let part = whole.slice(..5)?;
/// assert_eq!(&*part.map()?, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Pool {
    stock: Arc<Stock>,
    uid: u32,
}

impl Pool {
    /// A pool with its own quota.
    pub fn new(options: PoolOptions) -> Self {
        Self {
            stock: Stock::new(options),
            uid: rustix::process::geteuid().as_raw(),
        }
    }

    /// The pool of this process, with the default [`PoolOptions`].
    pub fn process() -> &'static Self {
        &PROCESS
    }

    /// A buffer of `len` zeroes.
    ///
    /// The memory is a segment of its own: whole pages, and a descriptor. What is
    /// to be written anyway is cheaper with [`with_capacity`](Self::with_capacity),
    /// as memory that is used again is not zeroed first.
    ///
    /// # Errors
    /// [`PoolError::Full`], [`PoolError::Size`], [`PoolError::Descriptors`],
    /// [`PoolError::Segment`].
    pub fn alloc(&self, len: usize) -> Result<Buffer, PoolError> {
        Buffer::zeroed(&self.stock, len)
    }

    /// An empty buffer to which at least `capacity` bytes can be appended.
    ///
    /// # Errors
    /// As [`alloc`](Self::alloc).
    pub fn with_capacity(&self, capacity: usize) -> Result<Buffer, PoolError> {
        Buffer::empty(&self.stock, capacity)
    }

    /// A ref to a copy of `bytes`.
    ///
    /// # Errors
    /// As [`alloc`](Self::alloc).
    pub fn copy_of(&self, bytes: &[u8]) -> Result<Ref, PoolError> {
        let mut buffer = self.with_capacity(bytes.len())?;
        buffer.extend_from_slice(bytes)?;
        Ok(buffer.share())
    }

    /// What the pool has taken of its quota.
    pub fn usage(&self) -> Usage {
        self.stock.usage()
    }

    /// Asks the kernel of all memory that peers may still have whether they do, and
    /// gives everything that is free back to the kernel. Returns how many bytes
    /// that were.
    ///
    /// Allocating does it by itself when the quota is used up. A process that will
    /// not allocate for long may want to call it: what peers have let go of since
    /// the last allocation is not noticed otherwise.
    pub fn reclaim(&self) -> usize {
        self.stock.reclaim()
    }

    /// The user of this process, when the pool was made.
    pub(super) fn uid(&self) -> u32 {
        self.uid
    }

    pub(super) fn stock(&self) -> &Arc<Stock> {
        &self.stock
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new(PoolOptions::default())
    }
}
