//! Buffers for pieces of large messages, used again and again.
//!
//! A piece is copied out of the peer's memory into private memory before anyone
//! looks at it. The same few buffers serve for that, so they stay in the cache
//! and never go back to the system.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Most buffers kept for later.
const KEPT: usize = 8;
/// Most buffers lent for less than half of what they hold. Beyond, a buffer is
/// made to measure: a peer who fills its windows with small pieces shall not make
/// this side pay for whole ones.
const LENT: usize = 64;

/// The buffers of one connection.
#[derive(Debug)]
pub(crate) struct Pool {
    piece_bytes: usize,
    buffers: Mutex<Buffers>,
}

#[derive(Debug, Default)]
struct Buffers {
    free: Vec<Box<[u8]>>,
    lent: usize,
}

impl Pool {
    pub(crate) fn new(piece_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            piece_bytes,
            buffers: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Buffers> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A buffer of `length` bytes, at most a piece, filled by `fill`.
    pub(crate) fn fill(self: &Arc<Self>, length: usize, fill: impl FnOnce(&mut [u8])) -> Bytes {
        let mut buffers = self.lock();
        if buffers.lent >= LENT && length < self.piece_bytes / 2 {
            drop(buffers);
            let mut buffer = vec![0; length];
            fill(&mut buffer);
            return buffer.into();
        }
        buffers.lent += 1;
        let kept = buffers.free.pop();
        drop(buffers);
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
        let mut buffers = self.pool.lock();
        buffers.lent -= 1;
        if buffers.free.len() < KEPT {
            buffers.free.push(std::mem::take(&mut self.buffer));
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
    #[test]
    fn small_pieces_that_pile_up_take_no_whole_buffers() {
        let pool = Pool::new(1 << 20);
        let held: Vec<_> = (0..LENT + 1).map(|_| pool.fill(1, |_| {})).collect();
        assert_eq!(pool.lock().lent, LENT);
        drop(held);
        assert_eq!(pool.lock().lent, 0);
    }
}
