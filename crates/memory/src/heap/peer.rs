//! The peer's side of a heap.
//!
//! Rules of the unsafe code here:
//! 1. A region begins at a page and is readable for all its bytes while what it
//!    lies in is kept: they were found to lie in one segment, or were copied.
//! 2. A region that is not writable lies at the address claimed, in a segment
//!    that nobody can change, as the kernel confirms, or that the caller trusts
//!    nobody to change. One that is writable is a copy nobody else knows.

use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::SealFlags;
use rustix::io::Errno;

use super::pages::Span;
use super::pool::Pool;
use super::taken::{Kept, Stretch, Taken};
use super::{HeapError, MAX_SEGMENTS, MAX_UNSEALED, PAGE_BYTES, address, bytes_of, system_pages};
use crate::data::{self, CheckBuffers, Flaw, Region, Root, Shared};
use crate::segment::SEALABLE;
use crate::segment::{self, SegmentError};
use crate::sys::window::{Access, Part, Window};

/// Why a peer's heap, or a segment of it, was not accepted.
///
/// All but [`SegmentError::Os`] and [`HeapError::NoAddress`] inside say that the
/// peer misbehaved: end the connection and name it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerHeapError {
    /// The window cannot be had; see the error whose fault that is.
    #[error("peer's heap: {0}")]
    Window(#[from] HeapError),
    /// The segment does not lie in the window, or at no page boundary of this system.
    #[error(
        "peer's heap: a segment of {pages} pages at page {page} in a window of {window_pages} pages"
    )]
    Outside {
        /// Where it begins, as the peer said.
        page: u32,
        /// How many pages it has, as the peer said.
        pages: u32,
        /// Pages of the window.
        window_pages: u64,
    },
    /// The segment overlaps one that is there.
    #[error("peer's heap: the segment at page {page} overlaps the one at page {present}")]
    Overlap {
        /// Where it begins, as the peer said.
        page: u32,
        /// Where the other one begins.
        present: u32,
    },
    /// More segments than a heap may have.
    #[error("peer's heap: more than {limit} segments")]
    TooMany {
        /// [`MAX_SEGMENTS`], or [`MAX_UNSEALED`] for those to be sealed.
        limit: usize,
    },
    /// The segment is not as it must be, or could not be mapped.
    #[error("peer's heap: {0}")]
    Segment(#[from] SegmentError),
    /// The peer gives back a segment it never had.
    #[error("peer's heap: there is no segment at page {page}")]
    Absent {
        /// Where it would begin, as the peer said.
        page: u32,
    },
    /// The peer gives back a segment from which this side still holds something.
    #[error("peer's heap: the segment at page {page} was given back while it is in use here")]
    Held {
        /// Where it begins.
        page: u32,
    },
}

/// Why what a peer passed was not accepted.
///
/// Most say that the peer misbehaved: see [`is_misbehaviour`](Self::is_misbehaviour).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeError {
    /// The pages are not in one segment of the heap.
    #[error("{bytes} bytes at page {page} of the peer's heap are not in one segment of it")]
    Absent {
        /// The first page, as the peer said.
        page: u32,
        /// How many bytes, as the peer said.
        bytes: u32,
    },
    /// Fewer bytes came than a value of the type has.
    #[error("{found_bytes} bytes came where a value has {needed_bytes}")]
    Short {
        /// How many came, in whole words.
        found_bytes: usize,
        /// How many a value has.
        needed_bytes: usize,
    },
    /// What they hold is not a value of the type.
    #[error(transparent)]
    Flaw(#[from] Flaw),
    /// What the peer lends back lies, or may lie, behind something that is still
    /// being filled: see [`Run::take_back`](super::Run::take_back).
    #[error("the scope in which it lies is being built in: {0}")]
    Unsettled(Flaw),
    /// This side has no memory for a copy.
    #[error("no memory to copy {bytes} bytes of the peer's heap")]
    NoMemory {
        /// How many bytes.
        bytes: u32,
    },
}

impl TakeError {
    /// Whether an honest peer would never have caused it: end the connection, and
    /// name it.
    pub fn is_misbehaviour(&self) -> bool {
        !matches!(
            self,
            Self::NoMemory { .. } | Self::Unsettled(_) | Self::Flaw(Flaw::TooDeep { .. })
        )
    }
}

/// What is larger is fetched in the order of its addresses before it is checked in
/// that of its pointers: where it was just written by another core, one miss after
/// the other would take longer than copying it.
const FETCHED_BYTES: usize = 1024;

/// How a peer is kept from changing what is read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keeping {
    /// It is trusted not to: its memory is checked and read where it lies.
    /// Whoever chooses this takes a peer that breaks its word, or has a bug, for
    /// part of this process.
    Trust,
    /// What it passed is copied first, then checked.
    Copy,
    /// It is checked and read where it lies if the kernel confirms that nobody
    /// can change it any more, and copied otherwise.
    Seal,
}

/// A peer's heap, as far as it is mapped here.
///
/// Every method may be called from any thread.
pub struct PeerHeap {
    window: Arc<Window>,
    claimed: usize,
    segments: RwLock<Vec<Arc<Segment>>>,
    pool: Arc<Pool>,
}

