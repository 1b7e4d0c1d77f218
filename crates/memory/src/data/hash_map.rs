//! The hashed map.
use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::mem::{MaybeUninit, offset_of};

use super::check::Checker;
use super::entry::{Entries, Entry};
use super::flaw::Refused;
use super::hash::hash_of;
use super::layout::Schema;
use super::niche::Niches;
use super::{Bounds, Scope, ScopeError, Shared, Slice};

/// The most slots a lookup looks at. A map in which a key would be further from
/// its place gets more slots, so an honest one answers rightly, and a dishonest
/// one answers soon.
const MOST_PROBES: usize = 128;

/// How often a map is tried with twice the slots.
const MOST_DOUBLINGS: u32 = 4;

/// Values by key, found by the keys' hashes, built once.
///
/// It is made by [`Scope::hash_map`]. The hashes are the same in every process
/// and no secret: for keys that an enemy chooses, take a [`Map`](super::Map).
/// That the keys of an arrived map are where their hashes say is not checked: a
/// sender who lies about it only makes lookups in this map miss.
#[repr(C)]
pub struct HashMap<'s, K, V> {
    entries: Slice<'s, Entry<K, V>>,
    slots: Slice<'s, Slot>,
}

/// Where an entry is, plus one, or zero; and half of its key's hash.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
struct Slot {
    entry: u32,
    hash: u32,
}

impl Scope {
    /// Builds a hashed map of these keys and values; of equal keys the last one
    /// stays.
    ///
    /// # Errors
    /// [`ScopeError::Full`], [`ScopeError::OtherScope`] if one of them points out
    /// of this scope, or [`ScopeError::Collisions`].
    pub fn hash_map<'s, K: Shared + Hash + Eq + 's, V: Shared + 's>(
        &'s self,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Result<HashMap<'s, K, V>, ScopeError> {
        let mut entries: Vec<Entry<K, V>> = entries
            .into_iter()
            .map(|(key, value)| Entry { key, value })
            .collect();
        if u32::try_from(entries.len()).is_err() {
            return Err(self.full(usize::MAX));
        }
        let mut slot_count = 2 * entries.len();
        let most_slots = slot_count << MOST_DOUBLINGS;
        while slot_count <= most_slots {
            match Placing::of(&entries, slot_count) {
                Placing::Done(slots) => {
                    return Ok(HashMap {
                        entries: self.slice_of(entries)?,
                        slots: self.slice(&slots)?,
                    });
                }
                Placing::Repeated(superseded) => {
                    let mut superseded = superseded.into_iter();
                    entries.retain(|_| superseded.next() != Some(true));
                }
                Placing::Crowded => slot_count *= 2,
            }
        }
        Err(ScopeError::Collisions {
            keys: entries.len(),
        })
    }
}

/// What came of giving each entry a slot.
enum Placing {
    Done(Vec<Slot>),
    /// Some keys are there more than once; all but the last are marked.
    Repeated(Vec<bool>),
    /// A key would be too far from its place.
    Crowded,
}

impl Placing {
    fn of<K: Hash + Eq, V>(entries: &[Entry<K, V>], slot_count: usize) -> Self {
        let mut slots = vec![Slot::default(); slot_count];
        let mut superseded = Vec::new();
        'entries: for (index, entry) in entries.iter().enumerate() {
            let hash = hash_of(&entry.key);
            for at in Probes::new(hash, slot_count) {
                let slot = &mut slots[at];
                let before = slot.entry as usize;
                if before != 0 {
                    if slot.hash != hash as u32 || entries[before - 1].key != entry.key {
                        continue;
                    }
                    superseded.resize(entries.len(), false);
                    superseded[before - 1] = true;
                }
                *slot = Slot {
                    entry: index as u32 + 1,
                    hash: hash as u32,
                };
                continue 'entries;
            }
            return Self::Crowded;
        }
        if superseded.is_empty() {
            Self::Done(slots)
        } else {
            Self::Repeated(superseded)
        }
    }
}

/// The slots in which a key may be, best first.
struct Probes {
    next: usize,
    slot_count: usize,
    left: usize,
}

impl Probes {
    #[inline]
    fn new(hash: u64, slot_count: usize) -> Self {
        Self {
            // Scales the hash down to the slots: its upper half counts.
            next: ((u128::from(hash) * slot_count as u128) >> 64) as usize,
            slot_count,
            left: slot_count.min(MOST_PROBES),
        }
    }
}

impl Iterator for Probes {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let at = self.next;
        self.next = if at + 1 == self.slot_count { 0 } else { at + 1 };
        Some(at)
    }
}

