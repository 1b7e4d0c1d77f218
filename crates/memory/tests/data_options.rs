//! Options of every kind of type: what the compiler makes of them is what
//! Nowire writes, checks and reads.

use std::fmt::Debug;
use std::num::NonZero;

use nowire_memory::data::{
    HashMap, Layout, Map, Ptr, Scope, ScopeError, Shared, Slice, Str, check_copy, inline,
};

/// Builds the values in a dirty scope, copies it elsewhere, checks it there, and
/// compares.
fn travel<T>(build: impl for<'s> Fn(&'s Scope) -> Result<Vec<T::At<'s>>, ScopeError>)
where
    T: Shared,
    for<'a> T::At<'a>: Debug + PartialEq,
{
    let mut scope = Scope::private(1 << 16);
    scope.prefill(0xAA);
    let words = {
        let values = build(&scope).expect("there is room");
        inline(&scope.slice_of(values).expect("there is room"))
    };
    let base = scope.address();
    let bytes = scope.bytes_used();
    let there = check_copy::<Slice<'_, T>>(&bytes, base, words).expect("nothing is wrong with it");
    let expected = Scope::private(1 << 16);
    let expected = build(&expected).expect("there is room");
    assert_eq!(format!("{:?}", there), format!("{expected:?}"));
    let described = Layout::of::<T>();
    assert!(!described.text().is_empty());
}

macro_rules! plain_options {
    ($($name:ident: $type:ty = [$($value:expr),+];)+) => {$(
        #[test]
        fn $name() {
            travel::<Option<$type>>(|_| Ok(vec![None, $(Some($value)),+]));
            travel::<Option<Option<$type>>>(|_| Ok(vec![None, Some(None), $(Some(Some($value))),+]));
            travel::<Option<Option<Option<$type>>>>(|_| {
                Ok(vec![None, Some(None), Some(Some(None)), $(Some(Some(Some($value)))),+])
            });
            travel::<(u8, Option<$type>, bool)>(|_| {
                Ok(vec![(1, None, true), $((2, Some($value), false)),+])
            });
            travel::<Option<(u8, $type)>>(|_| Ok(vec![None, $(Some((3, $value))),+]));
            travel::<Option<[$type; 2]>>(|_| Ok(vec![None, $(Some([$value, $value])),+]));
            travel::<[Option<$type>; 2]>(|_| Ok(vec![[None, None], $([Some($value), None]),+]));
        }
    )+};
}

plain_options! {
    options_of_bool_travel: bool = [true, false];
    options_of_char_travel: char = ['a', '\u{10FFFF}', '\0'];
    options_of_u8_travel: u8 = [0, 1, 255];
    options_of_i16_travel: i16 = [0, 1, -1];
    options_of_u32_travel: u32 = [0, 1, u32::MAX];
    options_of_u64_travel: u64 = [0, 1, u64::MAX];
    options_of_u128_travel: u128 = [0, 1, u128::MAX];
    options_of_f32_travel: f32 = [0.0, -1.5];
    options_of_f64_travel: f64 = [0.0, -1.5];
    options_of_nonzero_u8_travel: NonZero<u8> = [NonZero::<u8>::MIN, NonZero::<u8>::MAX];
    options_of_nonzero_i64_travel: NonZero<i64> = [NonZero::<i64>::MIN, NonZero::<i64>::MAX];
    options_of_nonzero_u128_travel: NonZero<u128> = [NonZero::<u128>::MIN];
    options_of_pairs_travel: (u32, bool) = [(0, true), (u32::MAX, false)];
    options_of_pairs_of_options_travel: (Option<u16>, Option<char>) = [(None, None), (Some(0), Some('x'))];
    options_of_eight_travel: (u8, u16, u32, u64, bool, char, i8, f32) =
        [(1, 2, 3, 4, true, 'e', -6, 7.5)];
    options_of_many_bools_travel: [[bool; 7]; 9] = [[[true; 7]; 9]];
}

#[test]
fn options_of_unit_travel() {
    travel::<(u8, Option<()>)>(|_| Ok(vec![(1, None), (2, Some(()))]));
    travel::<(u8, Option<Option<()>>)>(|_| {
        Ok(vec![(1, None), (2, Some(None)), (3, Some(Some(())))])
    });
}

