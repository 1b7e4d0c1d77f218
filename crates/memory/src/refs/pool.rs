//! The memory refs are made of.

use super::{Buffer, PoolError, PoolOptions, Ref, Usage};

/// Memory of this process that can be shared.
#[derive(Debug, Clone)]
pub struct Pool {}

impl Pool {
    /// A pool of its own.
    pub fn new(options: PoolOptions) -> Self {
        let _ = options;
        todo!()
    }

    /// The pool of this process, with default options.
    pub fn process() -> &'static Self {
        todo!()
    }

    /// A buffer of `len` zeroes.
    pub fn alloc(&self, len: usize) -> Result<Buffer, PoolError> {
        let _ = len;
        todo!()
    }

    /// An empty buffer to which `capacity` bytes can be appended.
    pub fn with_capacity(&self, capacity: usize) -> Result<Buffer, PoolError> {
        let _ = capacity;
        todo!()
    }

    /// A ref to a copy of `bytes`.
    pub fn copy_of(&self, bytes: &[u8]) -> Result<Ref, PoolError> {
        let _ = bytes;
        todo!()
    }

    /// What the pool has taken.
    pub fn usage(&self) -> Usage {
        todo!()
    }

    /// Gives free memory back to the kernel; returns how many bytes.
    pub fn reclaim(&self) -> usize {
        todo!()
    }
}
