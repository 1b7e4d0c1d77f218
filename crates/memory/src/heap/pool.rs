//! Private buffers, kept for the next copy.

use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use super::PAGE_BYTES;
use crate::sys::private::Private;
use crate::sys::window::Part;

/// Sizes of buffers that are kept: one page, and every power of two of pages up
/// to 32 MiB.
const CLASSES: usize = 14;

/// Bytes of unused buffers kept, at most.
const KEPT_BYTES: usize = 32 << 20;

/// Buffers of this side's own, by size.
#[derive(Debug)]
pub(super) struct Pool {
    unused: Mutex<Unused>,
}

#[derive(Debug)]
struct Unused {
    by_class: [Vec<Private>; CLASSES],
    bytes: usize,
}

fn class_of(bytes: usize) -> usize {
    bytes.div_ceil(PAGE_BYTES).next_power_of_two().ilog2() as usize
}

impl Pool {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            unused: Mutex::new(Unused {
                by_class: std::array::from_fn(|_| Vec::new()),
                bytes: 0,
            }),
        })
    }

    /// A buffer of at least `bytes` bytes; `None` when there is no memory.
    pub(super) fn take(self: &Arc<Self>, bytes: usize) -> Option<Pooled> {
        let class = class_of(bytes.max(1));
        let unused = self.take_unused(class);
        let buffer = match unused {
            Some(buffer) => buffer,
            None => Private::new(PAGE_BYTES << class)?,
        };
        Some(Pooled {
            buffer: Some(buffer),
            copied_bytes: 0,
            pool: Arc::clone(self),
        })
    }

    fn take_unused(&self, class: usize) -> Option<Private> {
        let mut unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = unused.by_class.get_mut(class)?.pop()?;
        unused.bytes -= buffer.bytes();
        Some(buffer)
    }

    fn give(&self, buffer: Private) {
        let class = class_of(buffer.bytes());
        let mut unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
        if class < CLASSES && unused.bytes + buffer.bytes() <= KEPT_BYTES {
            unused.bytes += buffer.bytes();
            unused.by_class[class].push(buffer);
        }
    }
}

/// A buffer that goes back to its pool when dropped.
#[derive(Debug)]
pub(super) struct Pooled {
    buffer: Option<Private>,
    copied_bytes: usize,
    pool: Arc<Pool>,
}

impl Pooled {
    pub(super) fn base(&self) -> NonNull<u8> {
        self.buffer.as_ref().expect("kept until dropped").base()
    }

    /// See [`Private::copy_part`].
    pub(super) fn copy_part(&mut self, part: &Part, offset: usize, bytes: usize) {
        let buffer = self.buffer.as_mut().expect("kept until dropped");
        buffer.copy_part(part, offset, bytes);
        self.copied_bytes = bytes;
    }

    /// How many bytes were copied to its start last.
    pub(super) fn copied_bytes(&self) -> usize {
        self.copied_bytes
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.pool.give(buffer);
        }
    }
}
