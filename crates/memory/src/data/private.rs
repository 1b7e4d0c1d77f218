use std::alloc::{self, Layout};
use std::ptr::NonNull;

use super::scope::PAGE_BYTES;

/// Zeroed, page-aligned memory of this process, freed when dropped.
#[derive(Debug)]
pub(crate) struct PrivateMemory {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it is memory and nothing else; whoever uses it does so by `unsafe`.
unsafe impl Send for PrivateMemory {}
// SAFETY: as above.
unsafe impl Sync for PrivateMemory {}

impl PrivateMemory {
    /// At least `bytes` bytes: at least one page, and whole ones.
    ///
    /// # Panics
    /// If there can be no so much memory.
    pub(crate) fn new(bytes: usize) -> Self {
        let layout = bytes
            .max(1)
            .checked_next_multiple_of(PAGE_BYTES)
            .and_then(|bytes| Layout::from_size_align(bytes, PAGE_BYTES).ok())
            .expect("no memory is so large");
        // SAFETY: the size is not zero.
        let base = unsafe { alloc::alloc_zeroed(layout) };
        let Some(base) = NonNull::new(base) else {
            alloc::handle_alloc_error(layout)
        };
        Self { base, layout }
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn capacity_bytes(&self) -> usize {
        self.layout.size()
    }
}

impl Drop for PrivateMemory {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout.
        unsafe { alloc::dealloc(self.base.as_ptr(), self.layout) };
    }
}
