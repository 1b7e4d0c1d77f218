//! The check of what arrived, before anybody sees a reference to it.
use std::any;
use std::fmt;
use std::mem::{self, MaybeUninit};
use std::ptr::{self, NonNull};
use std::slice;

use super::Shared;
use super::flaw::{Flaw, Place, Refused};
use super::private::PrivateMemory;
use super::scope::{GRAIN_BYTES, PAGE_BYTES, Scope, ScopeError};

/// Bits in a word of the map of claimed grains.
const BITS: usize = u64::BITS as usize;

/// The scope that arrived with a message, as far as this process can read it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Region {
    /// The address at which its owner has it, to which its pointers refer.
    pub(crate) claimed: usize,
    /// Where it is readable here.
    pub(crate) here: NonNull<u8>,
    /// Its length. What is beyond a multiple of 8, or 32 GiB, is no part of it.
    pub(crate) bytes: usize,
    /// It is a private copy: pointers are rewritten to lead to `here`.
    pub(crate) writable: bool,
    /// The first bytes, of which nothing is read: no pointer may lead there. Fewer
    /// than 512.
    pub(crate) header_bytes: usize,
}

/// How many pointers may lead one from the other, if nobody says otherwise.
const MOST_DEPTH: u32 = 1024;

/// Room made for pending values from the start.
const FEW_PENDING: usize = 64;

/// Entries of each buffer kept from one check to the next: enough for a scope of
/// 8 MiB.
const MOST_KEPT: usize = (8 << 20) / (GRAIN_BYTES * BITS);

/// Memory that checks need, kept from one to the next.
pub struct CheckBuffers {
    taken: Vec<u64>,
    pending: Vec<Pending>,
    most_depth: u32,
}

impl Default for CheckBuffers {
    fn default() -> Self {
        Self::with_depth(MOST_DEPTH)
    }
}

impl fmt::Debug for CheckBuffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckBuffers").finish_non_exhaustive()
    }
}

impl CheckBuffers {
    /// For checks that refuse data in which more than `most_depth` pointers lead
    /// one from the other; text, and what itself holds no pointers, does not
    /// count. By default 1024: with much more, a handler that calls itself for
    /// each level may run out of stack; with less, some honest data is refused.
    #[must_use]
    pub fn with_depth(most_depth: u32) -> Self {
        Self {
            taken: Vec::new(),
            pending: Vec::new(),
            most_depth,
        }
    }

    /// Keeps the memory for the next check, unless it is much.
    #[inline]
    fn keep(&mut self, pending: Vec<Pending>) {
        self.pending = pending;
        if self.taken.capacity() > MOST_KEPT || self.pending.capacity() > MOST_KEPT {
            *self = Self::with_depth(self.most_depth);
        }
    }
}

/// Values that are claimed, and have yet to be checked.
struct Pending {
    check: CheckMany,
    count: usize,
    grain: u32,
    /// How many pointers lead there.
    depth: u32,
}

type CheckMany = unsafe fn(&mut Checker<'_>, *mut u8, usize) -> Result<(), Refused>;

/// Walks what arrived, from pointer to pointer; see [`Shared::check`].
pub struct Checker<'b> {
    claimed: usize,
    here: *mut u8,
    grains: usize,
    writable: bool,
    root: *const u8,
    taken: &'b mut [u64],
    pending: Vec<Pending>,
    /// How many pointers lead to what is being checked.
    depth: u32,
    most_depth: u32,
    flaw: Option<Flaw>,
    copying: Option<Copying<'b>>,
}

/// Where what pointers lead to is copied to, if it is no region that is checked.
struct Copying<'b> {
    scope: &'b Scope,
    failed: Option<ScopeError>,
}

impl fmt::Debug for Checker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checker").finish_non_exhaustive()
    }
}

