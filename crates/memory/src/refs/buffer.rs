//! Memory that is being written.

use std::ops::{Deref, DerefMut};

use super::{PoolError, Ref};

/// Memory of a pool that only its holder can write or see.
#[derive(Debug)]
pub struct Buffer {}

impl Buffer {
    /// How many bytes it holds.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many it can hold.
    pub fn capacity(&self) -> usize {
        todo!()
    }

    /// Appends `bytes`.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> Result<(), PoolError> {
        let _ = bytes;
        todo!()
    }

    /// Drops what is beyond `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        let _ = len;
        todo!()
    }

    /// Gives up writing, for a ref to the bytes.
    pub fn share(self) -> Ref {
        todo!()
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        todo!()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        todo!()
    }
}

impl std::io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = bytes;
        todo!()
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