#[test]
fn options_of_pointers_travel() {
    travel::<Option<Ptr<'_, u32>>>(|scope| Ok(vec![None, Some(scope.build(7)?)]));
    travel::<Option<Option<Ptr<'_, u32>>>>(|scope| {
        Ok(vec![None, Some(None), Some(Some(scope.build(7)?))])
    });
    travel::<Option<Str<'_>>>(|scope| Ok(vec![None, Some(scope.str("text")?), Some(Str::empty())]));
    travel::<Option<Option<Str<'_>>>>(|scope| {
        Ok(vec![None, Some(None), Some(Some(scope.str("text")?))])
    });
    travel::<Option<Slice<'_, char>>>(|scope| Ok(vec![None, Some(scope.slice(&['a', 'b'])?)]));
    travel::<Option<(Str<'_>, Ptr<'_, bool>, u8)>>(|scope| {
        Ok(vec![
            None,
            Some((scope.str("three")?, scope.build(true)?, 3)),
        ])
    });
    travel::<Option<Option<(Ptr<'_, bool>, Slice<'_, u8>)>>>(|scope| {
        Ok(vec![
            None,
            Some(None),
            Some(Some((scope.build(true)?, scope.slice(&[1, 2, 3])?))),
        ])
    });
}

#[test]
fn options_of_maps_travel() {
    travel::<Option<Map<'_, u8, Str<'_>>>>(|scope| {
        Ok(vec![
            None,
            Some(Map::empty()),
            Some(scope.map([(2, scope.str("two")?), (1, scope.str("one")?)])?),
        ])
    });
    travel::<Option<HashMap<'_, Str<'_>, Option<bool>>>>(|scope| {
        Ok(vec![
            None,
            Some(HashMap::empty()),
            Some(scope.hash_map([(scope.str("two")?, None), (scope.str("one")?, Some(true))])?),
        ])
    });
}

macro_rules! plain_results {
    ($($name:ident: $ok:ty = $value:expr, $err:ty = $error:expr;)+) => {$(
        #[test]
        fn $name() {
            travel::<Result<$ok, $err>>(|_| Ok(vec![Ok($value), Err($error)]));
            travel::<Result<$err, $ok>>(|_| Ok(vec![Ok($error), Err($value)]));
            travel::<Option<Result<$ok, $err>>>(|_| Ok(vec![None, Some(Ok($value)), Some(Err($error))]));
            travel::<Result<Option<$ok>, $err>>(|_| Ok(vec![Ok(None), Ok(Some($value)), Err($error)]));
            travel::<(bool, Result<$ok, $err>, u16)>(|_| Ok(vec![(true, Ok($value), 1), (false, Err($error), 2)]));
        }
    )+};
}

plain_results! {
    results_of_numbers_travel: u64 = 1, u64 = 2;
    results_of_small_and_large_travel: u8 = 1, u64 = u64::MAX;
    results_of_three_sizes_travel: [u8; 3] = [1, 2, 3], u32 = 9;
    results_of_very_large_travel: u128 = 1, u16 = 2;
    results_of_bools_travel: bool = true, bool = false;
    results_of_chars_and_bytes_travel: char = 'x', u8 = 7;
    results_of_chars_and_bools_travel: char = 'x', bool = true;
    results_of_pairs_travel: (char, u32) = ('x', 1), u32 = 2;
    results_of_nonzero_travel: NonZero<u32> = NonZero::<u32>::MIN, u32 = 0;
    results_of_options_travel: Option<u32> = Some(1), u32 = 0;
    results_of_floats_travel: f64 = 1.5, (u8, bool) = (1, true);
}

#[test]
fn results_of_unit_travel() {
    travel::<(u8, Result<(), ()>)>(|_| Ok(vec![(1, Ok(())), (2, Err(()))]));
    travel::<Result<u32, ()>>(|_| Ok(vec![Ok(1), Err(())]));
    travel::<Result<(), u64>>(|_| Ok(vec![Ok(()), Err(1)]));
    travel::<Result<char, ()>>(|_| Ok(vec![Ok('c'), Err(())]));
    travel::<Result<(), bool>>(|_| Ok(vec![Ok(()), Err(true)]));
    travel::<Option<Result<(), bool>>>(|_| Ok(vec![None, Some(Ok(())), Some(Err(true))]));
}

#[test]
fn results_of_pointers_travel() {
    travel::<Result<Ptr<'_, u8>, ()>>(|scope| Ok(vec![Ok(scope.build(1)?), Err(())]));
    travel::<Result<Str<'_>, Str<'_>>>(|scope| Ok(vec![Ok(scope.str("a")?), Err(scope.str("b")?)]));
    travel::<Result<Str<'_>, u8>>(|scope| Ok(vec![Ok(scope.str("a")?), Err(1)]));
    travel::<Result<u8, Slice<'_, u16>>>(|scope| Ok(vec![Ok(1), Err(scope.slice(&[2])?)]));
    travel::<Result<(Str<'_>, bool), Ptr<'_, u8>>>(|scope| {
        Ok(vec![Ok((scope.str("a")?, true)), Err(scope.build(1)?)])
    });
}

#[test]
fn an_option_of_a_pointer_takes_no_room() {
    assert_eq!(size_of::<Option<Ptr<'_, u64>>>(), 8);
    assert_eq!(size_of::<Option<Str<'_>>>(), 16);
    assert_eq!(size_of::<Option<Slice<'_, u64>>>(), 16);
}
