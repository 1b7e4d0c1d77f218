use std::sync::atomic::Ordering;

use nowire_protocol::memory::{ReadMemory, WriteMemory};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, MemfdFlags, SealFlags, SeekFrom};
use rustix::io::Errno;

use crate::sys::mapping::{Mapping, WritableMapping};

/// The seals without which a descriptor never leaves and is never mapped.
pub(crate) const SEALS: SealFlags = SealFlags::FUTURE_WRITE
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW)
    .union(SealFlags::SEAL);

/// The seals of a segment that can be sealed against writing later.
pub(crate) const SEALABLE: SealFlags = SealFlags::FUTURE_WRITE
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW);

/// `f_type` of memory file systems, memfds included.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// What `st_blocks` counts.
const STAT_BLOCK_BYTES: u64 = 512;

/// Why a segment could not be made or was not accepted.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// A system call failed; the machine, or a limit, is in the way.
    #[error("segment of {size_bytes} bytes: {call}: {source}")]
    Os {
        /// The call that failed.
        call: &'static str,
        /// Size asked for, in bytes.
        size_bytes: usize,
        /// What the kernel said.
        source: Errno,
    },
    /// The system had no memory for the whole segment. Ask for less, or free some.
    #[error(
        "segment of {size_bytes} bytes: the system had memory for {present_bytes} of them only"
    )]
    NoMemory {
        /// Size asked for, in bytes.
        size_bytes: usize,
        /// Bytes that became present before memory ran out.
        present_bytes: u64,
    },
    /// A size of zero, or beyond what a file can have.
    #[error("segment of {0} bytes: not a size a segment can have")]
    Size(usize),
    /// The peer's descriptor is no memfd.
    #[error("descriptor is not a memory file that can be sealed")]
    NotMemory,
    /// The peer could still write, resize or unseal the segment.
    #[error("descriptor has seals {found:#x} where {needed:#x} are needed")]
    Unsealed {
        /// The seals it has (`F_SEAL_*`).
        found: u32,
        /// The seals it must have.
        needed: u32,
    },
    /// The segment is not as long as its owner said.
    #[error("segment of {found_bytes} bytes where {expected_bytes} were announced")]
    WrongSize {
        /// Size of the file in bytes.
        found_bytes: u64,
        /// Size announced in bytes.
        expected_bytes: usize,
    },
    /// The segment has holes, which whoever reads them would have to pay for.
    #[error("segment of {size_bytes} bytes has a hole at {hole_offset}")]
    Sparse {
        /// Size of the segment in bytes.
        size_bytes: usize,
        /// Where the first hole begins.
        hole_offset: u64,
    },
}

/// A segment that only this process can write.
///
/// It is a memfd, mapped here for reading and writing with all its pages
/// present, and sealed so that nobody, this process included, can map it for
/// writing again, write to it by descriptor, resize it, punch holes in it or
/// change the seals. A forked child does not inherit the mapping.
///
/// Dropping it unmaps it; the memory is free when the peer has unmapped it too.
#[derive(Debug)]
pub struct OwnedSegment {
    mapping: WritableMapping,
    descriptor: Option<OwnedFd>,
}

impl OwnedSegment {
    /// Makes a zeroed segment of `size_bytes`, best a multiple of the page size.
    /// The `label` shows up in `/proc/<pid>/maps`; it names nothing.
    ///
    /// # Errors
    /// [`SegmentError::Os`] when a limit of the system is reached (descriptors,
    /// mappings, address space), [`SegmentError::NoMemory`] when memory is.
    pub fn create(label: &str, size_bytes: usize) -> Result<Self, SegmentError> {
        let descriptor = create_file(label, size_bytes)?;
        let mapping = WritableMapping::new(descriptor.as_fd(), size_bytes)
            .map_err(os_error("mmap", size_bytes))?;
        expect_present(descriptor.as_fd(), size_bytes)?;
        seal(descriptor.as_fd(), size_bytes, SEALS)?;
        Ok(Self {
            mapping,
            descriptor: Some(descriptor),
        })
    }

    /// The descriptor to hand to the peer. Whoever has it can read the segment.
    ///
    /// # Panics
    /// After [`close_descriptor`](Self::close_descriptor).
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        let descriptor = self.descriptor.as_ref();
        descriptor.expect("the descriptor is closed").as_fd()
    }

    /// Closes the descriptor, once it has been handed over; the mapping stays.
    pub fn close_descriptor(&mut self) {
        self.descriptor = None;
    }
}

