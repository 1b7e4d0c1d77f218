//! What the owner of a heap is lent back of it, by a peer that may say anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nowire_memory::data::{CheckBuffers, Ptr, ScopeError, Slice, Str, inline};
use nowire_memory::heap::{Heap, PAGE_BYTES, RUN_HEADER_BYTES, Run, TakeError, Taken};
use proptest::prelude::*;

type Named<'s> = (Str<'s>, Slice<'s, u64>);

fn heap(label: &str) -> Heap {
    let heap = Heap::reserve(64 << 20, 16 << 20, label).expect("a window of 64 MiB");
    heap.grow(64).expect("memory for the heap").open();
    heap
}

/// What the peer lends with a pointer to that address.
fn lent(
    run: &Arc<Run>,
    address: usize,
    bytes: u32,
) -> Result<Taken<Ptr<'static, Named<'static>>>, TakeError> {
    let words = [address as u64, 0, 0, 0];
    run.take_back(&words, bytes, &mut CheckBuffers::default())
}

#[test]
fn what_is_lent_back_is_read_where_it_was_built_and_stays_as_it_is() -> Result<(), ScopeError> {
    let heap = heap("lent");
    let run = heap.allocate(1).expect("room");
    let mut scope = Arc::clone(&run).scope();
    let mut built = scope.build((scope.str("name")?, scope.slice(&[1, 2, 3])?))?;
    let address = Ptr::address(&built);
    let bytes = run.used_bytes();
    let taken = lent(&run, address, bytes).expect("it is good");
    drop(run);
    assert_eq!(Ptr::address(taken.get()), address);
    assert!(!taken.in_place(), "no memory of the peer's");
    let other: Named<'_> = (scope.str("other")?, Slice::empty());
    assert_eq!(scope.set(&mut built, other), Err(ScopeError::Held));
    assert_eq!(scope.reset(), Err(ScopeError::Held));
    assert_eq!(&*taken.get().0, "name");
    drop(taken);
    scope.reset()?;

    let built = scope.build((scope.str("last")?, Slice::<u64>::empty()))?;
    let (address, run) = (Ptr::address(&built), heap.find(Ptr::address(&built)));
    let taken = lent(&run.expect("it is there"), address, bytes).expect("it is good");
    drop(scope);
    drop(heap);
    assert_eq!(&*taken.get().0, "last");
    Ok(())
}

#[test]
fn nothing_but_what_was_given_is_lent_back() -> Result<(), ScopeError> {
    let heap = heap("given");
    let run = heap.allocate(2).expect("room");
    let next = heap.allocate(1).expect("room").scope();
    let scope = Arc::clone(&run).scope();
    // As a header, and as whatever else it is taken for, it would be good.
    let given = scope.build((Str::empty(), Slice::<u64>::empty()))?;
    let bytes = run.used_bytes();
    let later = scope.build((scope.str("later")?, Slice::<u64>::empty()))?;
    let elsewhere = next.build((Str::empty(), Slice::<u64>::empty()))?;
    let start = heap.base() as usize + run.page() as usize * PAGE_BYTES;
    assert!(lent(&run, Ptr::address(&given), bytes).is_ok());
    for (address, why) in [
        (0, "null"),
        (start, "the header"),
        (start + RUN_HEADER_BYTES - 8, "half in the header"),
        (Ptr::address(&given) + 4, "not aligned"),
        (Ptr::address(&given) + 8, "it ends outside"),
        (Ptr::address(&later), "not given yet"),
        (Ptr::address(&elsewhere), "another run"),
        (start - 8, "before the run"),
        (usize::MAX - 7, "the end of all addresses"),
    ] {
        let refused = lent(&run, address, bytes).expect_err(why);
        assert!(refused.is_misbehaviour(), "{why}: {refused}");
    }
    assert!(lent(&run, Ptr::address(&later), run.used_bytes()).is_ok());
    let short = run.take_back::<Named<'_>>(&[0; 3], bytes, &mut CheckBuffers::default());
    assert!(matches!(short, Err(TakeError::Short { .. })));
    Ok(())
}

#[test]
fn bytes_that_look_like_pointers_into_the_header_are_refused() -> Result<(), ScopeError> {
    let heap = heap("bytes");
    let run = heap.allocate(1).expect("room");
    let scope = Arc::clone(&run).scope();
    let start = (heap.base() as usize + run.page() as usize * PAGE_BYTES) as u64;
    // What a client may build of what somebody else told it.
    let words = scope.slice(&[start, 8_u64, 8, 0])?;
    scope.build(0_u8)?;
    let refused = lent(&run, words.as_ptr().addr(), run.used_bytes()).expect_err("its header");
    assert!(refused.is_misbehaviour(), "{refused}");
    let text = scope.str("a text!!")?.as_ptr().addr() as u64;
    let words = scope.slice(&[text, 8_u64, 8, 0])?;
    scope.build(0_u8)?;
    let taken = lent(&run, words.as_ptr().addr(), run.used_bytes()).expect("text, by chance");
    assert_eq!(&*taken.get().0, "a text!!");
    Ok(())
}