impl Checker<'_> {
    /// Refuses an enum of type `T` at `at`, that has no variant `found`.
    #[cold]
    pub fn no_variant<T>(&mut self, at: *const T, found: u8) -> Refused {
        let place = self.place(at);
        self.refuse(Flaw::Variant {
            type_name: any::type_name::<T>(),
            place,
            found,
        })
    }

    #[cold]
    pub(super) fn refuse(&mut self, flaw: Flaw) -> Refused {
        self.flaw.get_or_insert(flaw);
        Refused(())
    }

    /// Where `at` is, for a message.
    pub(super) fn place<T>(&self, at: *const T) -> Place {
        let offset = at.addr().wrapping_sub(self.here.addr());
        if offset < self.grains * GRAIN_BYTES {
            Place::Scope(offset)
        } else {
            Place::Inline(at.addr().wrapping_sub(self.root.addr()))
        }
    }

    /// Claims the `count` values of type `T` that the pointer at `at` leads to,
    /// and checks them, now or later.
    ///
    /// # Safety
    /// At `at` stands a pointer, of which anything may be wrong; otherwise as
    /// for [`Shared::check`].
    #[inline(always)]
    pub(super) unsafe fn follow<T: Shared>(
        &mut self,
        at: *mut *mut T,
        count: usize,
    ) -> Result<(), Refused> {
        const {
            assert!(
                align_of::<T>() <= PAGE_BYTES,
                "a type is aligned to more than a page"
            );
        }
        // SAFETY: as the caller says; a pointer is read as the number it is.
        let address = unsafe { at.cast::<usize>().read() };
        let is_small = size_of::<T>() > 0
            && count.wrapping_sub(1) < BITS * GRAIN_BYTES / size_of::<T>().max(1)
            && (!T::POINTERS || self.pending.len() < self.pending.capacity());
        if is_small
            && let grains = (count * size_of::<T>()).div_ceil(GRAIN_BYTES)
            && let Some(grain) = self.claim_few(address, grains, align_of::<T>())
        {
            // SAFETY: as the caller says, and so many were just claimed.
            return unsafe { self.accept(at, grain, count) };
        }
        if count == 0 && address != 0 && address.is_multiple_of(align_of::<T>()) {
            return Ok(());
        }
        // SAFETY: as the caller says.
        unsafe { self.follow_with_care(at, address, count) }
    }

    /// [`follow`](Self::follow), whatever the sizes, and whatever is wrong.
    ///
    /// # Safety
    /// As for `follow`, where `address` was read.
    #[inline(never)]
    unsafe fn follow_with_care<T: Shared>(
        &mut self,
        at: *mut *mut T,
        address: usize,
        count: usize,
    ) -> Result<(), Refused> {
        if size_of::<T>() == 0 || count == 0 {
            return self.follow_to_nothing(at, address, count);
        }
        if self.copying.is_some() {
            // SAFETY: as the caller says.
            return unsafe { self.fetch(at, count) };
        }
        match self.claim_any(address, count.checked_mul(size_of::<T>()), align_of::<T>()) {
            // SAFETY: as the caller says, and so many were just claimed.
            Some(grain) => unsafe { self.accept(at, grain, count) },
            None => Err(self.bad_pointer(at, address, count)),
        }
    }

    /// Lets the pointer at `at` lead to the `count` values at `grain`, and checks
    /// them, now or later.
    ///
    /// # Safety
    /// As for `follow`, and the values are claimed.
    #[inline(always)]
    unsafe fn accept<T: Shared>(
        &mut self,
        at: *mut *mut T,
        grain: usize,
        count: usize,
    ) -> Result<(), Refused> {
        // SAFETY: as the caller says.
        let target = unsafe { self.redirect(at, grain) };
        if T::POINTERS {
            self.pending.push(Pending {
                check: check_many::<T>,
                count,
                // A region has no more grains.
                grain: grain as u32,
                depth: self.depth + 1,
            });
        } else if !T::PLAIN {
            // SAFETY: as the caller says, so many are claimed there.
            unsafe { check_many::<T>(self, target.cast(), count) }?;
        }
        Ok(())
    }

    /// Lets the pointer at `at` lead to a claimed grain, and returns where that is.
    ///
    /// # Safety
    /// As for `follow`, and the grain is claimed.
    #[inline(always)]
    unsafe fn redirect<T>(&mut self, at: *mut *mut T, grain: usize) -> *mut T {
        // SAFETY: what is claimed is in the region.
        let target = unsafe { self.here.add(grain * GRAIN_BYTES) }.cast();
        if self.writable {
            // SAFETY: as the caller says, `at` is writable if the region is.
            unsafe { at.write(target) };
        }
        target
    }

    /// Claims the `len` bytes that the pointer at `at` leads to, and checks that
    /// they are text.
    ///
    /// # Safety
    /// As for `follow`.
    #[inline]
    pub(super) unsafe fn follow_text(
        &mut self,
        at: *mut *mut u8,
        len: usize,
    ) -> Result<(), Refused> {
        // SAFETY: as the caller says; a pointer is read as the number it is.
        let address = unsafe { at.cast::<usize>().read() };
        if len.wrapping_sub(1) < BITS
            && let grains = len.div_ceil(GRAIN_BYTES)
            && let Some(grain) = self.claim_few(address, grains, 1)
        {
            // SAFETY: as the caller says, and so much was just claimed.
            let target = unsafe { self.redirect(at, grain) };
            // SAFETY: so much was just claimed.
            if unsafe { is_ascii(target.cast(), len) } {
                return Ok(());
            }
            // SAFETY: as above.
            return unsafe { self.check_text(target, len) };
        }
        // SAFETY: as the caller says.
        unsafe { self.follow_text_with_care(at, address, len) }
    }

    /// [`follow_text`](Self::follow_text), however long, and whatever is wrong.
    ///
    /// # Safety
    /// As for `follow`, where `address` was read.
    #[inline(never)]
    unsafe fn follow_text_with_care(
        &mut self,
        at: *mut *mut u8,
        address: usize,
        len: usize,
    ) -> Result<(), Refused> {
        if len == 0 {
            return self.follow_to_nothing(at, address, 0);
        }
        if self.copying.is_some() {
            // SAFETY: as the caller says; text is made of bytes.
            return unsafe { self.fetch(at, len) };
        }
        let Some(grain) = self.claim_any(address, Some(len), 1) else {
            return Err(self.bad_pointer(at, address, len));
        };
        // SAFETY: as the caller says, and so much was just claimed.
        let target = unsafe { self.redirect(at, grain) };
        // SAFETY: so much was just claimed.
        unsafe { self.check_text(target, len) }
    }

    /// # Safety
    /// So many bytes are claimed there.
    #[inline(never)]
    unsafe fn check_text(&mut self, target: *const u8, len: usize) -> Result<(), Refused> {
        // SAFETY: as the caller says.
        let text = unsafe { slice::from_raw_parts(target, len) };
        match str::from_utf8(text) {
            Ok(_) => Ok(()),
            Err(error) => {
                let place = self.place(target);
                let valid_bytes = error.valid_up_to();
                Err(self.refuse(Flaw::Utf8 { place, valid_bytes }))
            }
        }
    }

    /// Copies the `count` values that the pointer at `at` leads to into the scope,
    /// and lets it lead to the copies; what these point to follows later.
    ///
    /// # Safety
    /// At `at`, in a copy made before, stands a pointer of a good value to so many
    /// of `T`, at least one.
    #[cold]
    unsafe fn fetch<T: Shared>(&mut self, at: *mut *mut T, count: usize) -> Result<(), Refused> {
        let Some(copying) = &mut self.copying else {
            return Err(Refused(()));
        };
        // SAFETY: as the caller says.
        let from = unsafe { at.read() };
        // SAFETY: as the caller says.
        let place = match unsafe { copying.scope.copy_shallow(from, count) } {
            Ok(place) => place,
            Err(error) => {
                copying.failed = Some(error);
                return Err(Refused(()));
            }
        };
        // SAFETY: as the caller says, it is in a copy, which is ours to write.
        unsafe { at.write(place.as_ptr()) };
        if T::POINTERS {
            let offset = place.as_ptr().addr() - self.here.addr();
            self.pending.push(Pending {
                check: check_many::<T>,
                count,
                grain: (offset / GRAIN_BYTES) as u32,
                depth: self.depth + 1,
            });
        }
        Ok(())
    }

    /// Checks a pointer to no bytes: nothing is read there, but a reference must
    /// not be null nor crooked.
    #[inline]
    fn follow_to_nothing<T: Shared>(
        &mut self,
        at: *const *mut T,
        address: usize,
        count: usize,
    ) -> Result<(), Refused> {
        if address == 0 || !address.is_multiple_of(align_of::<T>()) {
            return Err(self.bad_pointer(at, address, count));
        }
        if count > 0 {
            // Of a type without size there may yet be no value.
            // SAFETY: no bytes are needed, and the pointer is aligned.
            unsafe { T::check(self, NonNull::dangling().as_ptr()) }?;
        }
        Ok(())
    }

    /// Claims so many grains, at least one, from an address of the owner's on;
    /// returns the first, or `None` if that is not so simple.
    #[inline(always)]
    fn claim_few(&mut self, address: usize, grains: usize, align: usize) -> Option<usize> {
        let grain = self.grain_of(address);
        let bit = grain % BITS;
        if grain >= self.grains
            || bit + grains > BITS
            || (align > GRAIN_BYTES && !grain.is_multiple_of(align / GRAIN_BYTES))
        {
            return None;
        }
        let mask = (u64::MAX >> (BITS - grains)) << bit;
        // SAFETY: the map has a bit for each grain of the region.
        let word = unsafe { self.taken.get_unchecked_mut(grain / BITS) };
        // What is beyond the region counts as taken.
        if *word & mask != 0 {
            return None;
        }
        *word |= mask;
        Some(grain)
    }

    /// Claims so many bytes, at least one, from an address of the owner's on;
    /// returns the first grain, or `None` if they cannot be claimed.
    fn claim_any(&mut self, address: usize, bytes: Option<usize>, align: usize) -> Option<usize> {
        let grains = bytes?.div_ceil(GRAIN_BYTES);
        let grain = self.grain_of(address);
        if grains > self.grains
            || grain > self.grains - grains
            || !(grain * GRAIN_BYTES).is_multiple_of(align)
        {
            return None;
        }
        let last = grain + grains - 1;
        let words = &mut self.taken[grain / BITS..=last / BITS];
        let end = words.len() - 1;
        let mut free = true;
        for (index, word) in words.iter_mut().enumerate() {
            let mut mask = u64::MAX;
            if index == 0 {
                mask &= u64::MAX << (grain % BITS);
            }
            if index == end {
                mask &= u64::MAX >> (BITS - 1 - last % BITS);
            }
            free &= *word & mask == 0;
            *word |= mask;
        }
        free.then_some(grain)
    }

    /// The grain at an address of the owner's; a crooked one is a grain beyond
    /// every region, as is one outside.
    #[inline(always)]
    fn grain_of(&self, address: usize) -> usize {
        address
            .wrapping_sub(self.claimed)
            .rotate_right(GRAIN_BYTES.trailing_zeros())
    }

    /// Says what is wrong with a pointer to `count` of `T`.
    #[cold]
    #[inline(never)]
    fn bad_pointer<T>(&mut self, at: *const *mut T, address: usize, count: usize) -> Refused {
        let type_name = any::type_name::<T>();
        let place = self.place(at);
        let scope_bytes = self.grains * GRAIN_BYTES;
        let offset = address.wrapping_sub(self.claimed);
        let bytes = count.checked_mul(size_of::<T>());
        let align = match bytes {
            Some(0) => align_of::<T>(),
            _ => align_of::<T>().max(GRAIN_BYTES),
        };
        let flaw = match bytes {
            _ if address == 0 => Flaw::Null { type_name, place },
            None => Flaw::TooLong {
                type_name,
                place,
                count,
                scope_bytes,
            },
            Some(bytes) if bytes > scope_bytes && count > 1 => Flaw::TooLong {
                type_name,
                place,
                count,
                scope_bytes,
            },
            Some(bytes) if bytes > 0 && offset > scope_bytes.saturating_sub(bytes) => {
                Flaw::Outside {
                    type_name,
                    place,
                    address,
                    bytes,
                }
            }
            Some(bytes) if bytes == 0 || !offset.is_multiple_of(align) => Flaw::Unaligned {
                type_name,
                place,
                address,
                align,
            },
            Some(bytes) if bytes > scope_bytes => Flaw::Outside {
                type_name,
                place,
                address,
                bytes,
            },
            // Nothing else can be wrong.
            Some(bytes) => Flaw::Overlap {
                type_name,
                place,
                address,
                bytes,
            },
        };
        self.refuse(flaw)
    }

    /// Checks all that is pending. Each entry is a claim of its own, and no
    /// grain is claimed twice, so the region bounds the work.
    fn finish(&mut self) -> Result<(), Refused> {
        while let Some(next) = self.pending.pop() {
            let offset = next.grain as usize * GRAIN_BYTES;
            self.depth = next.depth;
            if self.depth > self.most_depth {
                return Err(self.refuse(Flaw::TooDeep {
                    place: Place::Scope(offset),
                    limit: self.most_depth,
                }));
            }
            // SAFETY: the grain was claimed, so it is in the region.
            let target = unsafe { self.here.add(offset) };
            // SAFETY: so many of this type were claimed there.
            unsafe { (next.check)(self, target, next.count) }?;
        }
        Ok(())
    }
}

