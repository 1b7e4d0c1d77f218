//! Buffers for pieces of large messages, used again and again.
//!
//! A piece is copied out of the peer's memory into private memory before anyone
//! looks at it. The same few buffers serve for that, so they stay in the cache
//! and never go back to the system.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Most buffers kept for later.
const KEPT: usize = 8;

/// The free buffers of one connection.
#[derive(Debug)]
pub(crate) struct Pool {
    piece_bytes: usize,
    free: Mutex<Vec<Box<[u8]>>>,
}

impl Pool {
    pub(crate) fn new(piece_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            piece_bytes,
            free: Mutex::new(Vec::new()),
        })
    }

    /// A buffer of `length` bytes, at most a piece, filled by `fill`.
    pub(crate) fn fill(self: &Arc<Self>, length: usize, fill: impl FnOnce(&mut [u8])) -> Bytes {
        let kept = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut buffer = kept.unwrap_or_else(|| vec![0; self.piece_bytes].into_boxed_slice());
        fill(&mut buffer[..length]);
        Bytes::from_owner(Pooled {
            buffer,
            length,
            pool: Arc::clone(self),
        })
    }
}

struct Pooled {
    buffer: Box<[u8]>,
    length: usize,
    pool: Arc<Pool>,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let mut free = self
            .pool
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT {
            free.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_serves_again() {
        let pool = Pool::new(64);
        let first = pool.fill(3, |bytes| bytes.copy_from_slice(b"abc"));
        let place = first.as_ptr();
        assert_eq!(first, "abc");
        drop(first);
        let second = pool.fill(2, |bytes| bytes.copy_from_slice(b"xy"));
        assert_eq!(second, "xy");
        assert_eq!(second.as_ptr(), place);
    }
}
