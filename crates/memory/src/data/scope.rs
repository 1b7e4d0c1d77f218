//! Building what another process will read.
use std::any::{self, Any};
use std::cell::Cell;
use std::fmt;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, compiler_fence, fence};
use std::sync::{Arc, OnceLock};

use super::check::copy;
use super::private::PrivateMemory;
use super::{Ptr, Shared, Slice, Str, put};

/// The size of a page, and the largest alignment of what lies in a scope.
pub(super) const PAGE_BYTES: usize = 4096;

/// What everything in a scope is aligned to at least.
pub(super) const GRAIN_BYTES: usize = 8;

/// Why a scope did not take a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// The scope has no room left. Ask for a larger one.
    #[error(
        "the scope of {capacity_bytes} bytes has {free_bytes} left, and {needed_bytes} are needed"
    )]
    Full {
        /// What the value needs; `usize::MAX` if that cannot even be said.
        needed_bytes: usize,
        /// What is left.
        free_bytes: usize,
        /// What there was at first.
        capacity_bytes: usize,
    },
    /// The value points into another scope. Build all of it in this one.
    #[error("a {type_name} points into another scope than the one it is built in")]
    OtherScope {
        /// The type of the value.
        type_name: &'static str,
    },
    /// What was built here may still be read by the peer: by a call that was
    /// given up, or because it keeps it. Take another scope.
    #[error("the peer may still be reading this scope: take another")]
    Held,
    /// The scope was sealed for a call, so that it need not be copied: nobody
    /// can change it any more. Take another scope.
    #[error("the scope is sealed: take another")]
    Sealed,
    /// What was kept is lent here already: one reply lends one value, and points to
    /// nothing else.
    #[error("a reply lends one value, and this one does")]
    Lends,
    /// Too many keys of a hashed map have like hashes. Take a
    /// [`Map`](super::Map), which does not mind.
    #[error("too many of {keys} keys have like hashes")]
    Collisions {
        /// How many keys there are.
        keys: usize,
    },
}

/// The addresses a scope has.
#[derive(Debug)]
pub struct Bounds {
    start: usize,
    bytes: usize,
    /// The address asked for last.
    asked: Cell<Option<usize>>,
}

impl Bounds {
    /// Whether `address` is one of them.
    #[must_use]
    #[inline]
    pub fn contain(&self, address: usize) -> bool {
        self.asked.set(Some(address));
        address.wrapping_sub(self.start) < self.bytes
    }
}

/// Memory in which one call's arguments, or its reply, are built.
///
/// What is built in it borrows it, so it cannot be [`reset`](Self::reset) under
/// what it holds. Room is given out from the start to the end and comes back
/// only all at once.
///
/// ```
/// use nowire_memory::data::Scope;
///
/// let scope = Scope::private(4096);
/// let text = scope.str("gift")?;
/// let numbers = scope.slice(&[1_u32, 2, 3])?;
/// assert_eq!(text, "gift");
/// assert_eq!(numbers.iter().sum::<u32>(), 6);
/// # Ok::<(), nowire_memory::data::ScopeError>(())
/// ```
pub struct Scope {
    base: NonNull<u8>,
    capacity_bytes: usize,
    used_bytes: Cell<usize>,
    /// Where the first piece begins that is given out and not written yet, while
    /// code of the user's fills it.
    open_from: Cell<usize>,
    /// The first bytes, in which the scope says how many are used.
    header_bytes: usize,
    /// The run may be sealed while the scope is alive.
    sealable: bool,
    keep: Arc<dyn Any + Send + Sync>,
    /// What is lent here and lies elsewhere, and whoever else must be kept for it.
    guests: OnceLock<[Arc<dyn Any + Send + Sync>; 2]>,
}

/// What a scope in a heap has in front of its data, for the heap's owner alone: how
/// many bytes are used, and how many of them nobody will write again unless the
/// scope is reset or a value set in it, in 32 bits each; and a word that is not zero
/// once the run is sealed. (A text or slice may count as written only when a value
/// is built behind it.)
pub(crate) const HEADER_BYTES: usize = 16;