#[test]
fn what_is_being_filled_is_not_looked_at() -> Result<(), ScopeError> {
    let heap = heap("filled");
    let run = heap.allocate(4).expect("room");
    let scope = Arc::clone(&run).scope();
    let before = scope.build((scope.str("before")?, Slice::<u64>::empty()))?;
    let named = |text| Ok::<Named<'_>, ScopeError>((scope.str(text)?, Slice::empty()));
    scope.fill(64, |_| {
        let meanwhile = scope
            .build(named("meanwhile").expect("room"))
            .expect("room");
        let bytes = run.used_bytes();
        assert!(lent(&run, Ptr::address(&before), bytes).is_ok());
        let refused = lent(&run, Ptr::address(&meanwhile), bytes).expect_err("not settled");
        assert!(matches!(refused, TakeError::Unsettled(_)), "{refused}");
        assert!(!refused.is_misbehaviour());
        let items = ["one", "two"].map(|text| named(text).expect("room"));
        let within = scope.slice_of(items).expect("room");
        assert!(lent(&run, within.as_ptr().addr(), run.used_bytes()).is_err());
    })?;
    let after = scope.build(named("after")?)?;
    let taken = lent(&run, Ptr::address(&after), run.used_bytes()).expect("all is settled");
    assert_eq!(&*taken.get().0, "after");
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        scope.fill(8, |_| std::panic::panic_any(()))
    }));
    assert!(unwound.is_err());
    let last = scope.build(named("last")?)?;
    assert!(lent(&run, Ptr::address(&last), run.used_bytes()).is_ok());
    Ok(())
}

#[test]
fn what_is_lent_back_is_read_while_another_thread_builds_behind_it() {
    let heap = heap("behind");
    let run = heap.allocate(60).expect("room");
    let scope = Arc::clone(&run).scope();
    let name = scope.str("the name that stays").expect("room");
    let built = scope.build((name, Slice::<u64>::empty())).expect("room");
    let (address, bytes) = (Ptr::address(&built), run.used_bytes());
    let full = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let mut times = 0;
            while !full.load(Ordering::Relaxed) || times == 0 {
                // Also when the peer names all there is by now.
                for bytes in [bytes, run.used_bytes()] {
                    let taken = lent(&run, address, bytes).expect("it is good");
                    assert_eq!(&*taken.get().0, "the name that stays");
                }
                times += 1;
            }
        });
        while scope
            .build((scope.str("x").unwrap_or_default(), 1_u64))
            .is_ok()
        {
            let filled = scope.fill(100, |bytes| bytes.fill(7));
            drop(filled);
        }
        full.store(true, Ordering::Relaxed);
        reader.join().expect("it read what it was lent");
    });
}

#[test]
fn a_root_in_the_message_may_hold_more_than_a_pointer() -> Result<(), ScopeError> {
    let heap = heap("more");
    let run = heap.allocate(1).expect("room");
    let scope = Arc::clone(&run).scope();
    let built = scope.build((scope.str("name")?, scope.slice(&[1_u64])?))?;
    let root: Option<(u64, Ptr<'_, Named<'_>>)> = Some((9, built));
    let words = inline(&root);
    let mut buffers = CheckBuffers::default();
    let taken: Taken<Option<(u64, Ptr<'_, Named<'_>>)>> = run
        .take_back(&words, run.used_bytes(), &mut buffers)
        .expect("it is good");
    let Some((number, there)) = taken.get() else {
        panic!("there is one")
    };
    assert_eq!((*number, &*there.0), (9, "name"));
    Ok(())
}

type Numbers<'s> = (Slice<'s, u64>, Slice<'s, u64>);

proptest! {
    #[test]
    fn whatever_lies_there_and_wherever_it_is_said_to_be_what_is_read_was_given(
        slices in prop::collection::vec((0_u64..70, 0_u64..6), 32),
        at in 0_usize..34,
        given_words in 32_u32..70,
    ) {
        let heap = heap("anything");
        let run = heap.allocate(1).expect("room");
        let scope = Arc::clone(&run).scope();
        let start = heap.base() as usize + run.page() as usize * PAGE_BYTES;
        // What looks like slices, that lead to each other or out of what was given.
        let words = slices.iter().flat_map(|(word, len)| [start as u64 + word * 8, *len]);
        let words: Vec<u64> = words.collect();
        scope.slice(&words).expect("room");
        scope.build(0_u8).expect("room");
        let given_bytes = RUN_HEADER_BYTES as u32 + given_words * 8;
        let root = [(start + RUN_HEADER_BYTES + at * 16) as u64, 0, 0, 0];
        let mut buffers = CheckBuffers::default();
        let taken = run.take_back::<Ptr<'static, Numbers<'static>>>(&root, given_bytes, &mut buffers);
        let Ok(taken) = taken else {
            return Ok(());
        };
        let (first, second) = &**taken.get();
        let root = Ptr::address(taken.get());
        let mut pieces = Vec::new();
        pieces.push(root..root + size_of::<Numbers<'_>>());
        for numbers in [first, second].into_iter().filter(|numbers| !numbers.is_empty()) {
            let range = numbers.as_ptr_range();
            pieces.push(range.start.addr()..range.end.addr());
        }
        let given = start + RUN_HEADER_BYTES..start + given_bytes.min(run.used_bytes()) as usize;
        pieces.sort_by_key(|piece| piece.start);
        prop_assert!(pieces[0].start >= given.start);
        prop_assert!(pieces.iter().all(|piece| piece.end <= given.end));
        prop_assert!(pieces.is_sorted_by(|before, after| before.end <= after.start));
    }
}
