//! Memory that this process alone writes, with the file it lies in.
//!
//! Rules of this module:
//! 1. `map` is one shared mapping of the whole `file`; it stays until the only
//!    `Warm` that names it is gone. [`Warm::seal`] puts another mapping of the
//!    same file in its place, at once for everybody who reads.
//! 2. The file was made here, and sealed before anybody else could have it:
//!    nobody can write it but through `map`, and it neither shrinks nor loses
//!    pages.
//! 3. Slices of the mapping end at `len`, which changes only through `&mut Warm`;
//!    so they follow Rust's rules by their borrow of the `Warm`. What lies beyond
//!    is written by [`Warm::zero_rest`] alone, by the one caller who took the
//!    value of `dirty` from it.
//! 4. Once `frozen`, the mapping is read-only: nothing is written any more.

use std::ptr::{self, NonNull};
use std::slice;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, Mode, OFlags, SealFlags};
use rustix::io::{self, Errno};
use rustix::mm::{self, MapFlags, ProtFlags};

use super::lease::{self, Holders};
use super::mark;
use crate::segment::{self, SEALABLE, SegmentError};

/// A memory file mapped for reading and writing, which can be handed out for
/// reading only.
#[derive(Debug)]
pub(crate) struct Warm {
    map: Map,
    /// The only open file of the inode here, but for `reader`.
    file: OwnedFd,
    /// What is handed out, from when it is first asked for.
    reader: OnceLock<OwnedFd>,
    /// Whether a reader was opened that could not be marked.
    unmarked: AtomicBool,
    /// How much of it slices show.
    len: usize,
    /// Bytes from here on are zero.
    dirty: AtomicUsize,
    frozen: AtomicBool,
    /// Whether the kernel can tell that nobody else has the file.
    provable: bool,
    uid: u32,
}

#[derive(Debug)]
struct Map {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: by rules 1 and 3 the mapping belongs to no thread, and unmapping it is
// allowed from any.
unsafe impl Send for Map {}

// SAFETY: by rule 3 what `&Warm` allows is reading, and one write where nobody reads.
unsafe impl Sync for Map {}

impl Warm {
    /// Makes `bytes` bytes of zeroed memory, all of it present; best a multiple of
    /// the page size.
    pub(crate) fn create(label: &str, bytes: usize) -> Result<Self, SegmentError> {
        let made = segment::create_file(label, bytes)?;
        // The file that memfd_create returns does not count as one open for
        // writing, so the kernel would never find it to be the only one.
        let (file, provable) = match reopen(made.as_fd(), OFlags::RDWR) {
            Ok(file) => {
                // Nobody has it yet, so this tells whether the kernel will.
                let provable = lease::prepare(file.as_fd()).is_ok()
                    && lease::other_holders(file.as_fd()) == Holders::None;
                (file, provable)
            }
            Err(lacking @ (Errno::MFILE | Errno::NFILE | Errno::NOMEM)) => {
                return Err(segment::os_error("open", bytes)(lacking));
            }
            // No /proc here.
            Err(_) => (made, false),
        };
        fs::fchmod(&file, Mode::RUSR).map_err(segment::os_error("fchmod", bytes))?;
        let map = Map::writable(file.as_fd(), bytes).map_err(segment::os_error("mmap", bytes))?;
        segment::expect_present(file.as_fd(), bytes)?;
        segment::seal(file.as_fd(), bytes, SEALABLE)?;
        Ok(Self {
            map,
            file,
            reader: OnceLock::new(),
            unmarked: AtomicBool::new(false),
            len: 0,
            dirty: AtomicUsize::new(0),
            frozen: AtomicBool::new(false),
            provable,
            uid: rustix::process::geteuid().as_raw(),
        })
    }

    /// Size of the file in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        self.map.bytes
    }

    /// The user who may open the file.
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// Whether the kernel can tell who has the file, and who has a
    /// [`reader`](Self::reader).
    pub(crate) fn is_provable(&self) -> bool {
        self.provable && !self.unmarked.load(Ordering::Relaxed)
    }