/// Where in the header the numbers are.
pub(crate) const USED_OFFSET: usize = 0;
pub(crate) const SETTLED_OFFSET: usize = 4;

/// The most bytes that a scope with a header takes.
const MOST_BYTES: usize = u32::MAX as usize / GRAIN_BYTES * GRAIN_BYTES;

/// A piece that code of the user's fills.
struct Open<'s> {
    scope: &'s Scope,
    before: usize,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.scope.open_from.set(self.before);
        self.scope.publish_settled();
    }
}

// SAFETY: rule 1: the memory is the scope's alone, whichever thread has it; what
// else it keeps can be sent.
unsafe impl Send for Scope {}

impl Scope {
    /// A scope over memory that belongs to somebody. Its header is as
    /// [`HEADER_BYTES`] says.
    ///
    /// # Safety
    /// `base` is page-aligned; `capacity_bytes` bytes from there on are
    /// initialised, and this scope's to read and write while `keep` lives.
    pub(crate) unsafe fn over(
        base: NonNull<u8>,
        capacity_bytes: usize,
        sealable: bool,
        keep: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        debug_assert!(base.as_ptr().addr().is_multiple_of(PAGE_BYTES));
        let scope = Self {
            base,
            capacity_bytes: capacity_bytes.min(MOST_BYTES),
            used_bytes: Cell::new(HEADER_BYTES),
            open_from: Cell::new(usize::MAX),
            header_bytes: HEADER_BYTES,
            sealable,
            keep,
            guests: OnceLock::new(),
        };
        scope.publish_used();
        scope.publish_settled();
        scope
    }

    /// Says how far the scope has come; what was given out last is not written yet.
    #[inline]
    fn publish_used(&self) {
        if self.header_bytes > 0 {
            // The capacity of a scope with a header fits.
            let used = self.used_bytes.get() as u32;
            self.header_number(USED_OFFSET)
                .store(used, Ordering::Relaxed);
        }
    }

    /// Says that all that was given out is written, but for what code of the user's
    /// still fills.
    #[inline]
    fn publish_settled(&self) {
        if self.header_bytes > 0 {
            let settled = self.used_bytes.get().min(self.open_from.get());
            // SYNC: pairs with the load in `Run::settled_bytes`: what is settled was
            // written before.
            self.header_number(SETTLED_OFFSET)
                .store(settled as u32, Ordering::Release);
        }
    }

