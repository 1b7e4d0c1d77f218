//! What points: `Ptr`, `Slice`, `Str`.
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::mem::{MaybeUninit, offset_of};
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::slice;

use super::check::Checker;
use super::flaw::Refused;
use super::layout::Schema;
use super::niche::Niches;
use super::{Bounds, Shared};

/// The one pointer to a `T` in a scope: what `Box` is elsewhere.
///
/// It is made by [`Scope::build`](super::Scope::build), and is `None` in an
/// `Option` at no cost.
#[repr(transparent)]
pub struct Ptr<'s, T> {
    address: NonNull<T>,
    owned: PhantomData<(&'s (), T)>,
}

// SAFETY: rule 3: a pointer is the only one to its value, as a box is.
unsafe impl<T: Send> Send for Ptr<'_, T> {}
// SAFETY: rule 3.
unsafe impl<T: Sync> Sync for Ptr<'_, T> {}

impl<T> Ptr<'_, T> {
    /// # Safety
    /// `address` is that of a value nobody else points to, valid for `'s`, or
    /// of a type without size.
    #[inline]
    pub(super) unsafe fn new(address: NonNull<T>) -> Self {
        Self {
            address,
            owned: PhantomData,
        }
    }

    /// Where the value lies, as a number.
    #[doc(hidden)]
    #[must_use]
    pub fn address(this: &Self) -> usize {
        this.address.as_ptr().addr()
    }
}

impl<'s, T> Ptr<'s, T> {
    /// Lends the value for a call.
    #[must_use]
    #[inline]
    pub fn lend(&self) -> Lent<'_, T> {
        Lent {
            address: self.address,
            lent: PhantomData,
        }
    }

    /// Gives the value away in a call: nothing changes it any more.
    #[must_use]
    #[inline]
    pub fn give(self) -> Lent<'s, T> {
        Lent {
            address: self.address,
            lent: PhantomData,
        }
    }
}

impl<T: Shared> Ptr<'_, T> {
    /// Puts another value in the place of the present one.
    ///
    /// # Safety
    /// Nobody but the holder of this pointer reads the place.
    #[inline]
    pub(super) unsafe fn put(&mut self, value: T) {
        // SAFETY: rule 3: the place is ours alone, and holds a T.
        unsafe { super::put(value, self.address.as_ptr()) };
    }
}

/// A value that somebody else owns, lent in a call: as an argument one that a
/// [`Ptr`] owns, in a reply one that the server keeps. It is what a `Ptr` is, but
/// nothing can be changed through it.
#[repr(transparent)]
pub struct Lent<'s, T> {
    address: NonNull<T>,
    lent: PhantomData<(&'s (), T)>,
}

impl<T> Lent<'_, T> {
    /// # Safety
    /// `address` is that of a value that is there for `'s` and does not change.
    #[inline]
    pub(crate) unsafe fn new(address: NonNull<T>) -> Self {
        Self {
            address,
            lent: PhantomData,
        }
    }

    /// Where the value lies, as a number.
    #[doc(hidden)]
    #[must_use]
    pub fn address(this: &Self) -> usize {
        this.address.as_ptr().addr()
    }
}

// SAFETY: it is a shared reference.
unsafe impl<T: Sync> Send for Lent<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Lent<'_, T> {}

impl<T> Deref for Lent<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the owner is borrowed for as long as this lives.
        unsafe { self.address.as_ref() }
    }
}

impl<T: fmt::Debug> fmt::Debug for Lent<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

// SAFETY: one pointer, checked to lie in the scope and to be the only one there.
unsafe impl<T: Shared> Shared for Lent<'_, T> {
    type At<'a> = Lent<'a, T::At<'a>>;

    const DENSE: bool = true;
    const PLAIN: bool = false;
    const POINTERS: bool = true;
    const SAMPLE: MaybeUninit<Self> = MaybeUninit::new(Self {
        address: NonNull::dangling(),
        lent: PhantomData,
    });
    const NICHES: Niches = Niches::whole(size_of::<Self>());

    #[inline]
    unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
        // SAFETY: `at` is readable, says the caller.
        unsafe { checker.follow::<T>(at.cast(), 1) }
    }

    #[inline]
    unsafe fn write(&self, into: *mut Self) {
        // SAFETY: `into` is writable, says the caller, and there is no padding.
        unsafe { ptr::copy_nonoverlapping(self, into, 1) };
    }

    #[inline]
    fn lies_in(&self, bounds: &Bounds) -> bool {
        size_of::<T>() == 0 || bounds.contain(self.address.as_ptr().addr())
    }

    fn describe(schema: &mut Schema) -> String {
        Ptr::<T>::describe(schema)
    }
}

