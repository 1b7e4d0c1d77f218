//! The owner's side of a heap.
//!
//! Rules of the unsafe code here:
//! 1. From when a run is made until it is dropped its pages are its own, and
//!    mapped: an open segment is taken down only when all its pages are free, and
//!    the mapping of a one-shot segment is held by its run.
//! 2. They are reached by the one scope that is made of a run, and, the first
//!    words, by run and scope as atomics.
//! 3. At the part of a one-shot segment its own file is mapped, and no other.

use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::SealFlags;
use rustix::io::Errno;

use super::lending::Lending;
use super::pages::{Pages, Span};
use super::runs::Runs;
use super::{
    MAX_SEGMENTS, MAX_UNSEALED, PAGE_BYTES, RUN_HEADER_BYTES, address, bytes_of, system_pages,
};
use crate::data::{SETTLED_OFFSET, Scope, USED_OFFSET};
use crate::segment::{self, SEALABLE, SEALS, SegmentError};
use crate::sys::window::{Access, Part, Window};

/// Pages of the first segment: 256 KiB.
const FIRST_PAGES: u32 = 64;

/// Pages of a segment at most, unless more are asked for at once: 16 MiB.
const STEP_PAGES: u32 = 4096;

/// What segments are a multiple of, in pages: 64 KiB, the largest page of any system.
const GRAIN_PAGES: u32 = 16;

/// Why a heap could not be made or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeapError {
    /// Not a size a window can have: a power of two from 1 MiB to 1 TiB.
    #[error("heap window of {window_bytes} bytes: not a power of two from 1 MiB to 1 TiB")]
    Window {
        /// The size asked for.
        window_bytes: u64,
    },
    /// The base is not aligned to the window, or outside the range of addresses
    /// that heaps use.
    #[error("heap window of {window_bytes} bytes at {base:#x}: not an address a heap can have")]
    Misplaced {
        /// The address asked for.
        base: u64,
        /// The size asked for.
        window_bytes: u64,
    },
    /// No free range of addresses was found. Ask for a smaller window, or look
    /// at the limit of the address space (`ulimit -v`).
    #[error(
        "heap window of {window_bytes} bytes: no free address in {attempts} attempts: {source}"
    )]
    NoAddress {
        /// The size asked for.
        window_bytes: u64,
        /// Places tried.
        attempts: u32,
        /// What the kernel said at the last one.
        source: Errno,
    },
    /// The heap would become larger than its quota. Wait until something is
    /// released, or configure more.
    #[error(
        "heap quota of {quota_bytes} bytes: {used_bytes} are in use and {asked_bytes} more were \
         asked for"
    )]
    Quota {
        /// The quota.
        quota_bytes: u64,
        /// What the heap's segments take of it.
        used_bytes: u64,
        /// What was asked for in addition.
        asked_bytes: u64,
    },
    /// No stretch of the window is free for a segment of this size.
    #[error("heap window of {window_bytes} bytes has no room for {asked_bytes} more in a piece")]
    WindowFull {
        /// Size of the window.
        window_bytes: u64,
        /// What was asked for.
        asked_bytes: u64,
    },
    /// The heap has as many segments as a heap may have.
    #[error("heap has {limit} segments, the most there can be")]
    Segments {
        /// [`MAX_SEGMENTS`], or [`MAX_UNSEALED`] for those to be sealed.
        limit: usize,
    },
    /// A run that shares its segment with others cannot be sealed.
    #[error("the run at page {page} is not a segment of its own and cannot be sealed")]
    NotSealable {
        /// Where the run begins.
        page: u32,
    },
    /// A segment could not be made, or not sealed.
    #[error(transparent)]
    Segment(#[from] SegmentError),
}

/// A segment that was added to a heap, of which the peer must be told: send the
/// descriptor, then the numbers, then [`open`](Self::open) it.
#[derive(Debug)]
#[must_use = "nothing is allocated from a segment that is not opened"]
pub struct Grown {
    /// Its first page, from the start of the window.
    pub page: u32,
    /// How many pages it has.
    pub pages: u32,
    /// What the peer maps it by. Whoever has it can read the segment.
    pub descriptor: OwnedFd,
    heap: Arc<Inner>,
}