    /// Notes that what is given out next is written by code of the user's, which
    /// may build more meanwhile.
    #[inline]
    fn open(&self) -> Open<'_> {
        let before = self.open_from.get();
        self.open_from.set(before.min(self.used_bytes.get()));
        Open {
            scope: self,
            before,
        }
    }

    /// Keeps something for as long as what is lent here may be used.
    ///
    /// # Errors
    /// [`ScopeError::Lends`] if it keeps something already.
    pub(crate) fn keep_too(
        &self,
        guests: [Arc<dyn Any + Send + Sync>; 2],
    ) -> Result<(), ScopeError> {
        self.guests.set(guests).map_err(|_| ScopeError::Lends)
    }

    /// What the scope lies in, if it is a `K`.
    #[inline]
    pub(crate) fn kept_by<K: Any>(&self) -> Option<&K> {
        (*self.keep).downcast_ref()
    }

    /// Refuses if the scope's run was sealed: what is stored no longer reaches
    /// anybody. Asked before storing, and again after, as another thread may seal
    /// it meanwhile for a call with what was built before.
    #[inline]
    fn still_open(&self) -> Result<(), ScopeError> {
        if !self.sealable {
            return Ok(());
        }
        // Sealing sets the word before it takes the memory away, which the kernel
        // does once every processor is past its stores there.
        compiler_fence(Ordering::SeqCst);
        match self.sealed_word().load(Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err(ScopeError::Sealed),
        }
    }

    /// The word of the header that the run writes; there must be one.
    #[inline]
    fn sealed_word(&self) -> &AtomicU64 {
        let word = self.base.cast::<u64>().as_ptr().wrapping_add(1);
        // SAFETY: rule 1: the header is given out to nobody, and aligned; it is
        // only accessed as atomics.
        unsafe { AtomicU64::from_ptr(word) }
    }

    /// A number in the header, which there must be; the run reads it.
    #[inline]
    fn header_number(&self, offset: usize) -> &AtomicU32 {
        let number = self.base.as_ptr().wrapping_add(offset).cast();
        // SAFETY: as above.
        unsafe { AtomicU32::from_ptr(number) }
    }

    /// A scope in ordinary memory of this process, of at least `capacity_bytes`:
    /// for tests, and to build what never travels.
    ///
    /// # Panics
    /// If there can be no so much memory.
    #[must_use]
    pub fn private(capacity_bytes: usize) -> Self {
        let memory = PrivateMemory::new(capacity_bytes);
        let base = memory.base();
        let capacity_bytes = memory.capacity_bytes();
        Self {
            base,
            capacity_bytes,
            used_bytes: Cell::new(0),
            open_from: Cell::new(usize::MAX),
            header_bytes: 0,
            sealable: false,
            keep: Arc::new(memory),
            guests: OnceLock::new(),
        }
    }

    /// Moves `value` into the scope.
    ///
    /// # Errors
    /// [`ScopeError::Full`], or [`ScopeError::OtherScope`] if the value points
    /// out of this scope; it is dropped then.
    #[inline]
    pub fn build<'s, T: Shared + 's>(&'s self, value: T) -> Result<Ptr<'s, T>, ScopeError> {
        self.own(&value)?;
        let place = self.room_for::<T>(1)?;
        // SAFETY: rule 1: the place was just given out.
        unsafe { put(value, place.as_ptr()) };
        // What is passed begins with a value that was built, or copied.
        self.publish_settled();
        self.still_open()?;
        // SAFETY: rule 2.
        Ok(unsafe { Ptr::new(place) })
    }

    /// Copies a value, and everything it points to, into the scope: what lies in
    /// another, or was passed by another process.
    ///
    /// # Errors
    /// [`ScopeError::Full`]; nothing of it is there then.
    pub fn copy<'s, T: Shared>(&'s self, value: &T) -> Result<Ptr<'s, T::At<'s>>, ScopeError> {
        let before = self.used_bytes.get();
        let place = copy(value, self).inspect_err(|_| {
            // Nobody has a pointer to what was copied so far.
            self.used_bytes.set(before);
            self.publish_used();
        })?;
        self.publish_settled();
        self.still_open()?;
        // SAFETY: rule 2: it is a value like that which was copied, and points to
        // copies.
        Ok(unsafe { Ptr::new(place.cast()) })
    }

    /// Room for `count` of `T`, filled with copies of those at `from`, whose
    /// pointers lead where they led.
    ///
    /// # Safety
    /// So many values are there.
    pub(super) unsafe fn copy_shallow<T: Shared>(
        &self,
        from: *const T,
        count: usize,
    ) -> Result<NonNull<T>, ScopeError> {
        let place = self.room_for::<T>(count)?;
        if T::DENSE {
            // SAFETY: rule 1: the place was just given out, for so many.
            unsafe { ptr::copy_nonoverlapping(from, place.as_ptr(), count) };
            return Ok(place);
        }
        // SAFETY: as above.
        unsafe { place.write_bytes(0, count) };
        for index in 0..count {
            // SAFETY: as the caller says.
            let from = unsafe { from.add(index) };
            // SAFETY: as above; it is only read.
            let from = unsafe { &*from };
            // SAFETY: the place was given out for so many.
            let place = unsafe { place.add(index) };
            // SAFETY: it is zeroed, and aligned.
            unsafe { from.write(place.as_ptr()) };
        }
        Ok(place)
    }

    /// Copies `text` into the scope.
    ///
    /// # Errors
    /// [`ScopeError::Full`].
    #[inline]
    pub fn str<'s>(&'s self, text: &str) -> Result<Str<'s>, ScopeError> {
        let bytes = self.slice(text.as_bytes())?;
        // SAFETY: they are the bytes of a text.
        Ok(unsafe { Str::new(bytes) })
    }

    /// Copies `items` into the scope.
    ///
    /// # Errors
    /// [`ScopeError::Full`].
    #[inline]
    pub fn slice<'s, T: Shared + Copy + 's>(
        &'s self,
        items: &[T],
    ) -> Result<Slice<'s, T>, ScopeError> {
        if items.is_empty() {
            return Ok(Slice::empty());
        }
        let place = self.room_for::<T>(items.len())?;
        if T::DENSE {
            // SAFETY: rule 1: the place was just given out, for so many.
            unsafe { ptr::copy_nonoverlapping(items.as_ptr(), place.as_ptr(), items.len()) };
        } else {
            for (index, item) in items.iter().enumerate() {
                // SAFETY: rule 1: the place was just given out, for so many.
                let place = unsafe { place.add(index) };
                // SAFETY: as above.
                unsafe { put(*item, place.as_ptr()) };
            }
        }
        self.still_open()?;
        // SAFETY: rule 2.
        Ok(unsafe { Slice::new(place, items.len()) })
    }

    /// Moves `items` into the scope. If the iterator ends sooner than it said,
    /// the slice is shorter; what it has beyond what it said is not taken.
    ///
    /// # Errors
    /// [`ScopeError::Full`], or [`ScopeError::OtherScope`] if an item points out
    /// of this scope.
    #[inline]
    pub fn slice_of<'s, T: Shared + 's>(
        &'s self,
        items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    ) -> Result<Slice<'s, T>, ScopeError> {
        let items = items.into_iter();
        let len = items.len();
        if len == 0 {
            return Ok(Slice::empty());
        }
        let open = self.open();
        let first = self.room_for::<T>(len)?;
        let mut written = 0;
        for item in items.take(len) {
            self.own(&item)?;
            // SAFETY: rule 1: the place was just given out, for so many.
            let place = unsafe { first.add(written) };
            // SAFETY: as above.
            unsafe { put(item, place.as_ptr()) };
            written += 1;
        }
        drop(open);
        self.still_open()?;
        // SAFETY: rule 2: so many were written.
        Ok(unsafe { Slice::new(first, written) })
    }

    /// Gives `fill` that many bytes of the scope, zeroed, to write to.
    ///
    /// # Errors
    /// [`ScopeError::Full`]; `fill` is not called then.
    #[inline]
    pub fn fill<'s>(
        &'s self,
        bytes: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<Slice<'s, u8>, ScopeError> {
        if bytes == 0 {
            fill(&mut []);
            return Ok(Slice::empty());
        }
        let open = self.open();
        let place = self.room_for::<u8>(bytes)?;
        // SAFETY: rule 1: the place was just given out, for so many.
        unsafe { place.write_bytes(0, bytes) };
        // SAFETY: rule 1, and the bytes are initialised.
        fill(unsafe { slice::from_raw_parts_mut(place.as_ptr(), bytes) });
        drop(open);
        self.still_open()?;
        // SAFETY: rule 2.
        Ok(unsafe { Slice::new(place, bytes) })
    }

    /// How many bytes from the start are given out.
    #[must_use]
    #[inline]
    pub fn used_bytes(&self) -> usize {
        self.used_bytes.get()
    }

    /// How many bytes there are.
    #[must_use]
    #[inline]
    pub fn capacity_bytes(&self) -> usize {
        self.capacity_bytes
    }

    /// Takes all room back. Nothing that was built here is alive, says the
    /// borrow checker.
    ///
    /// # Errors
    /// [`ScopeError::Held`].
    #[inline]
    pub fn reset(&mut self) -> Result<(), ScopeError> {
        self.own_alone()?;
        self.used_bytes.set(self.header_bytes);
        self.publish_used();
        self.publish_settled();
        Ok(())
    }

    /// Puts another value in the place of the one at `at`.
    ///
    /// # Errors
    /// [`ScopeError::Held`], or [`ScopeError::OtherScope`] if `at` or the value
    /// points out of this scope.
    #[inline]
    pub fn set<'s, T: Shared + 's>(
        &'s self,
        at: &mut Ptr<'s, T>,
        value: T,
    ) -> Result<(), ScopeError> {
        self.own(at)?;
        self.own(&value)?;
        self.own_alone()?;
        let unsettled = self.unsettle();
        // A share that was taken in between.
        self.own_alone()?;
        // SAFETY: rule 3: the place is that of the one pointer to it, which is
        // borrowed mutably, and nobody else reads this memory.
        unsafe { at.put(value) };
        drop(unsettled);
        self.still_open()
    }

    /// Makes sure that who has a share in the keep from now on reads nothing here
    /// before this is dropped.
    fn unsettle(&self) -> Open<'_> {
        let before = self.open_from.replace(0);
        self.publish_settled();
        // SYNC: pairs with the fence in `Run::settled_bytes`: who took a share that
        // is not counted here finds nothing settled.
        fence(Ordering::SeqCst);
        Open {
            scope: self,
            before,
        }
    }

    /// Whether everything the value points to, itself not followed, lies here.
    #[doc(hidden)]
    #[must_use]
    pub fn holds<T: Shared>(&self, value: &T) -> bool {
        !T::POINTERS || value.lies_in(&self.bounds())
    }

    /// Calls that were given up and objects that are kept read the memory without
    /// the borrow checker knowing; each has a share in the keep.
    #[inline]
    fn own_alone(&self) -> Result<(), ScopeError> {
        self.still_open()?;
        if Arc::strong_count(&self.keep) == 1 {
            // SYNC: pairs with the release of the last other share: what it read
            // was read before.
            fence(Ordering::Acquire);
            Ok(())
        } else {
            Err(ScopeError::Held)
        }
    }

    /// The first byte.
    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Where the scope begins, as a number.
    #[doc(hidden)]
    #[must_use]
    pub fn address(&self) -> usize {
        self.base.as_ptr().addr()
    }

    /// A copy of what was written so far, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn bytes_used(&mut self) -> Vec<u8> {
        // SAFETY: rule 1; nothing built here is alive, so nobody writes.
        unsafe { slice::from_raw_parts(self.base.as_ptr(), self.used_bytes.get()) }.to_vec()
    }

    /// Overwrites all but the header with `byte`, for tests.
    #[doc(hidden)]
    pub fn prefill(&mut self, byte: u8) {
        // SAFETY: rule 1: the header lies within the capacity.
        let first = unsafe { self.base.add(self.header_bytes) };
        // SAFETY: rule 1; nothing built here is alive.
        unsafe { first.write_bytes(byte, self.capacity_bytes - self.header_bytes) };
    }

    #[inline]
    pub(super) fn bounds(&self) -> Bounds {
        Bounds {
            start: self.base.as_ptr().addr(),
            bytes: self.used_bytes.get(),
            asked: Cell::new(None),
        }
    }

    #[inline]
    fn own<T: Shared>(&self, value: &T) -> Result<(), ScopeError> {
        if T::POINTERS && !value.lies_in(&self.bounds()) {
            return Err(ScopeError::OtherScope {
                type_name: any::type_name::<T>(),
            });
        }
        Ok(())
    }

    /// Gives out room for `count` of `T`, with the bytes around it zeroed.
    #[inline]
    fn room_for<T>(&self, count: usize) -> Result<NonNull<T>, ScopeError> {
        const {
            assert!(
                align_of::<T>() <= PAGE_BYTES,
                "a type is aligned to more than a page"
            );
        }
        if size_of::<T>() == 0 {
            return Ok(NonNull::dangling());
        }
        self.still_open()?;
        let used = self.used_bytes.get();
        let align = const {
            if align_of::<T>() > GRAIN_BYTES {
                align_of::<T>()
            } else {
                GRAIN_BYTES
            }
        };
        let Some(bytes) = count.checked_mul(size_of::<T>()) else {
            return Err(self.full(usize::MAX));
        };
        // Neither sum overflows: a scope is shorter than half the address space.
        let start = used.next_multiple_of(align);
        if bytes > self.capacity_bytes.saturating_sub(start) {
            return Err(self.full(bytes));
        }
        let end = (start + bytes).next_multiple_of(GRAIN_BYTES);
        if end > self.capacity_bytes {
            return Err(self.full(bytes));
        }
        if align > GRAIN_BYTES {
            // SAFETY: rule 1: the gap lies within the capacity and belongs to nobody.
            let gap = unsafe { self.base.add(used) };
            // SAFETY: as above.
            unsafe { gap.write_bytes(0, start - used) };
        }
        if !bytes.is_multiple_of(GRAIN_BYTES) {
            // SAFETY: rule 1: the last grain lies within the room given out.
            let last = unsafe { self.base.add(end - GRAIN_BYTES) };
            // SAFETY: as above; every grain is aligned for a u64.
            unsafe { last.cast::<u64>().write(0) };
        }
        self.used_bytes.set(end);
        self.publish_used();
        // SAFETY: the start lies within the capacity.
        Ok(unsafe { self.base.add(start) }.cast())
    }

    #[cold]
    pub(super) fn full(&self, needed_bytes: usize) -> ScopeError {
        ScopeError::Full {
            needed_bytes,
            free_bytes: self.capacity_bytes - self.used_bytes.get(),
            capacity_bytes: self.capacity_bytes,
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("used_bytes", &self.used_bytes())
            .field("capacity_bytes", &self.capacity_bytes)
            .finish_non_exhaustive()
    }
}