    /// Whether it was [sealed](Self::seal), or nearly so.
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Acquire)
    }

    /// How many bytes [`bytes`](Self::bytes) shows.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// From now on `len` bytes are shown; those that were not before are whatever
    /// lay there.
    ///
    /// # Panics
    /// If there are not so many.
    pub(crate) fn set_len(&mut self, len: usize) {
        assert!(len <= self.map.bytes, "{len} of {} bytes", self.map.bytes);
        self.len = len;
        let dirty = self.dirty.get_mut();
        *dirty = (*dirty).max(len);
    }

    /// Shows `len` zeroes.
    ///
    /// # Panics
    /// If there are not so many bytes, or they are frozen.
    pub(crate) fn clear(&mut self, len: usize) {
        let dirty = *self.dirty.get_mut();
        self.set_len(len);
        self.bytes_mut()[..dirty.min(len)].fill(0);
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: rules 1 to 3: mapped for `len` bytes, and unchanged as long as
        // `self` is borrowed.
        unsafe { slice::from_raw_parts(self.map.base.as_ptr(), self.len) }
    }

    /// # Panics
    /// If the memory is frozen.
    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        assert!(!*self.frozen.get_mut(), "sealed memory is not written");
        // SAFETY: rules 1 to 4: mapped for writing `len` bytes, and nobody else's
        // as long as `self` is borrowed.
        unsafe { slice::from_raw_parts_mut(self.map.base.as_ptr(), self.len) }
    }

    /// Makes every byte beyond those shown a zero. To be called by one thread at a
    /// time, before the memory is handed out.
    pub(crate) fn zero_rest(&self) {
        let dirty = self.dirty.swap(self.len, Ordering::AcqRel);
        if dirty <= self.len || self.is_frozen() {
            return;
        }
        let rest = self.map.base.as_ptr().wrapping_add(self.len);
        // SAFETY: rules 1, 3 and 4: mapped for writing up to `dirty`, beyond every
        // slice; the swap gave this range to this caller alone.
        unsafe { ptr::write_bytes(rest, 0, dirty - self.len) };
    }

    /// The file for reading only. Whoever has it can read all of the memory.
    pub(crate) fn reader(&self) -> io::Result<BorrowedFd<'_>> {
        if self.reader.get().is_none() {
            let (opened, marked) = match reopen(self.file.as_fd(), OFlags::RDONLY) {
                // No /proc here. The seals keep this one from being written too; but
                // it is the same open file, whose own mark the kernel does not show.
                Err(Errno::NOENT | Errno::ACCESS | Errno::NOTDIR) => {
                    (rustix::io::fcntl_dupfd_cloexec(&self.file, 0)?, false)
                }
                opened => {
                    let opened = opened?;
                    let marked = mark::set(opened.as_fd()).is_ok();
                    (opened, marked)
                }
            };
            if !marked {
                self.unmarked.store(true, Ordering::Relaxed);
            }
            // Where another thread was faster, its file is as good.
            let _ = self.reader.set(opened);
        }
        self.open_reader().ok_or(Errno::BADF)
    }

    /// What [`reader`](Self::reader) opened.
    pub(crate) fn open_reader(&self) -> Option<BorrowedFd<'_>> {
        self.reader.get().map(OwnedFd::as_fd)
    }

    /// Closes what [`reader`](Self::reader) opened.
    pub(crate) fn close_reader(&mut self) {
        self.reader.take();
    }

    /// Makes sure that nobody, this process included, can ever change the memory.
    /// Slices of it stay good.
    ///
    /// # Errors
    /// What the kernel says. The memory may be [frozen](Self::is_frozen) then
    /// although the kernel vouches for nothing.
    pub(crate) fn seal(&self) -> io::Result<()> {
        if !self.is_frozen() {
            self.freeze()?;
        }
        fs::fcntl_add_seals(&self.file, SealFlags::WRITE | SealFlags::SEAL)
    }

    /// Puts a read-only mapping in the place of the writable one.
    fn freeze(&self) -> io::Result<()> {
        let reader = self.reader()?;
        // What is shared is seldom read here again: pages come when touched.
        let flags = MapFlags::SHARED | MapFlags::FIXED;
        let here = self.map.start();
        // SAFETY: rules 1 and 2: the range is ours, and shows the same bytes
        // before and after; it is written by nobody, as `&self` gives no
        // `&mut [u8]` and the caller no second thread to `zero_rest`.
        let replaced = unsafe { mm::mmap(here, self.map.bytes, ProtFlags::READ, flags, reader, 0) };
        if replaced.is_ok() {
            // SYNC: pairs with the load in `is_frozen`.
            self.frozen.store(true, Ordering::Release);
        }
        // A refusal may have come after the old mapping was gone; then slices that
        // others hold point nowhere. The advice is refused exactly then.
        if self.map.keep_from_children().is_err() {
            std::process::abort();
        }
        replaced.map(drop)
    }

    /// Who has a [`reader`](Self::reader), this process included.
    pub(crate) fn readers(&self) -> Holders {
        if self.is_provable() {
            mark::holders(self.file.as_fd())
        } else {
            Holders::Unknown
        }
    }

    /// Unmaps the memory and keeps the file.
    pub(crate) fn unmap(self) -> Unmapped {
        Unmapped {
            bytes: self.map.bytes,
            file: self.file,
        }
    }
}

/// What is left of memory that is not used again, until nobody has it any more.
#[derive(Debug)]
pub(crate) struct Unmapped {
    file: OwnedFd,
    bytes: usize,
}

impl Unmapped {
    /// Size of the file in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes
    }

    /// Who has a [`reader`](Warm::reader).
    pub(crate) fn readers(&self) -> Holders {
        mark::holders(self.file.as_fd())
    }

    /// Who else has the file, however it was opened.
    pub(crate) fn other_holders(&self) -> Holders {
        lease::other_holders(self.file.as_fd())
    }
}

impl Map {
    fn writable(file: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: without MAP_FIXED the kernel picks an address range nobody uses.
        let base = unsafe { mm::mmap(ptr::null_mut(), bytes, access, flags, file, 0) }?;
        let base = NonNull::new(base.cast::<u8>()).ok_or(Errno::NOMEM)?;
        let map = Self { base, bytes };
        map.keep_from_children()?;
        Ok(map)
    }

    /// A forked child would be a second writer, and keep the memory alive.
    fn keep_from_children(&self) -> io::Result<()> {
        // SAFETY: rule 1; the advice changes what a fork copies, not what this
        // process sees.
        unsafe { mm::madvise(self.start(), self.bytes, mm::Advice::LinuxDontFork) }
    }

    fn start(&self) -> *mut std::ffi::c_void {
        self.base.as_ptr().cast()
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: rules 1 and 3: the range is ours and nothing points into it.
        let unmapped = unsafe { mm::munmap(self.start(), self.bytes) };
        debug_assert!(unmapped.is_ok(), "munmap: {unmapped:?}");
    }
}

/// Another open file of the same inode, for reading only.
///
/// # Errors
/// What the kernel says; [`Errno::AGAIN`] where its owner has a lease on it, for which
/// an open would wait.
pub(crate) fn reopen_to_read(file: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    reopen(file, OFlags::RDONLY | OFlags::NONBLOCK)
}

/// Another open file of the same inode.
fn reopen(file: BorrowedFd<'_>, access: OFlags) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    loop {
        match fs::open(path.as_str(), access | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::INTR) => {}
            opened => return opened,
        }
    }
}
