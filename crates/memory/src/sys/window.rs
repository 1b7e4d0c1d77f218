//! Ranges of addresses that are reserved first and filled with segments later.
//!
//! Rules of this module:
//! 1. From `reserve_*` until the only `Window` that names it is dropped, every
//!    page of `base .. base + bytes` is a mapping of ours: the reservation, which
//!    nobody can touch, or one `Part`. So a mapping forced into the range
//!    replaces nothing of anybody else. A window for which this may no longer
//!    hold, because the kernel failed half-way, is never unmapped.
//! 2. `claimed` lists what is or may be mapped in the window, without overlaps;
//!    a range enters it before it is mapped and leaves it after the reservation
//!    is back. So a live `Part` is never mapped over.
//! 3. Pointers into a part are used only while the part lives, and for writing
//!    only if it was mapped for that.

use std::collections::BTreeMap;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fd::BorrowedFd;
use rustix::io::{self, Errno};
use rustix::mm::{self, MapFlags, ProtFlags};

/// A reserved range of addresses.
#[derive(Debug)]
pub(crate) struct Window {
    base: NonNull<u8>,
    bytes: usize,
    claimed: Mutex<BTreeMap<usize, usize>>,
    broken: AtomicBool,
}

// SAFETY: by rules 1 and 2 the range belongs to no thread; what changes is
// behind a lock.
unsafe impl Send for Window {}

// SAFETY: as above; `base` and `bytes` never change.
unsafe impl Sync for Window {}

/// How a file is mapped into a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// For reading and writing, all pages present.
    Write,
    /// For reading, all pages present.
    Read,
    /// For reading, all pages present, in a way that does not count as a
    /// mapping that could become writable: it would keep the file's owner from
    /// sealing it on kernels before 6.7.
    ReadPrivate,
    /// As [`ReadPrivate`](Self::ReadPrivate), but pages come when touched.
    ReadLater,
    /// For reading, and for writing what the file does not see; pages come when
    /// touched.
    Own,
}

impl Window {
    /// Reserves `bytes` at `base` exactly, or fails with [`Errno::EXIST`] when
    /// anything is mapped there.
    pub(crate) fn reserve_at(base: usize, bytes: usize) -> io::Result<Self> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED_NOREPLACE;
        let asked = ptr::without_provenance_mut(base);
        // SAFETY: FIXED_NOREPLACE replaces no mapping.
        let got = unsafe { mm::mmap_anonymous(asked, bytes, ProtFlags::empty(), flags) }?;
        let window = Self::over(got, bytes)?;
        // Before Linux 4.17 the flag is unknown and the address only a wish.
        if got.addr() == base {
            Ok(window)
        } else {
            Err(Errno::EXIST)
        }
    }

    /// Reserves `bytes` wherever the kernel finds room.
    pub(crate) fn reserve_anywhere(bytes: usize) -> io::Result<Self> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: without MAP_FIXED the kernel picks a range nobody uses.
        let got = unsafe { mm::mmap_anonymous(ptr::null_mut(), bytes, ProtFlags::empty(), flags) }?;
        Self::over(got, bytes)
    }

    fn over(base: *mut std::ffi::c_void, bytes: usize) -> io::Result<Self> {
        Ok(Self {
            base: NonNull::new(base.cast::<u8>()).ok_or(Errno::NOMEM)?,
            bytes,
            claimed: Mutex::new(BTreeMap::new()),
            broken: AtomicBool::new(false),
        })
    }

    pub(crate) fn base(&self) -> usize {
        self.base.addr().get()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Maps the first `range.len()` bytes of `file` at `range` of this window.
    /// Both ends must be multiples of the system's page size.
    ///
    /// # Errors
    /// [`Errno::EXIST`] where a part is or was not cleanly removed; what the
    /// kernel says otherwise.
    ///
    /// # Panics
    /// If the range does not lie inside the window.
    pub(crate) fn map(
        self: &Arc<Self>,
        range: Range<usize>,
        file: BorrowedFd<'_>,
        access: Access,
    ) -> io::Result<Part> {
        assert!(
            range.start < range.end && range.end <= self.bytes,
            "{range:?} of a window of {} bytes",
            self.bytes
        );
        self.claim(&range)?;
        let part = Part {
            window: Arc::clone(self),
            offset: range.start,
            bytes: range.len(),
        };
        part.replace(file, access)?;
        Ok(part)
    }

    /// The address of `offset` in this window.
    ///
    /// # Panics
    /// If it does not lie inside.
    #[inline]
    pub(crate) fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < self.bytes, "{offset} in {} bytes", self.bytes);
        // SAFETY: rule 1: inside the range.
        unsafe { self.base.add(offset) }
    }

    fn claim(&self, range: &Range<usize>) -> io::Result<()> {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        let before = claimed.range(..range.end).next_back();
        if before.is_some_and(|(&start, &bytes)| start + bytes > range.start) {
            return Err(Errno::EXIST);
        }
        claimed.insert(range.start, range.len());
        Ok(())
    }

    fn disclaim(&self, offset: usize) {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        claimed.remove(&offset);
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        if self.broken.load(Ordering::Acquire) {
            return;
        }
        // SAFETY: rules 1 and 3: the range is ours; every part, which keeps the
        // window, is gone.
        let unmapped = unsafe { mm::munmap(self.base.as_ptr().cast(), self.bytes) };
        debug_assert!(unmapped.is_ok(), "munmap: {unmapped:?}");
    }
}