impl Grown {
    /// Lets [`Heap::allocate`] use the segment, now that the peer has been told:
    /// whatever it is told after that may lie there. (A one-shot segment is in
    /// use already, and stays so.)
    pub fn open(self) {
        let state = &mut *self.heap.lock();
        let Some(segment) = state.segments.iter_mut().find(|s| s.span.page == self.page) else {
            return;
        };
        match std::mem::replace(&mut segment.kind, Kind::Changing) {
            Kind::Unannounced(part) => {
                segment.kind = Kind::Open(part);
                state.pages.add(segment.span);
            }
            other => segment.kind = other,
        }
    }
}

/// Memory that only this process can write, at addresses that a peer can use too.
///
/// Cheap to share; every method may be called from any thread. The memory is
/// given back when the heap and all its runs are gone.
#[derive(Debug, Clone)]
pub struct Heap {
    inner: Arc<Inner>,
}

struct Inner {
    window: Arc<Window>,
    quota_bytes: u64,
    label: String,
    state: Mutex<State>,
}

/// A piece of the window that is taken, in order of `page`.
struct Segment {
    span: Span,
    kind: Kind,
}

enum Kind {
    /// Being made or taken down: the range is not free.
    Changing,
    /// Made, but the peer does not know yet.
    Unannounced(Part),
    /// Its pages are allocated from. The part is held for what is in it.
    #[expect(dead_code, reason = "kept for its mapping")]
    Open(Part),
    /// A one-shot segment; the mapping belongs to its run. Spent when that is gone.
    OneShot { sealed: bool, spent: bool },
}

struct State {
    pages: Pages,
    segments: Vec<Segment>,
    runs: Runs<Run>,
}

impl Heap {
    /// Reserves a window of `window_bytes` (a power of two, 1 MiB to 1 TiB) at a
    /// random address that is a multiple of its size. It costs no memory until
    /// the heap grows, which it can to `quota_bytes`. The `label` shows up in
    /// `/proc/<pid>/maps`.
    ///
    /// # Errors
    /// [`HeapError::Window`], [`HeapError::NoAddress`].
    pub fn reserve(window_bytes: u64, quota_bytes: u64, label: &str) -> Result<Self, HeapError> {
        let window = address::reserve(address::window_size(window_bytes)?)?;
        Ok(Self::over(window, quota_bytes, label))
    }

    /// Like [`reserve`](Self::reserve), at the address `base`.
    ///
    /// # Errors
    /// [`HeapError::Window`], [`HeapError::Misplaced`], and
    /// [`HeapError::NoAddress`] when something is mapped there.
    pub fn reserve_at(
        base: u64,
        window_bytes: u64,
        quota_bytes: u64,
        label: &str,
    ) -> Result<Self, HeapError> {
        let (address, bytes) = address::place(base, window_bytes)?;
        let window = Window::reserve_at(address, bytes).map_err(|source| HeapError::NoAddress {
            window_bytes,
            attempts: 1,
            source,
        })?;
        Ok(Self::over(Arc::new(window), quota_bytes, label))
    }

    fn over(window: Arc<Window>, quota_bytes: u64, label: &str) -> Self {
        let state = Mutex::new(State {
            pages: Pages::new(),
            segments: Vec::new(),
            runs: Runs::new(),
        });
        Self {
            inner: Arc::new(Inner {
                window,
                quota_bytes,
                label: label.to_owned(),
                state,
            }),
        }
    }

    /// Address of the window's first byte.
    pub fn base(&self) -> u64 {
        self.inner.window.base() as u64
    }

    /// Size of the window in bytes.
    pub fn window_bytes(&self) -> u64 {
        self.inner.window.bytes() as u64
    }

    /// The most memory the heap may take, in bytes.
    pub fn quota_bytes(&self) -> u64 {
        self.inner.quota_bytes
    }

    /// Memory the heap's segments take, in bytes, spent ones included until
    /// [`shrink`](Self::shrink).
    pub fn size_bytes(&self) -> usize {
        size_bytes(&self.inner.lock())
    }

    /// Memory that [`shrink`](Self::shrink) can give back of one-shot segments
    /// whose runs are gone, in bytes.
    pub fn spent_bytes(&self) -> usize {
        let state = self.inner.lock();
        let spent = state
            .segments
            .iter()
            .filter(|s| matches!(s.kind, Kind::OneShot { spent: true, .. }));
        spent.map(|s| bytes_of(s.span.pages)).sum()
    }

