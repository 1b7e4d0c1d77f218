//! Values copied from one scope to another.

use nowire_memory::data::{HashMap, Map, Ptr, Scope, ScopeError, Slice, Str};
use proptest::prelude::*;

type Tree<'s> = (
    Str<'s>,
    Slice<'s, (u8, Option<Str<'s>>)>,
    Map<'s, Str<'s>, Slice<'s, u16>>,
    HashMap<'s, u32, Ptr<'s, (bool, Str<'s>)>>,
    Option<Ptr<'s, [Slice<'s, u64>; 2]>>,
);

fn tree<'s>(scope: &'s Scope, texts: &[String], numbers: &[u16]) -> Result<Tree<'s>, ScopeError> {
    let named = texts.iter().map(|text| {
        let text = scope.str(text)?;
        Ok((text.len() as u8, (!text.is_empty()).then_some(text)))
    });
    let named = named.collect::<Result<Vec<_>, ScopeError>>()?;
    let map = texts
        .iter()
        .map(|text| Ok((scope.str(text)?, scope.slice(numbers)?)));
    let map = map.collect::<Result<Vec<_>, ScopeError>>()?;
    let hashed = (0..).zip(texts).map(|(number, text)| {
        let there = scope.build((number % 2 == 0, scope.str(text)?))?;
        Ok((number, there))
    });
    let hashed = hashed.collect::<Result<Vec<_>, ScopeError>>()?;
    let wide: Vec<u64> = numbers.iter().copied().map(u64::from).collect();
    let last = match texts.len() % 2 {
        0 => None,
        _ => Some(scope.build([scope.slice(&wide)?, Slice::empty()])?),
    };
    Ok((
        scope.str(&texts.concat())?,
        scope.slice_of(named)?,
        scope.map(map)?,
        scope.hash_map(hashed)?,
        last,
    ))
}

proptest! {
    #[test]
    fn a_copy_is_like_its_original_and_lies_in_the_other_scope(
        texts in prop::collection::vec(".{0,20}", 0..20),
        numbers in prop::collection::vec(any::<u16>(), 0..200),
    ) {
        let other = Scope::private(1 << 20);
        let (copy, expected) = {
            let mut scope = Scope::private(1 << 20);
            let built = tree(&scope, &texts, &numbers).expect("room");
            let expected = format!("{built:?}");
            let copy = other.copy(&built).expect("room");
            prop_assert!(other.holds(&*copy));
            // Whoever looked at the original would see this.
            scope.prefill(0xff);
            (copy, expected)
        };
        prop_assert_eq!(format!("{:?}", *copy), expected);
        // It is a tree as any other.
        let again = Scope::private(1 << 20);
        let copied = again.copy(&*copy).expect("room");
        prop_assert_eq!(&copied.0, &copy.0);
        prop_assert_eq!(&copied.1, &copy.1);
    }
}

#[test]
fn nothing_is_left_of_a_copy_that_does_not_fit() {
    let scope = Scope::private(1 << 16);
    let texts: Vec<String> = (0..20).map(|n| format!("text {n}")).collect();
    let built = tree(&scope, &texts, &[7; 100]).expect("room");
    let small = Scope::private(4096);
    let before = small.str("before").expect("room");
    let used_bytes = small.used_bytes();
    let refused = small.copy(&built).expect_err("it is larger");
    assert!(matches!(refused, ScopeError::Full { .. }), "{refused}");
    assert_eq!(small.used_bytes(), used_bytes);
    let after = small.str("after").expect("room");
    assert_eq!((&*before, &*after), ("before", "after"));
}

#[test]
fn a_value_on_the_stack_is_copied_without_its_padding() {
    let mut scope = Scope::private(4096);
    scope.prefill(0xaa);
    for number in 0..8_u64 {
        let value = (1_u8, number, Some(2_u16));
        let copy = scope.copy(&value).expect("room");
        assert_eq!(*copy, value);
    }
    let bytes = scope.bytes_used();
    assert!(!bytes.contains(&0xaa), "old bytes");
    let ones = bytes.iter().filter(|byte| **byte != 0).count();
    assert!(ones <= 8 * 4, "{ones}");
}

#[test]
fn a_chain_of_any_length_is_copied() {
    // Four kinds of link, each to the next, are as deep as types can say here.
    type Link<'s> = Ptr<'s, Ptr<'s, Ptr<'s, Ptr<'s, Str<'s>>>>>;
    let scope = Scope::private(4096);
    let end = scope.str("end").expect("room");
    let chain = scope.build(end).and_then(|it| scope.build(it));
    let chain = chain.and_then(|it| scope.build(it));
    let chain: Link<'_> = chain.and_then(|it| scope.build(it)).expect("room");
    let other = Scope::private(4096);
    let copy = other.copy(&chain).expect("room");
    assert_eq!(&*****copy, "end");
    assert_ne!((*****copy).as_ptr(), (****chain).as_ptr());
}