impl<K, V> HashMap<'_, K, V> {
    /// A map of nothing. It lies in every scope.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            entries: Slice::empty(),
            slots: Slice::empty(),
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
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.get_key_value(key).map(|(_, value)| value)
    }

    /// The key in the map that equals `key`, and its value.
    #[must_use]
    #[inline]
    pub fn get_key_value<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let hash = hash_of(key);
        for at in Probes::new(hash, self.slots.len()) {
            let slot = self.slots.get(at)?;
            if slot.entry == 0 {
                return None;
            }
            if slot.hash == hash as u32
                && let Some(entry) = self.entries.get(slot.entry as usize - 1)
                && entry.key.borrow() == key
            {
                return Some((&entry.key, &entry.value));
            }
        }
        None
    }

    /// Whether there is such a key.
    #[must_use]
    #[inline]
    pub fn contains_key<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// Keys and values, in the order in which they were given.
    #[must_use]
    #[inline]
    pub fn iter(&self) -> Entries<'_, K, V> {
        Entries::new(&self.entries)
    }

    /// The keys, in the order in which they were given.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator {
        self.iter().map(|(key, _)| key)
    }

    /// The values, in the order in which they were given.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator {
        self.iter().map(|(_, value)| value)
    }
}

impl<K, V> Default for HashMap<'_, K, V> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<'a, K, V> IntoIterator for &'a HashMap<'_, K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Entries<'a, K, V>;

    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Hash + Eq, V: PartialEq> PartialEq for HashMap<'_, K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .all(|(key, value)| other.get(key).is_some_and(|theirs| value == theirs))
    }
}

impl<K: Hash + Eq, V: Eq> Eq for HashMap<'_, K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for HashMap<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

// SAFETY: two numbers without padding; every bit pattern is a value.
unsafe impl Shared for Slot {
    type At<'a> = Self;

    const DENSE: bool = true;
    const PLAIN: bool = true;
    const POINTERS: bool = false;
    const SAMPLE: MaybeUninit<Self> = MaybeUninit::new(Self { entry: 0, hash: 0 });
    const NICHES: Niches = Niches::NONE;

    #[inline]
    unsafe fn check(_: &mut Checker<'_>, _: *mut Self) -> Result<(), Refused> {
        Ok(())
    }

    #[inline]
    unsafe fn write(&self, into: *mut Self) {
        // SAFETY: `into` is writable, says the caller.
        unsafe { into.write(*self) };
    }

    #[inline]
    fn lies_in(&self, _: &Bounds) -> bool {
        true
    }

    fn describe(_: &mut Schema) -> String {
        "Slot".into()
    }
}

// SAFETY: every field is Shared, and each method treats every field.
unsafe impl<K: Shared, V: Shared> Shared for HashMap<'_, K, V> {
    type At<'a> = HashMap<'a, K::At<'a>, V::At<'a>>;

    const DENSE: bool = true;
    const PLAIN: bool = false;
    const POINTERS: bool = true;
    const SAMPLE: MaybeUninit<Self> = MaybeUninit::new(Self::empty());
    const NICHES: Niches = Niches::NONE
        .with::<Slice<'_, Entry<K, V>>>(offset_of!(Self, entries))
        .with::<Slice<'_, Slot>>(offset_of!(Self, slots));

    #[inline]
    unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
        // SAFETY: the field lies within the map.
        let entries = unsafe { &raw mut (*at).entries };
        // SAFETY: as the caller says.
        unsafe { <Slice<'_, Entry<K, V>>>::check(checker, entries) }?;
        // SAFETY: the field lies within the map.
        let slots = unsafe { &raw mut (*at).slots };
        // SAFETY: as the caller says.
        unsafe { <Slice<'_, Slot>>::check(checker, slots) }
    }

    #[inline]
    unsafe fn write(&self, into: *mut Self) {
        // SAFETY: the field lies within the map.
        let entries = unsafe { &raw mut (*into).entries };
        // SAFETY: as the caller says.
        unsafe { self.entries.write(entries) };
        // SAFETY: the field lies within the map.
        let slots = unsafe { &raw mut (*into).slots };
        // SAFETY: as the caller says.
        unsafe { self.slots.write(slots) };
    }

    #[inline]
    fn lies_in(&self, bounds: &Bounds) -> bool {
        self.entries.lies_in(bounds) && self.slots.lies_in(bounds)
    }

    fn describe(schema: &mut Schema) -> String {
        let entries = <Slice<'_, Entry<K, V>>>::describe(schema);
        // Another version of the standard library may hash in another way, and
        // every lookup would miss.
        let hash = hash_of(&("nowire", 1_u8, 2_u64, [3_u16]));
        schema.wrapper::<Self>(
            "HashMap",
            &[K::describe, V::describe],
            &format!("{entries} by hash as {hash:#x}"),
        )
    }
}
