//! The ordered map.
use std::borrow::Borrow;
use std::fmt;
use std::mem::{self, MaybeUninit};
use std::ops::RangeBounds;

use super::check::Checker;
use super::entry::{Entries, Entry};
use super::flaw::Refused;
use super::layout::Schema;
use super::niche::Niches;
use super::{Bounds, Scope, ScopeError, Shared, Slice};

/// Values by key, in the order of the keys, built once: what `BTreeMap` is
/// elsewhere.
///
/// It is made by [`Scope::map`]. That the keys of an arrived map are in order is
/// not checked: a sender who lies about it only makes lookups in this map miss.
#[repr(transparent)]
pub struct Map<'s, K, V> {
    entries: Slice<'s, Entry<K, V>>,
}

impl Scope {
    /// Builds a map of these keys and values; of equal keys the last one stays.
    ///
    /// # Errors
    /// [`ScopeError::Full`], or [`ScopeError::OtherScope`] if one of them points
    /// out of this scope.
    pub fn map<'s, K: Shared + Ord + 's, V: Shared + 's>(
        &'s self,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Map<'s, K, V>, ScopeError> {
        let mut entries: Vec<Entry<K, V>> = entries
            .into_iter()
            .map(|(key, value)| Entry { key, value })
            .collect();
        // Keys mostly come in their order already.
        if !entries.is_sorted_by(|a, b| a.key < b.key) {
            entries.sort_by(|a, b| a.key.cmp(&b.key));
            entries.dedup_by(|later, earlier| {
                let equal = later.key == earlier.key;
                if equal {
                    mem::swap(later, earlier);
                }
                equal
            });
        }
        Ok(Map {
            entries: self.slice_of(entries)?,
        })
    }
}

impl<K, V> Map<'_, K, V> {
    /// A map of nothing. It lies in every scope.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            entries: Slice::empty(),
        }
    }

    /// How many keys there are.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of `key`.
    #[must_use]
    #[inline]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.get_key_value(key).map(|(_, value)| value)
    }

    /// The key in the map that equals `key`, and its value.
    #[must_use]
    #[inline]
    pub fn get_key_value<Q: Ord + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let found = self
            .entries
            .binary_search_by(|entry| entry.key.borrow().cmp(key));
        let entry = self.entries.get(found.ok()?)?;
        Some((&entry.key, &entry.value))
    }

    /// Whether there is such a key.
    #[must_use]
    #[inline]
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// Keys and values, in the order of the keys.
    #[must_use]
    #[inline]
    pub fn iter(&self) -> Entries<'_, K, V> {
        Entries::new(&self.entries)
    }

    /// Those keys and their values that are in `range`; none if it ends before
    /// it begins.
    #[must_use]
    pub fn range<Q, R>(&self, range: R) -> Entries<'_, K, V>
    where
        Q: Ord + ?Sized,
        R: RangeBounds<Q>,
        K: Borrow<Q>,
    {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let start = match range.start_bound() {
            Included(key) => self.entries.partition_point(|e| e.key.borrow() < key),
            Excluded(key) => self.entries.partition_point(|e| e.key.borrow() <= key),
            Unbounded => 0,
        };
        let end = match range.end_bound() {
            Included(key) => self.entries.partition_point(|e| e.key.borrow() <= key),
            Excluded(key) => self.entries.partition_point(|e| e.key.borrow() < key),
            Unbounded => self.entries.len(),
        };
        Entries::new(self.entries.get(start..end).unwrap_or_default())
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator {
        self.iter().map(|(key, _)| key)
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator {
        self.iter().map(|(_, value)| value)
    }
}

impl<K, V> Default for Map<'_, K, V> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<'a, K, V> IntoIterator for &'a Map<'_, K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Entries<'a, K, V>;

    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for Map<'_, K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for Map<'_, K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Map<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

// SAFETY: it is laid out as a slice, and checked as one.
unsafe impl<K: Shared, V: Shared> Shared for Map<'_, K, V> {
    type At<'a> = Map<'a, K::At<'a>, V::At<'a>>;

    const DENSE: bool = true;
    const PLAIN: bool = false;
    const POINTERS: bool = true;
    const SAMPLE: MaybeUninit<Self> = MaybeUninit::new(Self::empty());
    const NICHES: Niches = <Slice<'_, Entry<K, V>>>::NICHES;

    #[inline]
    unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
        // SAFETY: as the caller says.
        unsafe { <Slice<'_, Entry<K, V>>>::check(checker, at.cast()) }
    }

    #[inline]
    unsafe fn write(&self, into: *mut Self) {
        // SAFETY: as the caller says.
        unsafe { self.entries.write(into.cast()) };
    }

    #[inline]
    fn lies_in(&self, bounds: &Bounds) -> bool {
        self.entries.lies_in(bounds)
    }

    fn describe(schema: &mut Schema) -> String {
        let entries = <Slice<'_, Entry<K, V>>>::describe(schema);
        schema.wrapper::<Self>(
            "Map",
            &[K::describe, V::describe],
            &format!("{entries} by key"),
        )
    }
}
