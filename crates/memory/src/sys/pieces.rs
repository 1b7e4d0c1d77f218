//! Pieces of files mapped side by side, to read.
//!
//! Rules of this module:
//! 1. `base .. base + mapped_bytes` is a range of ours, filled without a gap by
//!    read-only mappings; it stays until the only `Pieces` that names it is gone.
//! 2. `start + len` does not exceed `mapped_bytes`.
//! 3. Whoever makes a `Pieces` vouches that what is mapped neither changes nor
//!    goes away.

use std::ptr::{self, NonNull};
use std::slice;

use rustix::fd::BorrowedFd;
use rustix::io::{self, Errno};
use rustix::mm::{self, MapFlags, ProtFlags};

/// A piece of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'file> {
    pub(crate) file: BorrowedFd<'file>,
    pub(crate) offset: usize,
    pub(crate) len: usize,
}

/// Whether pieces, each an offset and a length, can be mapped so that their bytes
/// are adjacent: where one ends and the next begins, both files are at a page.
pub(crate) fn are_mappable(pieces: impl IntoIterator<Item = (usize, usize)>) -> bool {
    let page = rustix::param::page_size();
    let mut end = None;
    pieces.into_iter().all(|(offset, len)| {
        let joins =
            end.is_none_or(|end: usize| end.is_multiple_of(page) && offset.is_multiple_of(page));
        end = offset.checked_add(len);
        joins && len > 0 && end.is_some()
    })
}

/// Adjacent bytes out of one or more files.
#[derive(Debug)]
pub(crate) struct Pieces {
    base: NonNull<u8>,
    mapped_bytes: usize,
    start: usize,
    len: usize,
}

// SAFETY: by rules 1 and 3 the range belongs to no thread and is only read.
unsafe impl Send for Pieces {}

// SAFETY: as above.
unsafe impl Sync for Pieces {}

impl Pieces {
    /// Maps `pieces`, at least one, which [can be mapped](are_mappable).
    ///
    /// # Errors
    /// [`Errno::INVAL`] if they cannot; what the kernel says otherwise.
    ///
    /// # Safety
    /// The pieces lie inside their files, which do not shrink, and the pieces'
    /// bytes do not change, until the value is dropped.
    pub(crate) unsafe fn map(pieces: &[Piece<'_>]) -> io::Result<Self> {
        if !are_mappable(pieces.iter().map(|piece| (piece.offset, piece.len))) {
            return Err(Errno::INVAL);
        }
        let page = rustix::param::page_size();
        let start = pieces.first().ok_or(Errno::INVAL)?.offset % page;
        let len = pieces
            .iter()
            .try_fold(0, |sum: usize, piece| sum.checked_add(piece.len));
        let len = len.ok_or(Errno::INVAL)?;
        let mapped_bytes = (start.checked_add(len))
            .and_then(|end| end.checked_next_multiple_of(page))
            .filter(|&bytes| isize::try_from(bytes).is_ok())
            .ok_or(Errno::INVAL)?;
        let base = match pieces {
            [piece] => {
                let flags = MapFlags::SHARED | MapFlags::POPULATE;
                let offset = (piece.offset - start) as u64;
                // SAFETY: without MAP_FIXED the kernel picks a range nobody uses.
                unsafe {
                    mm::mmap(
                        ptr::null_mut(),
                        mapped_bytes,
                        ProtFlags::READ,
                        flags,
                        piece.file,
                        offset,
                    )
                }?
            }
            _ => {
                let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
                // SAFETY: as above.
                unsafe {
                    mm::mmap_anonymous(ptr::null_mut(), mapped_bytes, ProtFlags::empty(), flags)
                }?
            }
        };
        let mapped = Self {
            base: NonNull::new(base.cast::<u8>()).ok_or(Errno::NOMEM)?,
            mapped_bytes,
            start,
            len,
        };
        if let [_] = pieces {
            mapped.keep_from_children(0, mapped_bytes)?;
            return Ok(mapped);
        }
        let mut at = 0;
        for piece in pieces {
            let before = piece.offset % page;
            let bytes = (before + piece.len).next_multiple_of(page);
            mapped.fill(at, bytes, piece.file, piece.offset - before)?;
            at += bytes;
        }
        Ok(mapped)
    }

    fn fill(&self, at: usize, bytes: usize, file: BorrowedFd<'_>, offset: usize) -> io::Result<()> {
        if at + bytes > self.mapped_bytes {
            return Err(Errno::INVAL);
        }
        let here = self.base.as_ptr().wrapping_add(at).cast();
        let flags = MapFlags::SHARED | MapFlags::POPULATE | MapFlags::FIXED;
        // SAFETY: rule 1: by the check above the range is a part of ours, to which
        // nothing points yet.
        unsafe { mm::mmap(here, bytes, ProtFlags::READ, flags, file, offset as u64) }?;
        self.keep_from_children(at, bytes)
    }

    /// A forked child would keep the memory from its owner.
    fn keep_from_children(&self, at: usize, bytes: usize) -> io::Result<()> {
        let here = self.base.as_ptr().wrapping_add(at).cast();
        // SAFETY: rule 1; the advice changes what a fork copies, not what this
        // process sees.
        unsafe { mm::madvise(here, bytes, mm::Advice::LinuxDontFork) }
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        let start = self.base.as_ptr().wrapping_add(self.start);
        // SAFETY: rules 1 to 3.
        unsafe { slice::from_raw_parts(start, self.len) }
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        // SAFETY: rule 1; nothing points into the range any more.
        let unmapped = unsafe { mm::munmap(self.base.as_ptr().cast(), self.mapped_bytes) };
        debug_assert!(unmapped.is_ok(), "munmap: {unmapped:?}");
    }
}