/// # Safety
/// At `at`, so many of `T` are claimed; otherwise as for [`Shared::check`].
unsafe fn check_many<T: Shared>(
    checker: &mut Checker<'_>,
    at: *mut u8,
    count: usize,
) -> Result<(), Refused> {
    let first = at.cast::<T>();
    for index in 0..count {
        // SAFETY: so many are claimed.
        let item = unsafe { first.add(index) };
        // SAFETY: as the caller says.
        unsafe { T::check(checker, item) }?;
    }
    Ok(())
}

/// Whether `len` bytes of text, at least one, are ASCII.
///
/// # Safety
/// All words of which the text has a byte are readable.
#[inline]
unsafe fn is_ascii(text: *const u64, len: usize) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut left = (len - 1) / size_of::<u64>();
    // SAFETY: as the caller says.
    let last = unsafe { text.add(left) };
    // SAFETY: as the caller says.
    let last = u64::from_le(unsafe { last.read() });
    // What follows the text in its last word is not text.
    if (last << (len.wrapping_neg() % size_of::<u64>() * 8)) & HIGH != 0 {
        return false;
    }
    while left > 0 {
        left -= 1;
        // SAFETY: as the caller says.
        let word = unsafe { text.add(left) };
        // SAFETY: as the caller says.
        if unsafe { word.read() } & HIGH != 0 {
            return false;
        }
    }
    true
}