/// What turns the kernel's answer to `call` into a [`SegmentError`].
pub(crate) fn os_error(
    call: &'static str,
    size_bytes: usize,
) -> impl FnOnce(Errno) -> SegmentError {
    move |source| SegmentError::Os {
        call,
        size_bytes,
        source,
    }
}

/// Makes a memfd of `size_bytes` that has no seal and no memory yet.
pub(crate) fn create_file(label: &str, size_bytes: usize) -> Result<OwnedFd, SegmentError> {
    let file_bytes = match u64::try_from(size_bytes) {
        Ok(bytes @ 1..) if i64::try_from(bytes).is_ok() => bytes,
        _ => return Err(SegmentError::Size(size_bytes)),
    };
    let descriptor = create_memfd(label).map_err(os_error("memfd_create", size_bytes))?;
    fs::ftruncate(&descriptor, file_bytes).map_err(os_error("ftruncate", size_bytes))?;
    Ok(descriptor)
}

/// Checks that mapping `file` brought memory for all of its `size_bytes`, and
/// sees that it stays: pages are clean until somebody stores to them, and the
/// kernel may take clean ones back. Allocating them once more makes them dirty.
pub(crate) fn expect_present(file: BorrowedFd<'_>, size_bytes: usize) -> Result<(), SegmentError> {
    let none = fs::FallocateFlags::empty();
    loop {
        match fs::fallocate(file, none, 0, size_bytes as u64) {
            // What is lacking shows below.
            Ok(()) | Err(Errno::NOSPC | Errno::NOMEM) => break,
            Err(Errno::INTR) => {}
            Err(source) => return Err(os_error("fallocate", size_bytes)(source)),
        }
    }
    let present_bytes = first_hole(file).map_err(os_error("lseek", size_bytes))?;
    if present_bytes < size_bytes as u64 {
        return Err(SegmentError::NoMemory {
            size_bytes,
            present_bytes,
        });
    }
    Ok(())
}

/// Adds `seals` to those `file` has.
pub(crate) fn seal(
    file: BorrowedFd<'_>,
    size_bytes: usize,
    seals: SealFlags,
) -> Result<(), SegmentError> {
    fs::fcntl_add_seals(file, seals).map_err(os_error("fcntl(F_ADD_SEALS)", size_bytes))
}

/// The seals of `file`, which may be anything a peer sent.
pub(crate) fn seals_of(file: BorrowedFd<'_>, size_bytes: usize) -> Result<SealFlags, SegmentError> {
    match fs::fcntl_get_seals(file) {
        Ok(found) => Ok(found),
        Err(Errno::INVAL | Errno::BADF) => Err(SegmentError::NotMemory),
        Err(source) => Err(os_error("fcntl(F_GET_SEALS)", size_bytes)(source)),
    }
}

/// Verifies that `file`, which may be anything a peer sent, is a memfd of
/// exactly `size_bytes` with all its pages present and at least the seals
/// `needed`; tells which it has.
pub(crate) fn verify(
    file: BorrowedFd<'_>,
    size_bytes: usize,
    needed: SealFlags,
) -> Result<SealFlags, SegmentError> {
    let (found, _) = verify_amount(file, size_bytes, needed)?;
    // The number of allocated blocks would not do: blocks reserved beyond
    // the end of the file before it was sealed would hide a hole.
    expect_no_hole(file, size_bytes)?;
    Ok(found)
}

/// As [`verify`], but that all pages are where they must be is not looked at, which
/// takes the longer the more there are: only that the owner has as much memory as it
/// says. That is enough for bytes that are copied by the kernel, which gives zeroes
/// for a hole. Tells which file it is, too.
pub(crate) fn verify_amount(
    file: BorrowedFd<'_>,
    size_bytes: usize,
    needed: SealFlags,
) -> Result<(SealFlags, fs::Stat), SegmentError> {
    // Asked first: it is answered by the kernel itself, whereas questions
    // about a file on FUSE or NFS are answered by whoever serves it, or never.
    let found = seals_of(file, size_bytes)?;
    if !found.contains(needed) {
        return Err(SegmentError::Unsealed {
            found: found.bits(),
            needed: needed.bits(),
        });
    }
    // Huge-page files can be sealed as well, but do not tell where their
    // holes are.
    let kind = fs::fstatfs(file)
        .map_err(os_error("fstatfs", size_bytes))?
        .f_type;
    if kind as u64 != TMPFS_MAGIC {
        return Err(SegmentError::NotMemory);
    }
    let stat = fs::fstat(file).map_err(os_error("fstat", size_bytes))?;
    let found_bytes = stat.st_size as u64;
    if size_bytes == 0 || u64::try_from(size_bytes) != Ok(found_bytes) {
        return Err(SegmentError::WrongSize {
            found_bytes,
            expected_bytes: size_bytes,
        });
    }
    if (stat.st_blocks as u64).saturating_mul(STAT_BLOCK_BYTES) < found_bytes {
        expect_no_hole(file, size_bytes)?;
    }
    Ok((found, stat))
}

