//! Maps answer as those of the standard library do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Bound;

use nowire_memory::data::{HashMap, Map, Scope, ScopeError, Slice, Str, check_copy, inline};
use proptest::prelude::*;

#[test]
fn an_ordered_map_is_searched_by_borrowed_keys() -> Result<(), ScopeError> {
    let scope = Scope::private(4096);
    let map = scope.map([
        (scope.str("pear")?, 3),
        (scope.str("apple")?, 1),
        (scope.str("pear")?, 4),
    ])?;
    assert_eq!(map.len(), 2);
    assert_eq!(map.get("pear"), Some(&4), "the last of equal keys stays");
    assert_eq!(map.get("plum"), None);
    assert!(map.contains_key("apple"));
    assert_eq!(map.keys().collect::<Vec<_>>(), ["apple", "pear"]);
    assert_eq!(map.values().copied().collect::<Vec<_>>(), [1, 4]);
    assert_eq!(format!("{map:?}"), r#"{"apple": 1, "pear": 4}"#);
    Ok(())
}

#[test]
fn a_hashed_map_is_searched_by_borrowed_keys() -> Result<(), ScopeError> {
    let scope = Scope::private(4096);
    let map = scope.hash_map([
        (scope.str("pear")?, 3),
        (scope.str("apple")?, 1),
        (scope.str("pear")?, 4),
    ])?;
    assert_eq!(map.len(), 2);
    assert_eq!(map.get("pear"), Some(&4), "the last of equal keys stays");
    assert_eq!(map.get("plum"), None);
    assert!(map.contains_key("apple"));
    assert_eq!(map.iter().len(), 2);
    let other = scope.hash_map([(scope.str("apple")?, 1), (scope.str("pear")?, 4)])?;
    assert_eq!(map, other, "whatever the order");
    Ok(())
}

#[test]
fn maps_of_nothing_hold_nothing() -> Result<(), ScopeError> {
    let scope = Scope::private(4096);
    let map: Map<'_, u8, u8> = scope.map([])?;
    assert!(map.is_empty() && map.get(&0).is_none());
    let map: HashMap<'_, u8, u8> = scope.hash_map([])?;
    assert!(map.is_empty() && map.get(&0).is_none());
    assert_eq!(scope.used_bytes(), 0);
    Ok(())
}

/// A key of which every value has the same hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Alike(u64);

impl std::hash::Hash for Alike {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u8(0);
    }
}

// SAFETY: a number and nothing else.
unsafe impl nowire_memory::data::Shared for Alike {
    type At<'a> = Self;
    const DENSE: bool = true;
    const PLAIN: bool = true;
    const POINTERS: bool = false;
    const SAMPLE: std::mem::MaybeUninit<Self> = std::mem::MaybeUninit::new(Self(0));
    const NICHES: nowire_memory::data::Niches = nowire_memory::data::Niches::NONE;
    unsafe fn check(
        _: &mut nowire_memory::data::Checker<'_>,
        _: *mut Self,
    ) -> Result<(), nowire_memory::data::Refused> {
        Ok(())
    }
    unsafe fn write(&self, into: *mut Self) {
        // SAFETY: as the caller says.
        unsafe { into.write(*self) };
    }
    fn lies_in(&self, _: &nowire_memory::data::Bounds) -> bool {
        true
    }
    fn describe(_: &mut nowire_memory::data::Schema) -> String {
        "Alike".into()
    }
}

#[test]
fn keys_of_like_hashes_are_found_or_refused() -> Result<(), ScopeError> {
    let scope = Scope::private(1 << 16);
    let some = scope.hash_map((0..128).map(|key| (Alike(key), key)))?;
    assert!((0..128).all(|key| some.get(&Alike(key)) == Some(&key)));
    assert!(some.get(&Alike(128)).is_none());
    let many = scope.hash_map((0..129).map(|key| (Alike(key), key)));
    assert_eq!(many.err(), Some(ScopeError::Collisions { keys: 129 }));
    Ok(())
}