    /// A run of `pages` adjacent pages, at least one, in a segment that the peer
    /// knows. `None` when no such run is free: [`grow`](Self::grow) first.
    ///
    /// Their bytes are whatever a former run left there.
    #[inline]
    pub fn allocate(&self, pages: u32) -> Option<Arc<Run>> {
        let pages = pages.max(1);
        let state = &mut *self.inner.lock();
        let page = state.pages.take(pages)?;
        Some(self.inner.run(state, Span { page, pages }, None))
    }

    /// The run in which `address` lies.
    pub fn find(&self, address: usize) -> Option<Arc<Run>> {
        let offset = address.checked_sub(self.inner.window.base())?;
        let page = u32::try_from(offset / PAGE_BYTES).ok()?;
        // Not under the lock is the run let go of: it may be the last hold on it.
        let run = self.inner.lock().runs.before(page)?;
        (page - run.page < run.pages).then_some(run)
    }

    /// Adds a segment of at least `at_least_pages`: 256 KiB at first, then as
    /// much as there is, at most 16 MiB unless more is asked for. All its pages
    /// are present and it is sealed against everything but this process's one
    /// mapping.
    ///
    /// Nothing is allocated from it before [`Grown::open`]: a scope in it must not
    /// reach the peer before the segment does. Growing, shrinking and telling the
    /// peer of it belong under one lock of the caller's, so that the peer hears of
    /// changes in their order.
    ///
    /// # Errors
    /// [`HeapError::Quota`], [`HeapError::WindowFull`], [`HeapError::Segments`],
    /// [`HeapError::Segment`].
    pub fn grow(&self, at_least_pages: u32) -> Result<Grown, HeapError> {
        self.grow_within(at_least_pages, u32::MAX)
    }

    /// [`grow`](Self::grow) by no more than `at_most_pages`, unless more are asked
    /// for at once; 64 KiB are the least there is.
    ///
    /// # Errors
    /// As [`grow`](Self::grow).
    pub fn grow_within(&self, at_least_pages: u32, at_most_pages: u32) -> Result<Grown, HeapError> {
        let span = self
            .inner
            .claim(at_least_pages, Growth::Doubling { at_most_pages })?;
        let made = self.inner.make(span, SEALS);
        let (part, descriptor) = made.inspect_err(|_| self.inner.forget(&[span]))?;
        self.inner.set(span.page, Kind::Unannounced(part));
        Ok(self.inner.grown(span, descriptor))
    }

    /// Adds a one-shot segment of at least `pages` pages, which is one run by
    /// itself and can be [sealed](Run::seal) once it is filled. The peer must be
    /// told of the segment before what it holds is passed; whether that is before
    /// or after it is sealed makes no difference.
    ///
    /// When the run is gone the segment is spent and [`shrink`](Self::shrink)
    /// gives it back; it is never used again.
    ///
    /// # Errors
    /// As [`grow`](Self::grow); [`HeapError::Segments`] also when
    /// [`MAX_UNSEALED`] such runs are not sealed yet.
    pub fn grow_sealable(&self, pages: u32) -> Result<(Arc<Run>, Grown), HeapError> {
        let span = self.inner.claim(pages, Growth::OneShot)?;
        let made = self.inner.make(span, SEALABLE).and_then(|(part, file)| {
            let own = file.try_clone().map_err(|error| SegmentError::Os {
                call: "dup",
                size_bytes: bytes_of(span.pages),
                source: Errno::from_io_error(&error).unwrap_or(Errno::IO),
            })?;
            Ok((part, file, own))
        });
        let (part, descriptor, own) = made.inspect_err(|_| self.inner.forget(&[span]))?;
        let one_shot = OneShot {
            part: Some(part),
            file: Mutex::new(Some(own)),
            frozen_bytes: AtomicU32::new(0),
        };
        let run = self.inner.run(&mut self.inner.lock(), span, Some(one_shot));
        Ok((run, self.inner.grown(span, descriptor)))
    }

