//! The check of what arrived, before anybody sees a reference to it.
use std::any::{self, Any};
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;

use super::Shared;
use super::flaw::{Flaw, Place, Refused};
use super::private::PrivateMemory;
use super::scope::{GRAIN_BYTES, PAGE_BYTES};

/// Bits in a word of the map of claimed grains.
const BITS: usize = u64::BITS as usize;

/// The scope that arrived with a message, as far as this process can read it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Region {
    /// The address at which its owner has it, to which its pointers refer.
    pub(crate) claimed: usize,
    /// Where it is readable here.
    pub(crate) here: NonNull<u8>,
    /// Its length.
    pub(crate) bytes: usize,
    /// It is a private copy: pointers are rewritten to lead to `here`.
    pub(crate) writable: bool,
}

/// Memory that checks need, kept from one to the next.
#[derive(Default)]
pub struct CheckBuffers {
    claimed: Vec<u64>,
    pending: Vec<Pending>,
}

impl fmt::Debug for CheckBuffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckBuffers").finish_non_exhaustive()
    }
}

/// Values that are claimed, and have yet to be checked.
struct Pending {
    offset: usize,
    count: usize,
    check: CheckMany,
}

type CheckMany = unsafe fn(&mut Checker<'_>, *mut u8, usize) -> Result<(), Refused>;

/// Walks what arrived, from pointer to pointer; see [`Shared::check`].
pub struct Checker<'b> {
    claimed: usize,
    here: *mut u8,
    bytes: usize,
    writable: bool,
    root: *const u8,
    grains: &'b mut [u64],
    pending: &'b mut Vec<Pending>,
    flaw: Option<Flaw>,
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
        if offset < self.bytes {
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
    #[inline]
    pub(super) unsafe fn follow<T: Shared>(
        &mut self,
        at: *mut *mut T,
        count: usize,
    ) -> Result<(), Refused> {
        // SAFETY: as the caller says.
        let Some(offset) = (unsafe { self.claim::<T>(at, count) })? else {
            if size_of::<T>() == 0 && count > 0 {
                // Without a size there is nothing to read, but there may be no
                // such value.
                // SAFETY: no bytes are needed, and the pointer is aligned.
                unsafe { T::check(self, NonNull::dangling().as_ptr()) }?;
            }
            return Ok(());
        };
        if T::POINTERS {
            self.pending.push(Pending {
                offset,
                count,
                check: check_many::<T>,
            });
            return Ok(());
        }
        if !T::PLAIN {
            // SAFETY: the claim says that the offset is within the region.
            let target = unsafe { self.here.add(offset) };
            // SAFETY: so many were just claimed there.
            unsafe { check_many::<T>(self, target, count) }?;
        }
        Ok(())
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
        // SAFETY: as the caller says.
        let Some(offset) = (unsafe { self.claim::<u8>(at, len) })? else {
            return Ok(());
        };
        // SAFETY: the claim says that the offset is within the region.
        let target = unsafe { self.here.add(offset) };
        // SAFETY: rule 6, and so many were just claimed there.
        let text = unsafe { slice::from_raw_parts(target, len) };
        if is_short_ascii(text) {
            return Ok(());
        }
        match str::from_utf8(text) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.refuse(Flaw::Utf8 {
                place: Place::Scope(offset),
                valid_bytes: error.valid_up_to(),
            })),
        }
    }

    /// Claims memory, and returns where in the region it begins, or `None` if
    /// there is nothing to read.
    ///
    /// # Safety
    /// As for `follow`.
    #[inline]
    unsafe fn claim<T>(&mut self, at: *mut *mut T, count: usize) -> Result<Option<usize>, Refused> {
        const {
            assert!(
                align_of::<T>() <= PAGE_BYTES,
                "a type is aligned to more than a page"
            );
        }
        // SAFETY: as the caller says; a pointer is read as the number it is.
        let address = unsafe { at.cast::<usize>().read() };
        let Some(bytes) = count.checked_mul(size_of::<T>()) else {
            return Err(self.too_long(at, count));
        };
        if bytes == 0 {
            if address == 0 || !address.is_multiple_of(align_of::<T>()) {
                return Err(self.bad_pointer(at, address, bytes));
            }
            return Ok(None);
        }
        if bytes > self.bytes {
            return Err(if count == 1 {
                self.bad_pointer(at, address, bytes)
            } else {
                self.too_long(at, count)
            });
        }
        let offset = address.wrapping_sub(self.claimed);
        if offset > self.bytes - bytes
            || !offset.is_multiple_of(GRAIN_BYTES)
            || !offset.is_multiple_of(align_of::<T>())
            || !self.take_grains(offset, bytes)
        {
            return Err(self.bad_pointer(at, address, bytes));
        }
        if self.writable {
            // SAFETY: the offset is within the region.
            let target = unsafe { self.here.add(offset) };
            // SAFETY: as the caller says, `at` is writable if the region is.
            unsafe { at.write(target.cast()) };
        }
        Ok(Some(offset))
    }

    /// Marks the grains of `bytes` bytes, at least one, at `offset`; false if
    /// one of them was marked before.
    #[inline]
    fn take_grains(&mut self, offset: usize, bytes: usize) -> bool {
        let first = offset / GRAIN_BYTES;
        let count = bytes.div_ceil(GRAIN_BYTES);
        let bit = first % BITS;
        if bit + count > BITS {
            return self.take_many_grains(first, count);
        }
        let mask = (u64::MAX >> (BITS - count)) << bit;
        let word = &mut self.grains[first / BITS];
        let free = *word & mask == 0;
        *word |= mask;
        free
    }

    fn take_many_grains(&mut self, first: usize, count: usize) -> bool {
        let end = first + count;
        let (first_word, last_word) = (first / BITS, (end - 1) / BITS);
        let first_mask = u64::MAX << (first % BITS);
        let last_mask = u64::MAX >> (BITS - 1 - (end - 1) % BITS);
        let words = &mut self.grains[first_word..=last_word];
        let [head, inner @ .., tail] = words else {
            return false;
        };
        let mut taken = (*head & first_mask) | (*tail & last_mask);
        *head |= first_mask;
        *tail |= last_mask;
        for word in inner {
            taken |= *word;
            *word = u64::MAX;
        }
        taken == 0
    }

    #[cold]
    fn too_long<T>(&mut self, at: *const *mut T, count: usize) -> Refused {
        let flaw = Flaw::TooLong {
            type_name: any::type_name::<T>(),
            place: self.place(at),
            count,
            scope_bytes: self.bytes,
        };
        self.refuse(flaw)
    }

    /// Says what is wrong with a pointer; the last that can be is an overlap.
    #[cold]
    fn bad_pointer<T>(&mut self, at: *const *mut T, address: usize, bytes: usize) -> Refused {
        let type_name = any::type_name::<T>();
        let place = self.place(at);
        let offset = address.wrapping_sub(self.claimed);
        let align = if bytes == 0 {
            align_of::<T>()
        } else {
            align_of::<T>().max(GRAIN_BYTES)
        };
        let flaw = if address == 0 {
            Flaw::Null { type_name, place }
        } else if bytes > 0 && (bytes > self.bytes || offset > self.bytes - bytes) {
            Flaw::Outside {
                type_name,
                place,
                address,
                bytes,
            }
        } else if bytes == 0 || !offset.is_multiple_of(align) {
            Flaw::Unaligned {
                type_name,
                place,
                address,
                align,
            }
        } else {
            Flaw::Overlap {
                type_name,
                place,
                address,
                bytes,
            }
        };
        self.refuse(flaw)
    }

    /// Checks all that is pending. Each entry is a claim of its own, and no
    /// grain is claimed twice, so the region bounds the work.
    fn finish(&mut self) -> Result<(), Refused> {
        while let Some(next) = self.pending.pop() {
            // SAFETY: the offset was claimed, so it is within the region.
            let target = unsafe { self.here.add(next.offset) };
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

/// Whether the text is short, as most names and values are, and ASCII.
#[inline]
fn is_short_ascii(text: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    if text.len() > 32 {
        return false;
    }
    let Some(last) = text.last_chunk::<8>() else {
        return text.iter().fold(0, |all, byte| all | byte) < 0x80;
    };
    let (words, _) = text.as_chunks::<8>();
    let all = words.iter().fold(u64::from_ne_bytes(*last), |all, word| {
        all | u64::from_ne_bytes(*word)
    });
    all & HIGH == 0
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
    });
    debug_assert!(
        region.writable || region.bytes == 0 || region.here.as_ptr().addr() == region.claimed
    );
    buffers.pending.clear();
    if T::POINTERS {
        buffers.claimed.clear();
        let grains = region.bytes.div_ceil(GRAIN_BYTES);
        buffers.claimed.resize(grains.div_ceil(BITS), 0);
    }
    let mut checker = Checker {
        claimed: region.claimed,
        here: region.here.as_ptr(),
        bytes: region.bytes,
        writable: region.writable,
        root: at.cast(),
        grains: &mut buffers.claimed,
        pending: &mut buffers.pending,
        flaw: None,
    };
    // SAFETY: the value is initialised as bytes and aligned, and ours to write.
    let checked = unsafe { T::check(&mut checker, at) };
    match checked.and_then(|()| checker.finish()) {
        Ok(()) => Ok(root),
        Err(Refused(())) => Err(checker.flaw.expect("who refuses gives the reason")),
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

/// Data that was checked, and what keeps it where it is.
pub struct Checked<T> {
    root: Root<T>,
    keep: Option<Arc<dyn Any + Send + Sync>>,
}

impl<T: Shared> Checked<T> {
    /// # Safety
    /// The region `root` was checked with stays as it is while `keep` lives.
    pub(crate) unsafe fn new(root: Root<T>, keep: Option<Arc<dyn Any + Send + Sync>>) -> Self {
        Self { root, keep }
    }

    /// The data, for as long as it is borrowed from here.
    #[must_use]
    #[inline]
    pub fn get(&self) -> &T::At<'_> {
        // SAFETY: what the value points to is kept.
        unsafe { self.root.get() }
    }

    /// What keeps the data, if it needs anything.
    #[doc(hidden)]
    #[must_use]
    pub fn keep(&self) -> Option<&Arc<dyn Any + Send + Sync>> {
        self.keep.as_ref()
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
        bytes: bytes.len(),
        writable: true,
    };
    // SAFETY: the memory is new and private, and page-aligned.
    let root = unsafe { check::<T>(&inline, Some(region), &mut CheckBuffers::default()) }?;
    // SAFETY: nobody else knows the memory.
    Ok(unsafe { Checked::new(root, Some(Arc::new(memory))) })
}