#[test]
fn a_large_hashed_map_finds_all_its_keys() -> Result<(), ScopeError> {
    let scope = Scope::private(32 << 20);
    let keys = 0..100_000_u64;
    for step in [1, 8, 4096, 1 << 32] {
        let map = scope.hash_map(keys.clone().map(|key| (key * step, key as u32)))?;
        assert!(
            keys.clone()
                .all(|key| map.get(&(key * step)) == Some(&(key as u32))),
            "multiples of {step}"
        );
        assert_eq!(map.get(&(100_000 * step)), None);
    }
    let mut text = String::new();
    let named = scope.hash_map((0..20_000_u32).map(|key| {
        text.clear();
        let _ = write!(text, "name{key}");
        (scope.str(&text).expect("there is room"), key)
    }))?;
    assert_eq!(named.get("name19999"), Some(&19999));
    assert_eq!(named.get("name20000"), None);
    Ok(())
}

proptest! {
    #[test]
    fn maps_that_travelled_answer_as_the_standard_ones(
        entries in proptest::collection::vec((".{0,12}", any::<Option<i16>>()), 0..60),
        asked in proptest::collection::vec(".{0,3}", 0..20),
        from in ".{0,2}",
        to in ".{0,2}",
    ) {
        let expected: BTreeMap<_, _> = entries.iter().map(|(k, v)| (k.as_str(), *v)).collect();
        let mut scope = Scope::private(1 << 16);
        let root = {
            let with_keys = || {
                let entries = entries.iter();
                entries.map(|(key, value)| (scope.str(key).expect("there is room"), *value))
            };
            let ordered = scope.map(with_keys()).expect("there is room");
            let hashed = scope.hash_map(with_keys()).expect("there is room");
            inline(&scope.build((ordered, hashed)).expect("there is room"))
        };
        type Both<'s> = (Map<'s, Str<'s>, Option<i16>>, HashMap<'s, Str<'s>, Option<i16>>);
        let base = scope.address();
        let there = check_copy::<nowire_memory::data::Ptr<'_, Both<'_>>>(&scope.bytes_used(), base, root)
            .expect("nothing is wrong with it");
        let (ordered, hashed) = &**there.get();
        for key in asked.iter().chain(entries.iter().map(|(key, _)| key)) {
            prop_assert_eq!(ordered.get(key.as_str()), expected.get(key.as_str()));
            prop_assert_eq!(hashed.get(key.as_str()), expected.get(key.as_str()));
        }
        let all: Vec<_> = ordered.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        prop_assert_eq!(&all, &expected.clone().into_iter().collect::<Vec<_>>());
        let mut unordered: Vec<_> = hashed.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        unordered.sort_unstable();
        prop_assert_eq!(unordered, all);
        if from <= to {
            let asked = (Bound::Included(from.as_str()), Bound::Excluded(to.as_str()));
            let range: Vec<_> = ordered.range::<str, _>(asked).map(|(key, _)| key.as_str()).collect();
            let of_expected: Vec<_> = expected.range::<str, _>(asked).map(|(key, _)| *key).collect();
            prop_assert_eq!(range, of_expected);
        }
    }
}

#[test]
fn a_map_of_maps_travels() -> Result<(), ScopeError> {
    type Nested<'s> = Map<'s, u8, Map<'s, Str<'s>, Slice<'s, u16>>>;
    let mut scope = Scope::private(4096);
    let root = {
        let inner = scope.map([(scope.str("a")?, scope.slice(&[1_u16, 2])?)])?;
        inline(&scope.map([(9, inner), (8, Map::empty())])?)
    };
    let base = scope.address();
    let there = check_copy::<Nested<'_>>(&scope.bytes_used(), base, root).expect("it is right");
    let inner = there.get().get(&9).expect("it is there");
    assert_eq!(*inner.get("a").expect("it is there"), [1, 2]);
    assert!(there.get().get(&8).is_some_and(Map::is_empty));
    Ok(())
}
