//! Where in the address space heaps may lie.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::Arc;

use rustix::io::Errno;

use super::HeapError;
use crate::sys::window::Window;

/// The smallest window of a heap, in bytes.
pub const MIN_WINDOW_BYTES: u64 = 1 << 20;

/// The largest window of a heap, in bytes.
pub const MAX_WINDOW_BYTES: u64 = 1 << 40;

/// Where windows lie: far from where programs, libraries, stacks and
/// allocators are put on machines with 47 bits of address space.
const ADDRESSES: Range<u64> = 0x1000_0000_0000..0x5000_0000_0000;

/// Places tried before giving up.
const ATTEMPTS: u32 = 32;

/// The window's size if it is one a heap can have: a power of two within limits.
pub(super) fn window_size(window_bytes: u64) -> Result<usize, HeapError> {
    let fits = (MIN_WINDOW_BYTES..=MAX_WINDOW_BYTES).contains(&window_bytes);
    match usize::try_from(window_bytes) {
        Ok(bytes) if fits && bytes.is_power_of_two() => Ok(bytes),
        _ => Err(HeapError::Window { window_bytes }),
    }
}

/// The base and the size of a window if a heap can have them.
pub(super) fn place(base: u64, window_bytes: u64) -> Result<(usize, usize), HeapError> {
    let bytes = window_size(window_bytes)?;
    let fits = ADDRESSES.contains(&base)
        && window_bytes <= ADDRESSES.end - base
        && base.is_multiple_of(window_bytes);
    match usize::try_from(base) {
        Ok(address) if fits => Ok((address, bytes)),
        _ => Err(HeapError::Misplaced { base, window_bytes }),
    }
}

/// Reserves `bytes` at a random place.
pub(super) fn reserve(bytes: usize) -> Result<Arc<Window>, HeapError> {
    let window_bytes = bytes as u64;
    let places = (ADDRESSES.end - ADDRESSES.start) / window_bytes;
    let random = RandomState::new();
    let mut last = Errno::EXIST;
    for attempt in 0..ATTEMPTS {
        // Both ends of the range are multiples of the largest window.
        let base = ADDRESSES.start + random.hash_one(attempt) % places * window_bytes;
        match Window::reserve_at(base as usize, bytes) {
            Ok(window) => return Ok(Arc::new(window)),
            Err(error) => last = error,
        }
    }
    Err(HeapError::NoAddress {
        window_bytes,
        attempts: ATTEMPTS,
        source: last,
    })
}
const _: () = assert!(ADDRESSES.start.is_multiple_of(MAX_WINDOW_BYTES));
const _: () = assert!(ADDRESSES.end.is_multiple_of(MAX_WINDOW_BYTES));
