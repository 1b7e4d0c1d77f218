//! What a scope promises to those who build in it.

use std::mem::MaybeUninit;

use nowire_memory::data::{Ptr, Scope, ScopeError, Shared, Slice, Str, check_copy, inline};

#[test]
fn a_full_scope_says_what_was_needed() {
    let scope = Scope::private(4096);
    let _used = scope.slice(&[0_u64; 500]).expect("there is room");
    assert_eq!(
        scope.slice(&[0_u64; 13]).err(),
        Some(ScopeError::Full {
            needed_bytes: 104,
            free_bytes: 96,
            capacity_bytes: 4096
        })
    );
    scope.slice(&[0_u8; 96]).expect("there is room for this");
    assert!(scope.build(0_u8).is_err());
    assert!(scope.str("").is_ok(), "nothing needs no room");
    assert!(scope.build(()).is_ok());
}

#[test]
fn a_scope_never_gives_out_more_than_it_has() {
    for bytes in [4089, 4096, 4097, 1 << 40, usize::MAX - 7, usize::MAX] {
        let scope = Scope::private(4096);
        let filled = scope.fill(bytes, |_| ());
        assert_eq!(filled.is_ok(), bytes <= 4096, "{bytes}");
        assert!(scope.used_bytes() <= 4096);
    }
}

#[test]
fn a_scope_that_was_reset_is_used_again() -> Result<(), ScopeError> {
    let mut scope = Scope::private(4096);
    for round in 0..3_u8 {
        let filled = scope.fill(4096, |bytes| {
            assert!(bytes.iter().all(|byte| *byte == 0), "old bytes are gone");
            bytes.fill(round + 1);
        })?;
        assert!(filled.iter().all(|byte| *byte == round + 1));
        scope.reset()?;
        assert_eq!(scope.used_bytes(), 0);
    }
    Ok(())
}

#[test]
fn everything_is_aligned() -> Result<(), ScopeError> {
    let scope = Scope::private(1 << 16);
    for _ in 0..5 {
        let _crooked = scope.str("x")?;
        assert!(Ptr::address(&scope.build(1_u8)?).is_multiple_of(8));
        assert!(Ptr::address(&scope.build(1_u128)?).is_multiple_of(16));
        assert!(Ptr::address(&scope.build(1_u16)?).is_multiple_of(8));
    }
    Ok(())
}

#[test]
fn what_points_into_another_scope_is_not_built_in() -> Result<(), ScopeError> {
    let (here, there) = (Scope::private(4096), Scope::private(4096));
    let other = |result: Result<(), ScopeError>| {
        assert!(
            matches!(result, Err(ScopeError::OtherScope { .. })),
            "{result:?}"
        );
    };
    other(here.build(there.str("text")?).map(drop));
    other(here.build(Some(there.build(1)?)).map(drop));
    other(
        here.build((1_u8, [here.build(1)?, there.build(1)?]))
            .map(drop),
    );
    other(here.slice_of([here.str("a")?, there.str("b")?]).map(drop));
    other(here.map([(1, there.str("b")?)]).map(drop));
    other(here.hash_map([(there.str("b")?, 1)]).map(drop));
    other(here.build(there.map([(1, 2)])?).map(drop));
    other(here.build(there.hash_map([(1, 2)])?).map(drop));
    other(there.set(&mut here.build(1)?, 2));
    let (mut own, foreign) = (here.build(here.str("a")?)?, there.str("b")?);
    other(here.set(&mut own, foreign));
    // What points nowhere is at home everywhere.
    here.build((Str::empty(), Slice::<u8>::empty(), there.build(())?))?;
    Ok(())
}

#[test]
fn a_value_is_replaced_in_its_place() -> Result<(), ScopeError> {
    let scope = Scope::private(4096);
    let mut value = scope.build((1_u8, Some(scope.str("one")?)))?;
    let address = Ptr::address(&value);
    scope.set(&mut value, (2, Some(scope.str("two")?)))?;
    assert_eq!((value.0, value.1.as_deref()), (2, Some("two")));
    assert_eq!(Ptr::address(&value), address);
    Ok(())
}

#[test]
fn an_iterator_that_lies_about_its_length_gives_what_it_has() -> Result<(), ScopeError> {
    struct Liar {
        says: usize,
        has: std::ops::Range<u32>,
    }
    impl Iterator for Liar {
        type Item = u32;
        fn next(&mut self) -> Option<u32> {
            self.has.next()
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (self.says, Some(self.says))
        }
    }
    impl ExactSizeIterator for Liar {
        fn len(&self) -> usize {
            self.says
        }
    }
    let scope = Scope::private(4096);
    let fewer = scope.slice_of(Liar { says: 5, has: 0..3 })?;
    assert_eq!(*fewer, [0, 1, 2]);
    let more = scope.slice_of(Liar { says: 5, has: 0..9 })?;
    assert_eq!(*more, [0, 1, 2, 3, 4]);
    let none = scope.slice_of(Liar { says: 5, has: 0..0 })?;
    assert!(none.is_empty());
    let next = scope.slice(&[7_u32])?;
    assert_eq!((&*more, &*next), (&[0, 1, 2, 3, 4][..], &[7][..]));
    Ok(())
}