impl<T> Deref for Ptr<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: rule 3.
        unsafe { self.address.as_ref() }
    }
}

// SAFETY: one pointer, checked to lie in the scope.
unsafe impl<T: Shared> Shared for Ptr<'_, T> {
    type At<'a> = Ptr<'a, T::At<'a>>;

    const DENSE: bool = true;
    const PLAIN: bool = false;
    const POINTERS: bool = true;
    const SAMPLE: MaybeUninit<Self> = MaybeUninit::new(Self {
        address: NonNull::dangling(),
        owned: PhantomData,
    });
    const NICHES: Niches = Niches::whole(size_of::<Self>());

    #[inline]
    unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
        // SAFETY: `at` is readable, says the caller.
        unsafe { checker.follow::<T>(at.cast(), 1) }
    }

    #[inline]
    unsafe fn write(&self, into: *mut Self) {
        // SAFETY: `into` is writable, says the caller, and there is no padding.
        unsafe { ptr::copy_nonoverlapping(self, into, 1) };
    }

    #[inline]
    fn lies_in(&self, bounds: &Bounds) -> bool {
        size_of::<T>() == 0 || bounds.contain(Self::address(self))
    }

    fn describe(schema: &mut Schema) -> String {
        let target = T::describe(schema);
        format!("Ptr<{target}>")
    }
}

/// The one pointer to any number of `T` that lie one after the other in a
/// scope: what `Box<[T]>` is elsewhere.
///
/// It is made by [`Scope::slice`](super::Scope::slice),
/// [`slice_of`](super::Scope::slice_of) and [`fill`](super::Scope::fill).
#[repr(C)]
pub struct Slice<'s, T> {
    address: NonNull<T>,
    len: usize,
    owned: PhantomData<(&'s (), T)>,
}

// SAFETY: rule 3: a slice is the only one of its values, as a boxed one is.
unsafe impl<T: Send> Send for Slice<'_, T> {}
// SAFETY: rule 3.
unsafe impl<T: Sync> Sync for Slice<'_, T> {}

impl<T> Slice<'_, T> {
    /// # Safety
    /// At `address` are `len` values nobody else points to, valid for `'s`.
    #[inline]
    pub(super) unsafe fn new(address: NonNull<T>, len: usize) -> Self {
        Self {
            address,
            len,
            owned: PhantomData,
        }
    }

    /// A slice of nothing. It lies in every scope.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            address: NonNull::dangling(),
            len: 0,
            owned: PhantomData,
        }
    }
}

impl<T> Default for Slice<'_, T> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<T> Deref for Slice<'_, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: rule 3.
        unsafe { slice::from_raw_parts(self.address.as_ptr(), self.len) }
    }
}

impl<'a, T> IntoIterator for &'a Slice<'_, T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

// SAFETY: a pointer, and a length with which it is checked to lie in the scope.
unsafe impl<T: Shared> Shared for Slice<'_, T> {
    type At<'a> = Slice<'a, T::At<'a>>;

    const DENSE: bool = true;
    const PLAIN: bool = false;
    const POINTERS: bool = true;
    const SAMPLE: MaybeUninit<Self> = MaybeUninit::new(Self::empty());
    const NICHES: Niches = Niches::whole(size_of::<usize>());

    #[inline]
    unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
        const { assert!(size_of::<T>() > 0, "a slice of elements without size") };
        // SAFETY: the length lies within the slice.
        let len = unsafe { &raw const (*at).len };
        // SAFETY: `at` is readable, says the caller, and a length a plain number.
        let len = unsafe { len.read() };
        // SAFETY: as above.
        unsafe { checker.follow::<T>(at.cast(), len) }
    }

    #[inline]
    unsafe fn write(&self, into: *mut Self) {
        // SAFETY: `into` is writable, says the caller, and there is no padding.
        unsafe { ptr::copy_nonoverlapping(self, into, 1) };
    }

    #[inline]
    fn lies_in(&self, bounds: &Bounds) -> bool {
        self.len == 0 || bounds.contain(self.address.as_ptr().addr())
    }

    fn describe(schema: &mut Schema) -> String {
        let element = T::describe(schema);
        format!("Slice<{element}>")
    }
}

