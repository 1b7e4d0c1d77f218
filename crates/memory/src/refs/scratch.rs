//! Private buffers that foreign bytes are copied to, kept for the next copy: pages
//! the kernel gives afresh cost more than copying to them.

use std::collections::TryReserveError;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

/// Buffers of the same size kept, at most; 32 MiB of all sizes together.
const KEPT_PER_CLASS: usize = 4;

/// The smallest buffer that is kept; below, the allocator is good enough.
const SMALLEST_BYTES: usize = 4096;

/// Sizes that are kept: powers of two up to 4 MiB.
const CLASSES: usize = 11;

static UNUSED: Mutex<[Vec<Vec<u8>>; CLASSES]> = Mutex::new([const { Vec::new() }; CLASSES]);

/// Bytes of this process alone.
#[derive(Debug)]
pub(super) struct Scratch {
    buffer: Vec<u8>,
    len: usize,
}

fn class_of(bytes: usize) -> usize {
    let pages = bytes.div_ceil(SMALLEST_BYTES).next_power_of_two();
    pages.ilog2() as usize
}

impl Scratch {
    /// `len` bytes of no particular value.
    pub(super) fn new(len: usize) -> Result<Self, TryReserveError> {
        let class = class_of(len);
        let kept = {
            let mut unused = UNUSED.lock().unwrap_or_else(PoisonError::into_inner);
            unused.get_mut(class).and_then(Vec::pop)
        };
        let mut buffer = kept.unwrap_or_default();
        if buffer.len() < len {
            let size = if class < CLASSES && len >= SMALLEST_BYTES {
                SMALLEST_BYTES << class
            } else {
                len
            };
            buffer.try_reserve_exact(size)?;
            buffer.resize(size, 0);
        }
        Ok(Self { buffer, len })
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.len]
    }
}

impl Deref for Scratch {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        let class = class_of(buffer.len());
        if buffer.len() != SMALLEST_BYTES << class.min(CLASSES) {
            return;
        }
        let mut unused = UNUSED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = unused.get_mut(class)
            && kept.len() < KEPT_PER_CLASS
        {
            kept.push(buffer);
        }
    }
}