#[test]
fn items_may_be_built_while_the_slice_is() -> Result<(), ScopeError> {
    let scope = Scope::private(4096);
    let texts = ["a", "bc", "def"];
    let slice = scope.slice_of(texts.map(|text| scope.str(text).expect("there is room")))?;
    assert_eq!(*slice, texts);
    let lazily = texts
        .iter()
        .map(|text| scope.str(text).expect("there is room"));
    assert_eq!(*scope.slice_of(lazily)?, texts);
    Ok(())
}

/// A value with every bit of the stack below it set, and then moved about.
#[inline(never)]
fn dirty<T>(make: impl FnOnce() -> T) -> T {
    #[inline(never)]
    fn soil() -> u64 {
        let stack = std::hint::black_box([0xAA_u8; 4096]);
        stack.iter().map(|byte| u64::from(*byte)).sum()
    }
    std::hint::black_box(soil());
    std::hint::black_box(make())
}

/// What was written for `value`, into a scope full of 0xAA.
fn written<T: Shared>(value: T) -> Vec<u8> {
    let mut scope = Scope::private(4096);
    scope.prefill(0xAA);
    let _ = scope.build(value).expect("there is room");
    scope.bytes_used()
}

#[test]
fn padding_carries_nothing() {
    let clean = |bytes: Vec<u8>| assert!(!bytes.contains(&0xAA), "{bytes:x?}");
    clean(written(dirty(|| (1_u8, 2_u32))));
    clean(written(dirty(|| (1_u8, 2_u64, 3_u16))));
    clean(written(dirty(|| [(1_u16, 2_u8); 3])));
    clean(written(dirty(|| Some(5_u64))));
    clean(written(dirty(|| None::<u64>)));
    clean(written(dirty(|| None::<[u64; 8]>)));
    clean(written(dirty(|| (Some(1_u16), None::<u128>, true))));
    clean(written(dirty(|| None::<(char, u64)>)));
    clean(written(dirty(|| Some(('x', 1_u64)))));
    clean(written(dirty(|| Some(Some((1_u8, 7_u32))))));
    clean(written(dirty(|| 7_u8)));
    clean(written(dirty(|| [1_u8; 13])));
}

#[test]
fn padding_of_slices_carries_nothing() -> Result<(), ScopeError> {
    let mut scope = Scope::private(1 << 16);
    scope.prefill(0xAA);
    {
        let items = dirty(|| [(1_u8, 2_u32), (3, 4)]);
        scope.slice(&items)?;
        scope.slice_of(items)?;
        scope.str("abc")?;
        scope.slice(&[1_u8; 17])?;
        scope.build(1_u8)?;
        scope.build(1_u128)?;
        scope.fill(3, |bytes| bytes[0] = 1)?;
        scope.map([dirty(|| (1_u8, (2_u64, 3_u8))), (2, (3, 4))])?;
        let mut value = scope.build(dirty(|| (1_u64, 2_u8)))?;
        scope.set(&mut value, dirty(|| (3_u64, 4_u8)))?;
    }
    let bytes = scope.bytes_used();
    assert!(!bytes.contains(&0xAA), "{bytes:x?}");
    Ok(())
}

#[test]
fn padding_that_is_dirty_is_left_behind() -> Result<(), ScopeError> {
    let mut items = MaybeUninit::<[(u8, u64); 4]>::uninit();
    // SAFETY: the memory is ours.
    unsafe { items.as_mut_ptr().write_bytes(0xAA, 1) };
    // SAFETY: numbers may be anything.
    let items = unsafe { items.assume_init_ref() };
    let numbers: Vec<u8> = items.iter().map(|item| item.0).collect();
    assert_eq!(numbers, [0xAA; 4]);
    let mut scope = Scope::private(4096);
    let _ = scope.slice(items)?;
    let bytes = scope.bytes_used();
    let dirty = bytes.iter().filter(|byte| **byte == 0xAA).count();
    assert_eq!((bytes.len(), dirty), (64, 4 * 9), "{bytes:x?}");
    Ok(())
}

#[test]
fn padding_of_what_travels_in_the_message_carries_nothing() {
    let bytes = inline(&dirty(|| (1_u64, Some(2_u32), 3_u8)));
    assert!(
        bytes.iter().all(|word| !word.to_ne_bytes().contains(&0xAA)),
        "{bytes:x?}"
    );
    let there = check_copy::<(u64, Option<u32>, u8)>(&[], 0, bytes).expect("nothing is wrong");
    assert_eq!(*there.get(), (1, Some(2), 3));
}

#[test]
fn what_is_built_may_be_read_by_other_threads() -> Result<(), ScopeError> {
    let scope = Scope::private(4096);
    let text = scope.build(scope.str("text")?)?;
    std::thread::scope(|threads| {
        threads.spawn(|| assert_eq!(*text, "text"));
        threads.spawn(|| assert_eq!(text.len(), 4));
    });
    Ok(())
}

#[test]
fn what_was_checked_outlives_the_thread_that_checked_it() {
    let mut scope = Scope::private(4096);
    let root = inline(&scope.str("text").expect("there is room"));
    let base = scope.address();
    let there = std::thread::spawn(move || {
        check_copy::<Str<'_>>(&scope.bytes_used(), base, root).expect("nothing is wrong")
    });
    assert_eq!(*there.join().expect("it ends").get(), "text");
}