/// A piece of a window at which a file is mapped; dropping it brings the
/// reservation back.
#[derive(Debug)]
pub(crate) struct Part {
    window: Arc<Window>,
    offset: usize,
    bytes: usize,
}

impl Part {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The address of `offset` in this part, good for `bytes` bytes.
    ///
    /// # Panics
    /// If that does not lie inside the part.
    #[inline]
    pub(crate) fn at(&self, offset: usize, bytes: usize) -> NonNull<u8> {
        let fits = offset <= self.bytes && bytes <= self.bytes - offset;
        assert!(
            fits,
            "{bytes} bytes at {offset} of a part of {}",
            self.bytes
        );
        self.window.at(self.offset + offset)
    }

    /// Fetches the cache lines of a range, which are about to be read in no order.
    /// (They are loaded, as prefetches of lines that another core has just written
    /// did nothing where it was tried.)
    #[inline]
    pub(crate) fn fetch(&self, offset: usize, bytes: usize) {
        let start = self.at(offset, bytes).as_ptr();
        for line in (0..bytes).step_by(64) {
            // SAFETY: mapped, by the check in `at`; volatile, as somebody may be
            // writing, and the value is not looked at.
            unsafe { start.wrapping_add(line).read_volatile() };
        }
    }

    /// Makes what this process stores here from now on stay in this process: the
    /// part shows what it showed, but changes no longer reach the file.
    ///
    /// # Safety
    /// `file` is the one that is mapped here.
    pub(crate) unsafe fn detach(&self, file: BorrowedFd<'_>) {
        // Where the system's account has no room for the copies that storing
        // would make, storing is refused.
        let detached = self
            .try_replace(file, Access::Own)
            .or_else(|_| self.try_replace(file, Access::ReadLater));
        if detached.is_err() {
            // Values that others hold may be unmapped now.
            std::process::abort();
        }
    }

    fn replace(&self, file: BorrowedFd<'_>, access: Access) -> io::Result<()> {
        self.try_replace(file, access).inspect_err(|_| {
            // The old mapping may be gone although the new one did not come.
            self.restore();
        })
    }

    fn try_replace(&self, file: BorrowedFd<'_>, access: Access) -> io::Result<()> {
        let (protection, flags) = match access {
            Access::Write => (
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED | MapFlags::POPULATE,
            ),
            Access::Read => (ProtFlags::READ, MapFlags::SHARED | MapFlags::POPULATE),
            Access::ReadPrivate => (ProtFlags::READ, MapFlags::PRIVATE | MapFlags::POPULATE),
            Access::ReadLater => (ProtFlags::READ, MapFlags::PRIVATE),
            Access::Own => (
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            ),
        };
        let (here, bytes) = (self.start(), self.bytes);
        // SAFETY: rules 1 and 2: only this part is replaced, by the same file, or
        // the reservation.
        unsafe { mm::mmap(here, bytes, protection, flags | MapFlags::FIXED, file, 0) }?;
        // A forked child would be a second writer, and keep the memory alive.
        // SAFETY: the range is the mapping just made; the advice changes what a
        // fork copies, not what this process sees.
        unsafe { mm::madvise(here, bytes, mm::Advice::LinuxDontFork) }
    }

    /// Brings the reservation back over this part.
    fn restore(&self) -> bool {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED;
        let (here, bytes) = (self.start(), self.bytes);
        // SAFETY: rules 1 and 2: the range is this part's alone; by rule 3
        // nothing points into it.
        let restored = unsafe { mm::mmap_anonymous(here, bytes, ProtFlags::empty(), flags) };
        if restored.is_err() {
            self.window.broken.store(true, Ordering::Release);
        }
        restored.is_ok()
    }

    fn start(&self) -> *mut std::ffi::c_void {
        self.window.at(self.offset).as_ptr().cast()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.restore() {
            self.window.disclaim(self.offset);
        }
    }
}
