//! Mapped segments, as memory another process may be writing.
//!
//! Rules of this module:
//! 1. `base .. base + size_bytes` is one shared mapping made by `map`, of a file
//!    that can neither shrink nor lose pages; it stays until the only
//!    `Mapping` that names it is dropped.
//! 2. Nobody makes a reference to the mapped bytes but through [`Mapping::bytes`],
//!    whose caller vouches that nobody writes them. All others are reached by atomic
//!    words and by [`copy`](super::copy), both of which stay defined while
//!    somebody else writes.
//! 3. Every offset is checked against `size_bytes` before a pointer is made.
//! 4. Only a `WritableMapping`, mapped for writing, is stored to.

use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fd::BorrowedFd;
use rustix::io;
use rustix::mm::{self, MapFlags, ProtFlags};

use super::copy;

/// A segment mapped for reading.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    size_bytes: usize,
}

// SAFETY: by rules 1 and 2 the mapping belongs to no thread, and unmapping it
// is allowed from any.
unsafe impl Send for Mapping {}

// SAFETY: by rule 2 everything done through `&Mapping` is defined whoever else
// reads or writes at the same time.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `size_bytes` of `file` for reading, pages present.
    pub(crate) fn readable(file: BorrowedFd<'_>, size_bytes: usize) -> io::Result<Self> {
        Self::map(file, size_bytes, ProtFlags::READ)
    }

    fn map(file: BorrowedFd<'_>, size_bytes: usize, access: ProtFlags) -> io::Result<Self> {
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: without MAP_FIXED the kernel picks an address range nobody uses.
        let base = unsafe { mm::mmap(ptr::null_mut(), size_bytes, access, flags, file, 0) }?;
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::Errno::NOMEM)?;
        let mapping = Self { base, size_bytes };
        // A forked child would be a second writer, and keep the memory alive.
        // SAFETY: the range is the mapping just made; the advice changes what a
        // fork copies, not what this process sees.
        unsafe { mm::madvise(base.as_ptr().cast(), size_bytes, mm::Advice::LinuxDontFork) }?;
        Ok(mapping)
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    #[inline]
    pub(crate) fn load(&self, offset: usize, order: Ordering) -> u64 {
        self.word(offset).load(order)
    }

    #[inline]
    pub(crate) fn load_words<const N: usize>(&self, offset: usize) -> [u64; N] {
        self.words(offset)
            .each_ref()
            .map(|word| word.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn copy_out(&self, offset: usize, into: &mut [u8]) {
        let from = self.range(offset, into.len());
        // SAFETY: rules 1 and 3: `from` is mapped for `into.len()` bytes; by
        // rule 2 no `&mut [u8]` lies in the mapping, so the two are apart.
        unsafe { copy::copy(from, into.as_mut_ptr(), into.len()) }
    }

    /// # Panics
    /// If the range is not inside the mapping.
    ///
    /// # Safety
    /// Nobody writes these bytes, in this process or in others, as long as the slice
    /// is there.
    #[inline]
    pub(crate) unsafe fn bytes(&self, offset: usize, len: usize) -> &[u8] {
        // SAFETY: rules 1 and 3: mapped as long as `self` lives; the caller vouches
        // for the rest.
        unsafe { slice::from_raw_parts(self.range(offset, len), len) }
    }

    #[inline]
    fn range(&self, offset: usize, bytes: usize) -> *mut u8 {
        let fits = offset <= self.size_bytes && bytes <= self.size_bytes - offset;
        assert!(
            fits,
            "{bytes} bytes at {offset} of a segment of {}",
            self.size_bytes
        );
        self.base.as_ptr().wrapping_add(offset)
    }

    #[inline]
    fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8), "word at odd offset {offset}");
        let word = self.range(offset, size_of::<u64>()).cast::<u64>();
        // SAFETY: rules 1 and 3: mapped as long as `self` lives; aligned, as the
        // mapping begins at a page; accessed atomically by everybody (rule 2).
        unsafe { AtomicU64::from_ptr(word) }
    }

    #[inline]
    fn words<const N: usize>(&self, offset: usize) -> &[AtomicU64; N] {
        assert!(offset.is_multiple_of(8), "words at odd offset {offset}");
        let words = self.range(offset, size_of::<[u64; N]>());
        // SAFETY: rules 1 and 3: mapped as long as `self` lives; aligned, as the
        // mapping begins at a page; accessed atomically by everybody (rule 2).
        unsafe { &*words.cast::<[AtomicU64; N]>() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: rules 1 and 2: the range is ours and nothing points into it.
        let unmapped = unsafe { mm::munmap(self.base.as_ptr().cast(), self.size_bytes) };
        debug_assert!(unmapped.is_ok(), "munmap: {unmapped:?}");
    }
}

/// A segment mapped for reading and writing.
#[derive(Debug)]
pub(crate) struct WritableMapping(Mapping);

impl WritableMapping {
    /// Maps the first `size_bytes` of `file` for reading and writing, pages present.
    pub(crate) fn new(file: BorrowedFd<'_>, size_bytes: usize) -> io::Result<Self> {
        Mapping::map(file, size_bytes, ProtFlags::READ | ProtFlags::WRITE).map(Self)
    }

    #[inline]
    pub(crate) fn readable(&self) -> &Mapping {
        &self.0
    }

    #[inline]
    pub(crate) fn store(&self, offset: usize, value: u64, order: Ordering) {
        self.0.word(offset).store(value, order);
    }

    #[inline]
    pub(crate) fn store_words<const N: usize>(&self, offset: usize, values: [u64; N]) {
        for (word, value) in self.0.words::<N>(offset).iter().zip(values) {
            word.store(value, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn copy_in(&self, offset: usize, from: &[u8]) {
        let into = self.0.range(offset, from.len());
        // SAFETY: rules 1, 3 and 4: `into` is mapped for writing `from.len()`
        // bytes; by rule 2 no slice lies in the mapping, so the two are apart.
        unsafe { copy::copy(from.as_ptr(), into, from.len()) }
    }
}