/// A checked value that may point into memory somebody else keeps.
pub(crate) struct Root<T> {
    value: MaybeUninit<T>,
}

impl<T: Shared> Root<T> {
    /// The value.
    ///
    /// # Safety
    /// The region it was checked with is still where it was, unchanged.
    #[inline]
    pub(crate) unsafe fn get(&self) -> &T::At<'_> {
        // SAFETY: the value was checked, and is of the same type but for lifetimes.
        unsafe { &*self.value.as_ptr().cast() }
    }
}

/// Checks that `words` begin with a `T`, and everything it points to lies in `region`
/// and is what it should be.
///
/// # Errors
/// What was wrong first.
///
/// # Panics
/// If there are too few words for a `T`: see [`root_words`](super::root_words).
///
/// # Safety
/// The region is page-aligned and readable for all its bytes, which do not
/// change during the check; if it is not a private copy, it is mapped at the
/// address claimed, and if it is, it is the caller's to write.
#[inline]
pub(crate) unsafe fn check<T: Shared>(
    words: &[u64],
    region: Option<Region>,
    buffers: &mut CheckBuffers,
) -> Result<Root<T>, Flaw> {
    assert!(
        size_of_val(words) >= size_of::<T>(),
        "words of another type"
    );
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the value is as large and ours, and the words are long enough.
    unsafe {
        ptr::copy_nonoverlapping(
            words.as_ptr().cast::<u8>(),
            value.as_mut_ptr().cast(),
            size_of::<T>(),
        );
    }
    let mut root = Root { value };
    if T::PLAIN {
        return Ok(root);
    }
    let at = root.value.as_mut_ptr();
    let region = region.unwrap_or(Region {
        claimed: 0,
        here: NonNull::dangling(),
        bytes: 0,
        writable: false,
        header_bytes: 0,
    });
    debug_assert!(
        region.writable || region.bytes == 0 || region.here.as_ptr().addr() == region.claimed
    );
    let grains = (region.bytes / GRAIN_BYTES).min(u32::MAX as usize);
    buffers.pending.clear();
    if T::POINTERS {
        buffers.taken.clear();
        buffers.taken.resize(grains.div_ceil(BITS), 0);
        // What is beyond the region cannot be claimed.
        if let Some(last) = buffers.taken.last_mut()
            && !grains.is_multiple_of(BITS)
        {
            *last = u64::MAX << (grains % BITS);
        }
        // Nor can the header.
        if region.header_bytes > 0
            && let Some(first) = buffers.taken.first_mut()
        {
            *first |= (1 << region.header_bytes.div_ceil(GRAIN_BYTES)) - 1;
        }
        buffers.pending.reserve(FEW_PENDING);
    }
    let mut checker = Checker {
        claimed: region.claimed,
        here: region.here.as_ptr(),
        grains,
        writable: region.writable,
        root: at.cast(),
        taken: &mut buffers.taken,
        pending: mem::take(&mut buffers.pending),
        depth: 0,
        most_depth: buffers.most_depth,
        flaw: None,
        copying: None,
    };
    // SAFETY: the value is initialised as bytes and aligned, and ours to write.
    let checked = unsafe { T::check(&mut checker, at) };
    let checked = checked.and_then(|()| checker.finish());
    let (pending, flaw) = (checker.pending, checker.flaw);
    buffers.keep(pending);
    match checked {
        Ok(()) => Ok(root),
        Err(Refused(())) => Err(flaw.expect("who refuses gives the reason")),
    }
}