/// Whether the pointers in `value`, not followed, lead into `bytes` from `start`.
#[doc(hidden)]
#[must_use]
pub fn points_into<T: Shared>(value: &T, start: usize, bytes: usize) -> bool {
    let bounds = Bounds {
        start,
        bytes,
        asked: Cell::new(None),
    };
    !T::POINTERS || value.lies_in(&bounds)
}

/// The address of the first thing that `value` points to, if it points to any.
#[doc(hidden)]
#[must_use]
pub fn first_address<T: Shared>(value: &T) -> Option<usize> {
    let nowhere = Bounds {
        start: 0,
        bytes: 0,
        asked: Cell::new(None),
    };
    // It stops at the first pointer, as nothing lies there.
    let points = T::POINTERS && !value.lies_in(&nowhere);
    nowhere.asked.get().filter(|_| points)
}

/// How many words the bytes of a `T` take in a message.
#[doc(hidden)]
#[must_use]
pub const fn root_words<T>() -> usize {
    size_of::<T>().div_ceil(size_of::<u64>())
}

/// Writes the bytes of `value` as they travel in a message, padding zeroed. They
/// own nothing: the scope of what `value` points to must outlive their use.
///
/// # Panics
/// If there are fewer than [`root_words`].
#[doc(hidden)]
#[inline]
pub fn write_root<T: Shared>(value: &T, words: &mut [u64]) {
    const {
        assert!(
            align_of::<T>() <= align_of::<u64>(),
            "a type aligned to more than 8 bytes does not travel by value: pass a Ptr to it"
        );
    }
    assert!(size_of_val(words) >= size_of::<T>(), "too few words");
    words.fill(0);
    // SAFETY: the words are zero, long enough and aligned.
    unsafe { value.write(words.as_mut_ptr().cast()) };
}

/// [`write_root`] for a value of at most 32 bytes.
///
/// # Panics
/// If it has more.
#[doc(hidden)]
#[must_use]
#[inline]
pub fn inline<T: Shared>(value: &T) -> [u64; 4] {
    let mut words = [0; 4];
    write_root(value, &mut words);
    words
}