    /// Gives back the segments in which nothing is allocated, but keeps at least
    /// one; names the first page of each. The peer must be told, after which
    /// it too unmaps them. See [`grow`](Self::grow) for the order.
    pub fn shrink(&self) -> Vec<u32> {
        let gone = self.inner.take_down();
        self.inner.forget(&gone);
        gone.iter().map(|span| span.page).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Growth {
    Doubling { at_most_pages: u32 },
    OneShot,
}

fn size_bytes(state: &State) -> usize {
    let bytes = state.segments.iter().map(|s| bytes_of(s.span.pages));
    bytes.sum()
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half-way but for a bug.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run at `span`, which is free for it.
    #[inline]
    fn run(self: &Arc<Self>, state: &mut State, span: Span, one_shot: Option<OneShot>) -> Arc<Run> {
        let run = Arc::new(Run {
            heap: Arc::clone(self),
            page: span.page,
            pages: span.pages,
            scoped: AtomicBool::new(false),
            one_shot,
            lending: OnceLock::new(),
        });
        state.runs.enter(span.page, Arc::downgrade(&run));
        run
    }

    fn grown(self: &Arc<Self>, span: Span, descriptor: OwnedFd) -> Grown {
        Grown {
            page: span.page,
            pages: span.pages,
            descriptor,
            heap: Arc::clone(self),
        }
    }

    /// Finds room for a segment in the window and in the quota, and takes it.
    fn claim(&self, asked_pages: u32, growth: Growth) -> Result<Span, HeapError> {
        let state = &mut *self.lock();
        let unsealed = |s: &&Segment| matches!(s.kind, Kind::OneShot { sealed: false, .. });
        if growth == Growth::OneShot
            && state.segments.iter().filter(unsealed).count() >= MAX_UNSEALED
        {
            return Err(HeapError::Segments {
                limit: MAX_UNSEALED,
            });
        }
        if state.segments.len() >= MAX_SEGMENTS {
            return Err(HeapError::Segments {
                limit: MAX_SEGMENTS,
            });
        }
        let used_bytes = size_bytes(state) as u64;
        let window_pages = (self.window.bytes() / PAGE_BYTES) as u64;
        let grain = u64::from(match growth {
            Growth::Doubling { .. } => GRAIN_PAGES,
            Growth::OneShot => system_pages(),
        });
        let least = u64::from(asked_pages.max(1)).next_multiple_of(grain);
        let left_bytes = self.quota_bytes.saturating_sub(used_bytes);
        let left = left_bytes / PAGE_BYTES as u64 / grain * grain;
        if least > left {
            return Err(HeapError::Quota {
                quota_bytes: self.quota_bytes,
                used_bytes,
                asked_bytes: least * PAGE_BYTES as u64,
            });
        }
        let wanted = match growth {
            Growth::OneShot => least,
            Growth::Doubling { at_most_pages } => {
                let used = used_bytes / PAGE_BYTES as u64;
                let step = used.clamp(FIRST_PAGES.into(), STEP_PAGES.into());
                let step = step.min(at_most_pages.into()).next_multiple_of(grain);
                step.max(least).min(left)
            }
        };
        let room = |pages: u64| {
            let pages = u32::try_from(pages).ok()?;
            Some(Span {
                page: gap(&state.segments, window_pages, grain as u32, pages)?,
                pages,
            })
        };
        let Some(span) = room(wanted).or_else(|| room(least)) else {
            return Err(HeapError::WindowFull {
                window_bytes: self.window.bytes() as u64,
                asked_bytes: least * PAGE_BYTES as u64,
            });
        };
        let kind = match growth {
            Growth::Doubling { .. } => Kind::Changing,
            Growth::OneShot => Kind::OneShot {
                sealed: false,
                spent: false,
            },
        };
        let at = state.segments.partition_point(|s| s.span.page < span.page);
        state.segments.insert(at, Segment { span, kind });
        state.runs.add(span);
        Ok(span)
    }

    /// Makes a segment and maps it at `span`.
    fn make(&self, span: Span, seals: SealFlags) -> Result<(Part, OwnedFd), HeapError> {
        let bytes = bytes_of(span.pages);
        let file = segment::create_file(&self.label, bytes)?;
        let start = bytes_of(span.page);
        let part = self
            .window
            .map(start..start + bytes, file.as_fd(), Access::Write)
            .map_err(segment::os_error("mmap", bytes))?;
        segment::expect_present(file.as_fd(), bytes)?;
        segment::seal(file.as_fd(), bytes, seals)?;
        Ok((part, file))
    }

    fn set(&self, page: u32, kind: Kind) {
        let mut state = self.lock();
        if let Some(segment) = state.segments.iter_mut().find(|s| s.span.page == page) {
            segment.kind = kind;
        }
    }

    fn with_one_shot(&self, page: u32, change: impl FnOnce(&mut bool, &mut bool)) {
        let mut state = self.lock();
        let segment = state.segments.iter_mut().find(|s| s.span.page == page);
        if let Some(Kind::OneShot { sealed, spent }) = segment.map(|s| &mut s.kind) {
            change(sealed, spent);
        }
    }

    /// Unmaps the segments that are not needed; their ranges stay taken.
    fn take_down(&self) -> Vec<Span> {
        let mut parts = Vec::new();
        let mut gone = Vec::new();
        {
            let state = &mut *self.lock();
            let free = state.pages.remove_free();
            for segment in &mut state.segments {
                let spent = matches!(segment.kind, Kind::OneShot { spent: true, .. });
                if spent || free.contains(&segment.span) {
                    parts.push(std::mem::replace(&mut segment.kind, Kind::Changing));
                    gone.push(segment.span);
                }
            }
        }
        // Unmapping takes a while: not under the lock.
        drop(parts);
        gone
    }

    /// Makes the ranges of segments that are unmapped free again.
    fn forget(&self, gone: &[Span]) {
        let mut state = self.lock();
        state.segments.retain(|s| !gone.contains(&s.span));
        for span in gone {
            state.runs.remove(*span);
        }
    }
}

/// The first page of a gap of `pages` between `segments`, on a multiple of `grain`.
fn gap(segments: &[Segment], window_pages: u64, grain: u32, pages: u32) -> Option<u32> {
    let grain = u64::from(grain);
    let mut from = 0_u64;
    for segment in segments {
        if from + u64::from(pages) <= u64::from(segment.span.page) {
            break;
        }
        let end = u64::from(segment.span.page) + u64::from(segment.span.pages);
        from = end.next_multiple_of(grain);
    }
    let fits = from + u64::from(pages) <= window_pages;
    fits.then(|| u32::try_from(from).ok())?
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heap")
            .field("window", &self.window)
            .field("quota_bytes", &self.quota_bytes)
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

/// Adjacent pages of a heap, for one scope. They come back when it is dropped.
#[derive(Debug)]
pub struct Run {
    heap: Arc<Inner>,
    page: u32,
    pages: u32,
    scoped: AtomicBool,
    one_shot: Option<OneShot>,
    lending: OnceLock<Lending>,
}

/// What a run has that is a segment by itself.
#[derive(Debug)]
struct OneShot {
    /// Until the run is dropped.
    part: Option<Part>,
    /// Until the segment is sealed.
    file: Mutex<Option<OwnedFd>>,
    /// What the scope had used when sealing began; 0 before.
    frozen_bytes: AtomicU32,
}

impl Run {
    /// The first page, from the start of the window.
    #[inline]
    pub fn page(&self) -> u32 {
        self.page
    }

    /// How many pages there are.
    #[inline]
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// How many bytes from its start the run's scope has used, the
    /// [`RUN_HEADER_BYTES`] included; 0 before there is a scope. What is built
    /// after the run was [sealed](Self::seal) does not count.
    #[inline]
    pub fn used_bytes(&self) -> u32 {
        if let Some(one_shot) = &self.one_shot {
            let frozen = one_shot.frozen_bytes.load(Ordering::Acquire);
            if frozen != 0 {
                return frozen;
            }
        }
        self.header_number(USED_OFFSET, Ordering::Relaxed)
    }

    /// How many bytes from its start are as they will stay for as long as this
    /// share in the run is held: all that the scope has used, but for what is still
    /// being filled; 0 before there is a scope, and while a value is set in it.
    #[inline]
    pub fn settled_bytes(self: &Arc<Self>) -> u32 {
        // SYNC: pairs with the fence in `Scope::unsettle`: a scope that sets a value
        // has counted this share, or is seen here to do so.
        fence(Ordering::SeqCst);
        // SYNC: pairs with the store in `Scope::publish_settled`.
        let settled = self.header_number(SETTLED_OFFSET, Ordering::Acquire);
        settled.min(self.used_bytes())
    }

    /// A number in the header; 0 before there is a scope.
    #[inline]
    fn header_number(&self, offset: usize, ordering: Ordering) -> u32 {
        if !self.scoped.load(Ordering::Acquire) {
            return 0;
        }
        let number = self.base().as_ptr().wrapping_add(offset).cast();
        #[expect(unsafe_code, reason = "the header is reached as what it is")]
        // SAFETY: rules 1 and 2; a run begins at a page, so the numbers are aligned.
        let number = unsafe { AtomicU32::from_ptr(number) };
        // Whatever a run left there that was at these pages before.
        let limit = u32::try_from(bytes_of(self.pages)).unwrap_or(u32::MAX);
        number.load(ordering).min(limit)
    }

    /// The first byte of its pages.
    #[inline]
    pub(super) fn base(&self) -> NonNull<u8> {
        self.heap.window.at(bytes_of(self.page))
    }

    /// Whether the run is one of this heap.
    #[inline]
    pub(super) fn is_of(&self, heap: &Heap) -> bool {
        Arc::ptr_eq(&self.heap, &heap.inner)
    }

    /// What a reply that is built here lends, if it lends something.
    #[inline]
    pub(super) fn lending(&self) -> Option<&Lending> {
        self.lending.get()
    }

    /// Notes what a reply that is built here lends; the first time counts.
    pub(super) fn lend(&self, lending: Lending) {
        self.lending.get_or_init(|| lending);
    }

    /// Whether the run is a segment of its own that can be [sealed](Self::seal).
    #[inline]
    pub fn is_sealable(&self) -> bool {
        self.one_shot.is_some()
    }

    /// The scope that lies in this run and keeps it. A run is a scope once: when
    /// the scope is dropped and the run is not, it stays as it was filled.
    ///
    /// # Panics
    /// When a scope was made of this run before: two would overlap.
    pub fn scope(self: Arc<Self>) -> Scope {
        let before = self.scoped.swap(true, Ordering::AcqRel);
        assert!(!before, "a scope was made of this run before");
        let base = self.base();
        let capacity_bytes = bytes_of(self.pages);
        self.sealed_word().store(0, Ordering::Relaxed);
        #[expect(unsafe_code, reason = "the scope is told what memory is its own")]
        // SAFETY: rule 1, as the scope keeps the run; and rule 2, by the check above.
        unsafe {
            Scope::over(base, capacity_bytes, self.is_sealable(), self)
        }
    }

    /// Makes sure that nobody, this process included, can ever change what the
    /// peer reads in these pages; the peer can verify it, and so read them where
    /// they lie.
    ///
    /// What was built stays readable here. The scope takes nothing more; should
    /// something be stored all the same, it stays in this process. Sealing again
    /// does nothing.
    ///
    /// # Errors
    /// [`HeapError::NotSealable`]; [`HeapError::Segment`] when the kernel refuses:
    /// then the peer has to copy, and the scope takes nothing more either.
    pub fn seal(&self) -> Result<(), HeapError> {
        let Some(one_shot) = &self.one_shot else {
            return Err(HeapError::NotSealable { page: self.page });
        };
        let mut file = one_shot.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(open), Some(part)) = (&*file, &one_shot.part) else {
            return Ok(());
        };
        let bytes = bytes_of(self.pages);
        if one_shot.frozen_bytes.load(Ordering::Acquire) == 0 {
            self.sealed_word().store(1, Ordering::Relaxed);
            let used_bytes = self.used_bytes().max(RUN_HEADER_BYTES as u32);
            #[expect(unsafe_code, reason = "the part is told what is mapped there")]
            // SAFETY: rule 3.
            unsafe {
                part.detach(open.as_fd());
            }
            one_shot.frozen_bytes.store(used_bytes, Ordering::Release);
        }
        segment::seal(open.as_fd(), bytes, SealFlags::WRITE | SealFlags::SEAL)?;
        *file = None;
        self.heap
            .with_one_shot(self.page, |sealed, _| *sealed = true);
        Ok(())
    }

    /// The word of the header that says whether the run is sealed.
    fn sealed_word(&self) -> &AtomicU64 {
        const { assert!(2 * size_of::<u64>() == RUN_HEADER_BYTES) };
        let word = self.base().cast::<u64>().as_ptr().wrapping_add(1);
        #[expect(unsafe_code, reason = "the header is reached as what it is")]
        // SAFETY: rules 1 and 2; a run begins at a page, so the word is aligned.
        unsafe {
            AtomicU64::from_ptr(word)
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(one_shot) = &mut self.one_shot {
            // Unmapped before anybody can find it spent.
            one_shot.part = None;
            self.heap.with_one_shot(self.page, |_, spent| *spent = true);
        } else {
            let span = Span {
                page: self.page,
                pages: self.pages,
            };
            let state = &mut *self.heap.lock();
            state.runs.leave(self.page);
            state.pages.give(span);
        }
    }
}