/// Refuses a file of which a page is lacking.
fn expect_no_hole(file: BorrowedFd<'_>, size_bytes: usize) -> Result<(), SegmentError> {
    let hole_offset = first_hole(file).map_err(os_error("lseek", size_bytes))?;
    if hole_offset < size_bytes as u64 {
        return Err(SegmentError::Sparse {
            size_bytes,
            hole_offset,
        });
    }
    Ok(())
}

fn create_memfd(label: &str) -> rustix::io::Result<OwnedFd> {
    // The kernel takes no longer name, and none with a NUL in it.
    let name: Vec<u8> = label.bytes().filter(|&byte| byte != 0).take(200).collect();
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match fs::memfd_create(name.as_slice(), flags | MemfdFlags::NOEXEC_SEAL) {
        // Before Linux 6.3 the flag is unknown.
        Err(Errno::INVAL) => fs::memfd_create(name.as_slice(), flags),
        result => result,
    }
}

/// Where the first byte without memory behind it is: the size when there is none.
fn first_hole(file: BorrowedFd<'_>) -> rustix::io::Result<u64> {
    fs::seek(file, SeekFrom::Hole(0))
}

/// A segment that a peer owns, mapped read-only.
///
/// Its bytes are whatever the peer stored last: untrusted input, to be copied
/// once, then checked, then used. The peer cannot take the memory away.
#[derive(Debug)]
pub struct PeerSegment {
    mapping: Mapping,
}

impl PeerSegment {
    /// Verifies that `descriptor` is a sealed segment of exactly `size_bytes`
    /// with all its pages present, and maps it read-only. The descriptor is
    /// closed in any case.
    ///
    /// # Errors
    /// The peer's fault: [`SegmentError::NotMemory`], [`SegmentError::Unsealed`],
    /// [`SegmentError::WrongSize`], [`SegmentError::Sparse`]. This side's:
    /// [`SegmentError::Os`].
    pub fn map(descriptor: OwnedFd, size_bytes: usize) -> Result<Self, SegmentError> {
        let file = descriptor.as_fd();
        verify(file, size_bytes, SEALS)?;
        let mapping = Mapping::readable(file, size_bytes).map_err(os_error("mmap", size_bytes))?;
        Ok(Self { mapping })
    }
}

impl ReadMemory for OwnedSegment {
    fn size_bytes(&self) -> usize {
        self.mapping.readable().size_bytes()
    }

    #[inline]
    fn load(&self, offset: usize, order: Ordering) -> u64 {
        self.mapping.readable().load(offset, order)
    }

    #[inline]
    fn copy_out(&self, offset: usize, into: &mut [u8]) {
        self.mapping.readable().copy_out(offset, into);
    }

    #[inline]
    fn load_words<const N: usize>(&self, offset: usize) -> [u64; N] {
        self.mapping.readable().load_words(offset)
    }
}

impl WriteMemory for OwnedSegment {
    #[inline]
    fn store(&self, offset: usize, value: u64, order: Ordering) {
        self.mapping.store(offset, value, order);
    }

    #[inline]
    fn copy_in(&self, offset: usize, from: &[u8]) {
        self.mapping.copy_in(offset, from);
    }

    #[inline]
    fn store_words<const N: usize>(&self, offset: usize, words: [u64; N]) {
        self.mapping.store_words(offset, words);
    }
}

impl ReadMemory for PeerSegment {
    fn size_bytes(&self) -> usize {
        self.mapping.size_bytes()
    }

    #[inline]
    fn load(&self, offset: usize, order: Ordering) -> u64 {
        self.mapping.load(offset, order)
    }

    #[inline]
    fn copy_out(&self, offset: usize, into: &mut [u8]) {
        self.mapping.copy_out(offset, into);
    }

    #[inline]
    fn load_words<const N: usize>(&self, offset: usize) -> [u64; N] {
        self.mapping.load_words(offset)
    }
}