const _: () = assert!(size_of::<Slice<'_, u8>>() == 16);
const _: () = assert!(offset_of!(Slice<'_, u8>, address) == 0);

/// The one pointer to text in a scope: what `Box<str>` is elsewhere.
///
/// It is made by [`Scope::str`](super::Scope::str).
#[repr(transparent)]
pub struct Str<'s> {
    bytes: Slice<'s, u8>,
}

impl<'s> Str<'s> {
    /// # Safety
    /// The bytes are UTF-8.
    #[inline]
    pub(super) unsafe fn new(bytes: Slice<'s, u8>) -> Self {
        Self { bytes }
    }

    /// Text of no length. It lies in every scope.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            bytes: Slice::empty(),
        }
    }

    /// The text.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> &str {
        // SAFETY: rule 3: text was UTF-8 when it was written or checked.
        unsafe { str::from_utf8_unchecked(&self.bytes) }
    }
}

impl Default for Str<'_> {
    fn default() -> Self {
        Self::empty()
    }
}

impl Deref for Str<'_> {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

// SAFETY: a slice of bytes, of which the text is checked too.
unsafe impl Shared for Str<'_> {
    type At<'a> = Str<'a>;

    const DENSE: bool = true;
    const PLAIN: bool = false;
    const POINTERS: bool = true;
    const SAMPLE: MaybeUninit<Self> = MaybeUninit::new(Self::empty());
    const NICHES: Niches = <Slice<'_, u8>>::NICHES;

    #[inline]
    unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
        // SAFETY: the length lies within the slice, as which a text is laid out.
        let len = unsafe { &raw const (*at).bytes.len };
        // SAFETY: `at` is readable, says the caller, and a length a plain number.
        let len = unsafe { len.read() };
        // SAFETY: as above.
        unsafe { checker.follow_text(at.cast(), len) }
    }

    #[inline]
    unsafe fn write(&self, into: *mut Self) {
        // SAFETY: `into` is writable, says the caller, and there is no padding.
        unsafe { ptr::copy_nonoverlapping(self, into, 1) };
    }

    #[inline]
    fn lies_in(&self, bounds: &Bounds) -> bool {
        self.bytes.lies_in(bounds)
    }

    fn describe(_: &mut Schema) -> String {
        "Str".into()
    }
}

impl<T: PartialEq> PartialEq for Ptr<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: PartialEq> PartialEq for Slice<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: PartialEq> PartialEq<[T]> for Slice<'_, T> {
    fn eq(&self, other: &[T]) -> bool {
        **self == *other
    }
}

impl<T: PartialEq, const N: usize> PartialEq<[T; N]> for Slice<'_, T> {
    fn eq(&self, other: &[T; N]) -> bool {
        **self == *other
    }
}

impl PartialEq for Str<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl PartialEq<str> for Str<'_> {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Str<'_> {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl PartialEq<Str<'_>> for str {
    fn eq(&self, other: &Str<'_>) -> bool {
        *self == **other
    }
}

impl PartialEq<Str<'_>> for &str {
    fn eq(&self, other: &Str<'_>) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Ptr<'_, T> {}
impl<T: Eq> Eq for Slice<'_, T> {}
impl Eq for Str<'_> {}

impl<T: PartialOrd> PartialOrd for Ptr<'_, T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (**self).partial_cmp(&**other)
    }
}

impl<T: PartialOrd> PartialOrd for Slice<'_, T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (**self).partial_cmp(&**other)
    }
}

impl PartialOrd for Str<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> Ord for Ptr<'_, T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl<T: Ord> Ord for Slice<'_, T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl Ord for Str<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl<T: Hash> Hash for Ptr<'_, T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T: Hash> Hash for Slice<'_, T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl Hash for Str<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl<T: fmt::Debug> fmt::Debug for Ptr<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for Slice<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl fmt::Debug for Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: fmt::Display> fmt::Display for Ptr<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl fmt::Display for Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl<T> Borrow<T> for Ptr<'_, T> {
    fn borrow(&self) -> &T {
        self
    }
}

impl<T> Borrow<[T]> for Slice<'_, T> {
    fn borrow(&self) -> &[T] {
        self
    }
}

impl Borrow<str> for Str<'_> {
    fn borrow(&self) -> &str {
        self
    }
}

impl<T> AsRef<T> for Ptr<'_, T> {
    fn as_ref(&self) -> &T {
        self
    }
}

impl<T> AsRef<[T]> for Slice<'_, T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl AsRef<str> for Str<'_> {
    fn as_ref(&self) -> &str {
        self
    }
}
