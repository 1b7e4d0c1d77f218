//! What both maps are made of.
use std::iter::FusedIterator;
use std::mem::{MaybeUninit, offset_of};
use std::slice;

use super::check::Checker;
use super::flaw::Refused;
use super::layout::Schema;
use super::niche::Niches;
use super::{Bounds, Shared};

/// A key and its value.
#[derive(Clone)]
#[repr(C)]
pub(super) struct Entry<K, V> {
    pub(super) key: K,
    pub(super) value: V,
}

// SAFETY: every field is Shared, and each method treats every field.
unsafe impl<K: Shared, V: Shared> Shared for Entry<K, V> {
    type At<'a> = Entry<K::At<'a>, V::At<'a>>;

    const DENSE: bool =
        size_of::<Self>() == size_of::<K>() + size_of::<V>() && K::DENSE && V::DENSE;
    const PLAIN: bool = K::PLAIN && V::PLAIN;
    const POINTERS: bool = K::POINTERS || V::POINTERS;
    const SAMPLE: MaybeUninit<Self> = MaybeUninit::new(Self {
        // SAFETY: rule 5.
        key: unsafe { K::SAMPLE.assume_init() },
        // SAFETY: rule 5.
        value: unsafe { V::SAMPLE.assume_init() },
    });
    const NICHES: Niches = Niches::NONE
        .with::<K>(offset_of!(Self, key))
        .with::<V>(offset_of!(Self, value));

    #[inline]
    unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
        // SAFETY: the field lies within the entry.
        let key = unsafe { &raw mut (*at).key };
        // SAFETY: as the caller says.
        unsafe { K::check(checker, key) }?;
        // SAFETY: the field lies within the entry.
        let value = unsafe { &raw mut (*at).value };
        // SAFETY: as the caller says.
        unsafe { V::check(checker, value) }
    }

    #[inline]
    unsafe fn write(&self, into: *mut Self) {
        // SAFETY: the field lies within the entry.
        let key = unsafe { &raw mut (*into).key };
        // SAFETY: as the caller says.
        unsafe { self.key.write(key) };
        // SAFETY: the field lies within the entry.
        let value = unsafe { &raw mut (*into).value };
        // SAFETY: as the caller says.
        unsafe { self.value.write(value) };
    }

    #[inline]
    fn lies_in(&self, bounds: &Bounds) -> bool {
        self.key.lies_in(bounds) && self.value.lies_in(bounds)
    }

    fn describe(schema: &mut Schema) -> String {
        schema.structure::<Self>("Entry", &[K::describe, V::describe], |fields| {
            fields.field::<K>("key", offset_of!(Self, key));
            fields.field::<V>("value", offset_of!(Self, value));
        })
    }
}

/// The keys and values of a map.
#[derive(Debug)]
pub struct Entries<'a, K, V> {
    entries: slice::Iter<'a, Entry<K, V>>,
}

impl<'a, K, V> Entries<'a, K, V> {
    #[inline]
    pub(super) fn new(entries: &'a [Entry<K, V>]) -> Self {
        Self {
            entries: entries.iter(),
        }
    }
}

impl<K, V> Clone for Entries<'_, K, V> {
    fn clone(&self) -> Self {
        Self {
            entries: self.entries.clone(),
        }
    }
}

impl<'a, K, V> Iterator for Entries<'a, K, V> {
    type Item = (&'a K, &'a V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next().map(|entry| (&entry.key, &entry.value))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl<K, V> DoubleEndedIterator for Entries<'_, K, V> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.entries
            .next_back()
            .map(|entry| (&entry.key, &entry.value))
    }
}

impl<K, V> ExactSizeIterator for Entries<'_, K, V> {}
impl<K, V> FusedIterator for Entries<'_, K, V> {}

impl<K: std::fmt::Debug, V: std::fmt::Debug> std::fmt::Debug for Entry<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {:?}", self.key, self.value)
    }
}
