//! How this crate reaches shared memory.
//!
//! The traits speak of byte offsets from the start of a segment. An
//! implementation must make every access well defined even while another
//! process stores to the same bytes: words are atomics, copies are opaque to
//! the compiler. Offsets come from checked geometry, so an access out of bounds
//! is a bug of ours and panics.

use std::ops::Deref;
use std::sync::atomic::Ordering;

/// Memory this side may read; a peer may be writing it at any moment.
pub trait ReadMemory {
    /// Size of the segment in bytes.
    fn size_bytes(&self) -> usize;

    /// Loads the 64-bit word at `offset`, a multiple of 8.
    ///
    /// # Panics
    /// If the word does not lie inside the segment.
    fn load(&self, offset: usize, order: Ordering) -> u64;

    /// Copies `into.len()` bytes starting at `offset` out of the segment. What
    /// the peer stores meanwhile may or may not be in the copy.
    ///
    /// # Panics
    /// If the range does not lie inside the segment.
    fn copy_out(&self, offset: usize, into: &mut [u8]);

    /// Loads `N` words one after another, from `offset` on, a multiple of 8.
    /// Each is whole; what the peer stores meanwhile may be in some of them.
    ///
    /// # Panics
    /// If the words do not lie inside the segment.
    #[inline]
    fn load_words<const N: usize>(&self, offset: usize) -> [u64; N] {
        std::array::from_fn(|i| self.load(offset + i * 8, Ordering::Relaxed))
    }
}

/// Memory this side owns: nobody else can write it.
pub trait WriteMemory: ReadMemory {
    /// Stores the 64-bit word at `offset`, a multiple of 8.
    ///
    /// # Panics
    /// If the word does not lie inside the segment.
    fn store(&self, offset: usize, value: u64, order: Ordering);

    /// Copies `from` into the segment at `offset`.
    ///
    /// # Panics
    /// If the range does not lie inside the segment.
    fn copy_in(&self, offset: usize, from: &[u8]);

    /// Stores words one after another, from `offset` on, a multiple of 8.
    ///
    /// # Panics
    /// If the words do not lie inside the segment.
    #[inline]
    fn store_words<const N: usize>(&self, offset: usize, words: [u64; N]) {
        for (i, word) in words.into_iter().enumerate() {
            self.store(offset + i * 8, word, Ordering::Relaxed);
        }
    }
}

impl<M: Deref<Target: ReadMemory>> ReadMemory for M {
    #[inline]
    fn size_bytes(&self) -> usize {
        (**self).size_bytes()
    }

    #[inline]
    fn load(&self, offset: usize, order: Ordering) -> u64 {
        (**self).load(offset, order)
    }

    #[inline]
    fn copy_out(&self, offset: usize, into: &mut [u8]) {
        (**self).copy_out(offset, into);
    }

    #[inline]
    fn load_words<const N: usize>(&self, offset: usize) -> [u64; N] {
        (**self).load_words(offset)
    }
}

impl<M: Deref<Target: WriteMemory>> WriteMemory for M {
    #[inline]
    fn store(&self, offset: usize, value: u64, order: Ordering) {
        (**self).store(offset, value, order);
    }

    #[inline]
    fn copy_in(&self, offset: usize, from: &[u8]) {
        (**self).copy_in(offset, from);
    }

    #[inline]
    fn store_words<const N: usize>(&self, offset: usize, words: [u64; N]) {
        (**self).store_words(offset, words);
    }
}

/// Orders every earlier store before every later load, on this side.
#[inline]
pub(crate) fn full_fence() {
    #[cfg(loom)]
    loom::sync::atomic::fence(Ordering::SeqCst);
    #[cfg(not(loom))]
    std::sync::atomic::fence(Ordering::SeqCst);
}

/// A segment in private memory, for tests, fuzzing and models: both traits,
/// over the atomics of the build (loom's under `--cfg loom`).
#[derive(Debug)]
pub struct PrivateMemory {
    words: Box<[Word]>,
}

#[cfg(loom)]
type Word = loom::sync::atomic::AtomicU64;
#[cfg(not(loom))]
type Word = std::sync::atomic::AtomicU64;

impl PrivateMemory {
    /// Zeroed memory of `size_bytes`, rounded up to whole words.
    pub fn zeroed(size_bytes: usize) -> Self {
        Self {
            words: (0..size_bytes.div_ceil(8)).map(|_| Word::new(0)).collect(),
        }
    }
}

impl ReadMemory for PrivateMemory {
    fn size_bytes(&self) -> usize {
        self.words.len() * 8
    }

    fn load(&self, offset: usize, order: Ordering) -> u64 {
        assert!(offset.is_multiple_of(8), "word at odd offset {offset}");
        self.words[offset / 8].load(order)
    }

    fn copy_out(&self, offset: usize, into: &mut [u8]) {
        for (i, byte) in into.iter_mut().enumerate() {
            let at = offset + i;
            *byte = self.words[at / 8].load(Ordering::Relaxed).to_le_bytes()[at % 8];
        }
    }
}

impl WriteMemory for PrivateMemory {
    fn store(&self, offset: usize, value: u64, order: Ordering) {
        assert!(offset.is_multiple_of(8), "word at odd offset {offset}");
        self.words[offset / 8].store(value, order);
    }

    fn copy_in(&self, offset: usize, from: &[u8]) {
        for (i, byte) in from.iter().enumerate() {
            let at = offset + i;
            let word = &self.words[at / 8];
            let mut bytes = word.load(Ordering::Relaxed).to_le_bytes();
            bytes[at % 8] = *byte;
            word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        }
    }
}