/// Copies `value` and everything it points to into `scope`, and says where it is.
/// The work is that of its check: what would be claimed is copied.
///
/// # Errors
/// If the scope has no room; what it gave out before is lost.
pub(super) fn copy<T: Shared>(value: &T, scope: &Scope) -> Result<NonNull<T>, ScopeError> {
    // SAFETY: there is one.
    let place = unsafe { scope.copy_shallow(ptr::from_ref(value), 1) }?;
    if !T::POINTERS {
        return Ok(place);
    }
    let mut checker = Checker {
        claimed: 0,
        here: scope.base().as_ptr(),
        // So that nothing can be claimed.
        grains: 0,
        writable: true,
        root: place.as_ptr().cast(),
        taken: &mut [],
        pending: Vec::with_capacity(FEW_PENDING),
        depth: 0,
        // It is a tree already, of whatever depth.
        most_depth: u32::MAX,
        flaw: None,
        copying: Some(Copying {
            scope,
            failed: None,
        }),
    };
    // SAFETY: it is a good value, aligned, and ours to write; its pointers, which
    // were copied with it, lead to good values for as long as it is borrowed.
    let copied = unsafe { T::check(&mut checker, place.as_ptr()) };
    let copied = copied.and_then(|()| checker.finish());
    match (copied, checker.copying.and_then(|copying| copying.failed)) {
        (Ok(()), _) => Ok(place),
        (Err(Refused(())), Some(error)) => Err(error),
        (Err(Refused(())), None) => unreachable!("a good value has no flaw"),
    }
}