#[derive(Debug)]
pub(super) struct Segment {
    span: Span,
    part: Part,
    sealed: AtomicBool,
    /// Of a segment that may be sealed yet.
    descriptor: Mutex<Option<OwnedFd>>,
}

impl Segment {
    /// Whether nobody can change the segment any more, as the kernel says. Once
    /// it is so it stays so.
    fn is_sealed(&self) -> bool {
        if self.sealed.load(Ordering::Acquire) {
            return true;
        }
        let mut descriptor = self.lock_descriptor();
        let Some(file) = descriptor.as_ref() else {
            return self.sealed.load(Ordering::Acquire);
        };
        let sealed = segment::seals_of(file.as_fd(), self.part.bytes())
            .is_ok_and(|found| found.contains(SealFlags::WRITE));
        if sealed {
            *descriptor = None;
            // SYNC: pairs with the load above: the kernel's answer comes first.
            self.sealed.store(true, Ordering::Release);
        }
        sealed
    }

    /// The first byte of a stretch that was found to lie here.
    pub(super) fn at(&self, stretch: Stretch) -> NonNull<u8> {
        let offset = bytes_of(stretch.page - self.span.page);
        self.part.at(offset, stretch.bytes as usize)
    }

    fn has_descriptor(&self) -> bool {
        self.lock_descriptor().is_some()
    }

    fn may_be_sealed_yet(&self) -> bool {
        self.has_descriptor() && !self.is_sealed()
    }

    fn lock_descriptor(&self) -> std::sync::MutexGuard<'_, Option<OwnedFd>> {
        self.descriptor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl PeerHeap {
    /// Reserves the window the peer says it has: at the same address when that
    /// is free here, anywhere else otherwise.
    ///
    /// # Errors
    /// [`PeerHeapError::Window`]: the peer's fault with [`HeapError::Window`] or
    /// [`HeapError::Misplaced`] inside, this side's with [`HeapError::NoAddress`].
    pub fn reserve(base: u64, window_bytes: u64) -> Result<Self, PeerHeapError> {
        let (claimed, bytes) = address::place(base, window_bytes)?;
        let window = match Window::reserve_at(claimed, bytes) {
            Err(Errno::EXIST | Errno::NOMEM) => Window::reserve_anywhere(bytes),
            other => other,
        };
        let window = window.map_err(|source| HeapError::NoAddress {
            window_bytes,
            attempts: 2,
            source,
        })?;
        Ok(Self {
            window: Arc::new(window),
            claimed,
            segments: RwLock::new(Vec::new()),
            pool: Pool::new(),
        })
    }

    /// Whether the heap lies at another address here than at its owner, so that
    /// everything taken from it is copied.
    pub fn is_displaced(&self) -> bool {
        self.window.base() != self.claimed
    }

    /// Address of the window at its owner.
    pub fn base(&self) -> u64 {
        self.claimed as u64
    }

    /// Size of the window in bytes.
    pub fn window_bytes(&self) -> u64 {
        self.window.bytes() as u64
    }

    /// Memory of the peer's that is mapped here, in bytes.
    pub fn size_bytes(&self) -> usize {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.iter().map(|s| s.part.bytes()).sum()
    }

    /// Maps a segment the peer made, after verifying that it is a sealed memory
    /// file of this size with all its pages present.
    ///
    /// # Errors
    /// See [`PeerHeapError`].
    pub fn add(&self, page: u32, pages: u32, descriptor: OwnedFd) -> Result<(), PeerHeapError> {
        let window_pages = (self.window.bytes() / PAGE_BYTES) as u64;
        let end = u64::from(page) + u64::from(pages);
        let grain = system_pages();
        let fits = pages > 0
            && end <= window_pages
            && page.is_multiple_of(grain)
            && pages.is_multiple_of(grain);
        if !fits {
            return Err(PeerHeapError::Outside {
                page,
                pages,
                window_pages,
            });
        }
        let bytes = bytes_of(pages);
        let found = segment::verify(descriptor.as_fd(), bytes, SEALABLE)?;
        let sealed = found.contains(SealFlags::WRITE);
        let sealable = !sealed && !found.contains(SealFlags::SEAL);

        self.place_for(Span { page, pages }, sealable)?;
        let access = if sealed || sealable {
            Access::ReadPrivate
        } else {
            Access::Read
        };
        // It takes a while, and others may take from the heap meanwhile.
        let start = bytes_of(page);
        let part = self
            .window
            .map(start..start + bytes, descriptor.as_fd(), access)
            .map_err(segment::os_error("mmap", bytes))?;
        let segment = Segment {
            span: Span { page, pages },
            part,
            sealed: AtomicBool::new(sealed),
            descriptor: Mutex::new(sealable.then_some(descriptor)),
        };
        let mut segments = self
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let at = segments.partition_point(|s| s.span.page < page);
        segments.insert(at, Arc::new(segment));
        Ok(())
    }

    /// Checks that there is room for a segment.
    fn place_for(&self, span: Span, sealable: bool) -> Result<(), PeerHeapError> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        // Apart from each other, so in the order of their ends too.
        let after = segments.partition_point(|s| s.span.end() <= span.page);
        if let Some(present) = segments.get(after)
            && present.span.page < span.end()
        {
            return Err(PeerHeapError::Overlap {
                page: span.page,
                present: present.span.page,
            });
        }
        if segments.len() >= MAX_SEGMENTS {
            return Err(PeerHeapError::TooMany {
                limit: MAX_SEGMENTS,
            });
        }
        let waiting = |asked: fn(&Segment) -> bool| segments.iter().filter(|s| asked(s)).count();
        if sealable
            && waiting(Segment::has_descriptor) >= MAX_UNSEALED
            && waiting(Segment::may_be_sealed_yet) >= MAX_UNSEALED
        {
            return Err(PeerHeapError::TooMany {
                limit: MAX_UNSEALED,
            });
        }
        Ok(())
    }

