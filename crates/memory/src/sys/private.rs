//! Page-aligned memory of this process alone, into which foreign bytes are copied.
//!
//! Rules of this module:
//! 1. `base` is an allocation of `layout`, freed by the only `Private` that
//!    names it.
//! 2. Its bytes are not initialised and not zeroed: whoever reads reads only
//!    what was copied in before.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;

use super::copy;
use super::window::Part;

/// Alignment of every buffer, in bytes: that of a page of a heap.
const ALIGN: usize = 4096;

/// A page-aligned buffer.
#[derive(Debug)]
pub(crate) struct Private {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: by rule 1 the buffer belongs to no thread.
unsafe impl Send for Private {}

// SAFETY: nothing is written through `&Private`.
unsafe impl Sync for Private {}

impl Private {
    /// A buffer of `bytes` bytes, or `None` when there is no memory for it or
    /// `bytes` is no size a buffer can have.
    pub(crate) fn new(bytes: usize) -> Option<Self> {
        let layout = Layout::from_size_align(bytes, ALIGN).ok()?;
        if bytes == 0 {
            return None;
        }
        // SAFETY: the layout's size is not zero.
        let base = NonNull::new(unsafe { alloc(layout) })?;
        Some(Self { base, layout })
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn bytes(&self) -> usize {
        self.layout.size()
    }

    /// Copies `bytes` bytes of `part` from `offset` on to the start of this
    /// buffer. Somebody may be storing there meanwhile: each byte of the copy is
    /// one that was there.
    ///
    /// # Panics
    /// If they do not lie inside the part, or do not fit.
    pub(crate) fn copy_part(&mut self, part: &Part, offset: usize, bytes: usize) {
        assert!(bytes <= self.bytes(), "{bytes} into {}", self.bytes());
        let from = part.at(offset, bytes);
        // SAFETY: every part is readable, this one for `bytes` bytes from
        // `from`; the buffer is as long (rule 1) and lies in no window.
        unsafe { copy::copy(from.as_ptr(), self.base.as_ptr(), bytes) }
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // SAFETY: rule 1.
        unsafe { dealloc(self.base.as_ptr(), self.layout) }
    }
}