/// The `T` with which `words` begin, which points to nothing.
///
/// # Errors
/// If it is no `T`.
///
/// # Panics
/// If there are too few words for a `T`: see [`root_words`](super::root_words).
#[doc(hidden)]
pub fn plain_root<T: Shared>(words: &[u64]) -> Result<T, Flaw> {
    const { assert!(!T::POINTERS, "the type points to something") }
    // SAFETY: there is no region.
    let root = unsafe { check::<T>(words, None, &mut CheckBuffers::default()) }?;
    // SAFETY: it was checked to be a T, and points to nothing.
    Ok(unsafe { root.value.assume_init() })
}

/// Data that was checked, in memory of its own.
pub struct Checked<T> {
    root: Root<T>,
    #[expect(dead_code, reason = "kept for its bytes")]
    memory: PrivateMemory,
}

impl<T: Shared> Checked<T> {
    /// The data, for as long as it is borrowed from here.
    #[must_use]
    #[inline]
    pub fn get(&self) -> &T::At<'_> {
        // SAFETY: the memory is kept, and nobody writes to it.
        unsafe { self.root.get() }
    }
}

impl<T: Shared> fmt::Debug for Checked<T>
where
    for<'a> T::At<'a>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// Copies `bytes`, which lie at `claimed_base` where they come from, and checks
/// that they hold what the `T` in `inline` points to.
///
/// # Errors
/// What was wrong first.
///
/// # Panics
/// If there can be no so much memory.
#[doc(hidden)]
pub fn check_copy<T: Shared>(
    bytes: &[u8],
    claimed_base: usize,
    inline: [u64; 4],
) -> Result<Checked<T>, Flaw> {
    let memory = PrivateMemory::new(bytes.len());
    // SAFETY: the memory is new, and at least as long.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), memory.base().as_ptr(), bytes.len()) };
    let region = Region {
        claimed: claimed_base,
        here: memory.base(),
        bytes: bytes.len().next_multiple_of(GRAIN_BYTES),
        writable: true,
        header_bytes: 0,
    };
    // SAFETY: the memory is new and private, and page-aligned.
    let root = unsafe { check::<T>(&inline, Some(region), &mut CheckBuffers::default()) }?;
    Ok(Checked { root, memory })
}