    /// Unmaps the segment at `page`, which the peer gives back.
    ///
    /// # Errors
    /// [`PeerHeapError::Absent`], and [`PeerHeapError::Held`] while a [`Taken`]
    /// lies in it.
    pub fn remove(&self, page: u32) -> Result<(), PeerHeapError> {
        let mut segments = self
            .segments
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let at = segments
            .binary_search_by_key(&page, |s| s.span.page)
            .map_err(|_| PeerHeapError::Absent { page })?;
        if Arc::get_mut(&mut segments[at]).is_none() {
            return Err(PeerHeapError::Held { page });
        }
        let gone = segments.remove(at);
        drop(segments);
        drop(gone);
        Ok(())
    }

    /// Takes what the peer passed: a `T` with whose bytes `words` begin, and the
    /// `bytes` bytes from `page` of its heap in which all that it points to must
    /// lie (none when `bytes` is 0).
    ///
    /// # Errors
    /// See [`TakeError`].
    #[inline]
    pub fn take<T: Shared>(
        &self,
        words: &[u64],
        page: u32,
        bytes: u32,
        keeping: Keeping,
        buffers: &mut CheckBuffers,
    ) -> Result<Taken<T>, TakeError> {
        check_length::<T>(words)?;
        if bytes == 0 {
            return Ok(Taken::new(check(words, None, buffers)?, Kept::Nothing));
        }
        let absent = TakeError::Absent { page, bytes };
        let (segment, offset) = self.find(page, bytes).ok_or(absent)?;
        let claimed = self.claimed + bytes_of(page);
        let length = bytes as usize;
        let in_place = !self.is_displaced()
            && match keeping {
                Keeping::Trust => true,
                Keeping::Copy => false,
                Keeping::Seal => segment.is_sealed(),
            };
        if in_place {
            if length > FETCHED_BYTES {
                segment.part.fetch(offset, length);
            }
            let region = Region {
                claimed,
                here: segment.part.at(offset, length),
                bytes: length,
                writable: false,
                header_bytes: 0,
            };
            let root = check(words, Some(region), buffers)?;
            let stretch = Stretch { page, bytes };
            return Ok(Taken::new(root, Kept::Segment(segment, stretch)));
        }
        let mut copy = self
            .pool
            .take(length)
            .ok_or(TakeError::NoMemory { bytes })?;
        copy.copy_part(&segment.part, offset, length);
        let region = Region {
            claimed,
            here: copy.base(),
            bytes: length,
            writable: true,
            header_bytes: 0,
        };
        let root = check(words, Some(region), buffers)?;
        Ok(Taken::new(root, Kept::Copy(Arc::new(copy))))
    }

    /// The segment in which the range lies wholly, and the range's offset there.
    fn find(&self, page: u32, bytes: u32) -> Option<(Arc<Segment>, usize)> {
        let segments = self.segments.read().unwrap_or_else(PoisonError::into_inner);
        let at = segments.partition_point(|s| s.span.page <= page);
        let segment = &segments[at.checked_sub(1)?];
        let offset = bytes_of(page - segment.span.page);
        let left = segment.part.bytes().checked_sub(offset)?;
        (bytes as usize <= left).then(|| (Arc::clone(segment), offset))
    }
}

/// Whether so many words can be those of a `T`.
#[inline]
pub(super) fn check_length<T>(words: &[u64]) -> Result<(), TakeError> {
    if size_of_val(words) < size_of::<T>() {
        return Err(TakeError::Short {
            found_bytes: size_of_val(words),
            needed_bytes: size_of::<T>(),
        });
    }
    Ok(())
}

/// See [`data::check`]. A region is one that [`PeerHeap::take`] made.
#[inline]
fn check<T: Shared>(
    words: &[u64],
    region: Option<Region>,
    buffers: &mut CheckBuffers,
) -> Result<Root<T>, Flaw> {
    #[expect(unsafe_code, reason = "the checker is told what memory it may read")]
    // SAFETY: rules 1 and 2.
    unsafe {
        data::check(words, region, buffers)
    }
}

impl fmt::Debug for PeerHeap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerHeap")
            .field("base", &format_args!("{:#x}", self.claimed))
            .field("window_bytes", &self.window.bytes())
            .field("displaced", &self.is_displaced())
            .finish_non_exhaustive()
    }
}
