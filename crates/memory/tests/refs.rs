//! What one process can do with references.

mod passing;

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use nowire_memory::refs::{Buffer, Edit, PAGE_BYTES, Pool, PoolError, Ref, RefError, View};
use passing::{pattern, pool};

#[test]
fn refs_go_from_thread_to_thread() {
    fn anywhere<T: Send + Sync + 'static>() {}
    anywhere::<Pool>();
    anywhere::<Buffer>();
    anywhere::<Ref>();
    anywhere::<View>();
    anywhere::<Edit>();
    assert_eq!(size_of::<Ref>(), size_of::<usize>());
}

fn bytes_of(shared: &Ref) -> Vec<u8> {
    shared.map().expect("a view").to_vec()
}

#[test]
fn a_ref_and_its_slices_show_what_was_written() {
    let pool = pool();
    for len in [1, 4095, 4096, 4097, 100_000] {
        let data = pattern(len, len);
        let shared = pool.copy_of(&data).expect("memory");
        assert_eq!(bytes_of(&shared), data);
        for range in [0..len, 0..1, len - 1..len, len / 3..len / 2, len..len] {
            let part = shared.slice(range.clone()).expect("inside");
            assert_eq!(part.len(), range.len());
            assert_eq!(bytes_of(&part), data[range.clone()]);
            let mut read = vec![0; range.len()];
            shared.read(range.start, &mut read).expect("inside");
            assert_eq!(read, data[range]);
        }
    }
}

#[test]
fn slices_of_slices_count_from_their_own_start() {
    let data = pattern(10_000, 1);
    let shared = pool().copy_of(&data).expect("memory");
    let part = shared.slice(1000..=8999).expect("inside");
    let part = part.slice(4000..).expect("inside");
    assert_eq!(bytes_of(&part), data[5000..9000]);
}

#[test]
fn a_range_outside_is_refused_with_its_numbers() {
    let shared = pool().copy_of(&[1; 100]).expect("memory");
    assert!(matches!(
        shared.slice(50..101),
        Err(RefError::Range {
            start: 50,
            end: 101,
            len_bytes: 100
        })
    ));
    assert!(shared.slice(..=usize::MAX).is_err());
    assert!(shared.read(usize::MAX, &mut [0; 2]).is_err());
    let mut edit = shared.edit(&pool()).expect("an edit");
    assert!(matches!(
        edit.write(99, &[0; 2]),
        Err(RefError::Range { end: 101, .. })
    ));
    assert!(edit.bytes_mut(100..101).is_err());
    assert_eq!(edit.own_pages(), 0);
}

#[test]
fn nothing_is_a_ref_too() {
    let pool = pool();
    for empty in [
        pool.alloc(0).expect("no memory needed").share(),
        pool.with_capacity(10).expect("memory").share(),
        pool.copy_of(&[]).expect("no memory needed"),
    ] {
        assert!(empty.is_empty());
        assert_eq!(&*empty.map().expect("a view"), &[] as &[u8]);
        let edit = empty.edit(&pool).expect("an edit");
        assert!(edit.share().is_empty());
    }
    assert_eq!(pool.usage().live_bytes, 0);
}

#[test]
fn sharing_moves_nothing() {
    let pool = pool();
    let mut buffer = pool.alloc(1 << 20).expect("memory");
    buffer[123] = 45;
    let written = buffer.as_ptr();
    let shared = buffer.share();
    let view = shared.map().expect("a view");
    assert_eq!(view.as_ptr(), written);
    assert!(view.in_place());
    let part = shared
        .slice(123..124)
        .expect("inside")
        .map()
        .expect("a view");
    assert_eq!(part.as_ptr(), written.wrapping_add(123));
    assert_eq!(*part, [45]);
}

#[test]
fn a_view_outlives_its_ref() {
    let pool = pool();
    let data = pattern(5000, 2);
    let view = pool.copy_of(&data).expect("memory").map().expect("a view");
    for _ in 0..10 {
        drop(pool.copy_of(&[0; 5000]).expect("other memory"));
    }
    assert_eq!(*view, data);
}

#[test]
fn a_buffer_takes_as_much_as_it_says_and_no_more() {
    let mut buffer = pool().with_capacity(10_000).expect("memory");
    assert!(buffer.is_empty() && buffer.capacity() >= 10_000);
    let capacity = buffer.capacity();
    let data = pattern(capacity, 3);
    buffer.extend_from_slice(&data[..7]).expect("room");
    buffer.write_all(&data[7..]).expect("room");
    assert_eq!(&*buffer, &data);
    assert!(matches!(
        buffer.extend_from_slice(&[1, 2]),
        Err(PoolError::Capacity { asked_bytes: 2, .. })
    ));
    let error = buffer.write_all(&[1]).expect_err("it is full");
    assert_eq!(error.kind(), std::io::ErrorKind::WriteZero);
    assert_eq!(&*buffer, &data);
    buffer.truncate(5);
    buffer.extend_from_slice(b"more").expect("room");
    assert_eq!(bytes_of(&buffer.share()), [&data[..5], b"more"].concat());
}

#[test]
fn memory_that_is_used_again_is_zero_where_zeroes_are_promised() {
    let pool = pool();
    let mut first = pool.alloc(8192).expect("memory");
    first.fill(9);
    let place = first.as_ptr();
    drop(first);
    let second = pool.alloc(5000).expect("memory");
    assert_eq!(second.as_ptr(), place, "the same memory");
    assert_eq!(&*second, &[0; 5000]);
}

#[test]
fn a_partial_write_copies_the_pages_it_touches_and_no_other() {
    let pool = pool();
    let data = pattern(10 * PAGE_BYTES, 4);
    let base = pool.copy_of(&data).expect("memory");
    let mut expected = data.clone();
    let mut edit = base.edit(&pool).expect("an edit");

    edit.write(2 * PAGE_BYTES + 5, b"inside one page")
        .expect("memory");
    expected[2 * PAGE_BYTES + 5..][..15].copy_from_slice(b"inside one page");
    assert_eq!((edit.copied_pages(), edit.own_pages()), (1, 1));

    edit.write(5 * PAGE_BYTES - 3, b"border").expect("memory");
    expected[5 * PAGE_BYTES - 3..][..6].copy_from_slice(b"border");
    assert_eq!((edit.copied_pages(), edit.own_pages()), (3, 3));

    // Again, where nothing is left to copy.
    edit.write(2 * PAGE_BYTES, b"x").expect("memory");
    expected[2 * PAGE_BYTES] = b'x';
    assert_eq!((edit.copied_pages(), edit.own_pages()), (3, 3));

    // Two parts of pages, and two whole ones between them.
    let long = pattern(3 * PAGE_BYTES, 5);
    edit.write(6 * PAGE_BYTES + 100, &long).expect("memory");
    expected[6 * PAGE_BYTES + 100..][..long.len()].copy_from_slice(&long);
    assert_eq!((edit.copied_pages(), edit.own_pages()), (5, 7));

    assert_eq!(&*edit.map().expect("a view"), &expected);
    let mut read = vec![0; expected.len() - 7];
    edit.read(7, &mut read).expect("inside");
    assert_eq!(read, expected[7..]);
    assert_eq!(bytes_of(&edit.share()), expected);
    assert_eq!(bytes_of(&base), data);
}

#[test]
fn whole_pages_are_replaced_without_a_copy() {
    let pool = pool();
    let len = 4 * PAGE_BYTES + 10;
    let base = pool.copy_of(&pattern(len, 6)).expect("memory");
    let mut edit = base.edit(&pool).expect("an edit");
    let new = pattern(len, 7);
    // The last one is whole although it is short.
    edit.write(PAGE_BYTES, &new[PAGE_BYTES..]).expect("memory");
    assert_eq!((edit.copied_pages(), edit.own_pages()), (0, 4));
    let mut read = vec![0; len - PAGE_BYTES];
    edit.read(PAGE_BYTES, &mut read).expect("inside");
    assert_eq!(read, new[PAGE_BYTES..]);
}

#[test]
fn what_nobody_writes_takes_no_memory() {
    let pool = pool();
    let base = pool.copy_of(&pattern(1 << 20, 8)).expect("memory");
    let before = pool.usage().live_bytes;
    let mut edit = base.edit(&pool).expect("an edit");
    edit.write(500_000, b"a few bytes").expect("memory");
    let edited = edit.share();
    assert_eq!(pool.usage().live_bytes, before + PAGE_BYTES);
    assert_eq!(edited.len(), base.len());
    let unchanged = base.edit(&pool).expect("an edit").share();
    assert_eq!(pool.usage().live_bytes, before + PAGE_BYTES);
    assert_eq!(bytes_of(&unchanged), bytes_of(&base));
}

#[test]
fn an_edit_that_is_dropped_leaves_nothing() {
    let pool = pool();
    let data = pattern(20_000, 9);
    let base = pool.copy_of(&data).expect("memory");
    let before = pool.usage().live_bytes;
    let mut edit = base.edit(&pool).expect("an edit");
    edit.bytes_mut(..).expect("memory").fill(0);
    drop(edit);
    assert_eq!(pool.usage().live_bytes, before);
    assert_eq!(bytes_of(&base), data);
}

#[test]
fn bytes_are_changed_in_place_wherever_their_pages_lie() {
    let pool = pool();
    let mut expected = pattern(9 * PAGE_BYTES - 7, 10);
    let base = pool.copy_of(&expected).expect("memory");
    let mut edit = base.edit(&pool).expect("an edit");
    // Pages in an order of their own.
    for page in [6, 1, 3, 2] {
        edit.write(page * PAGE_BYTES + 1, &[page as u8])
            .expect("memory");
        expected[page * PAGE_BYTES + 1] = page as u8;
    }
    let range = PAGE_BYTES + 100..expected.len() - 3;
    let bytes = edit.bytes_mut(range.clone()).expect("memory");
    assert_eq!(bytes, &expected[range.clone()]);
    bytes.reverse();
    expected[range.clone()].reverse();
    assert_eq!(edit.own_pages(), 8);
    let place = edit.bytes_mut(range.clone()).expect("there").as_ptr();
    assert_eq!(edit.bytes_mut(range).expect("there").as_ptr(), place);
    assert_eq!(&*edit.map().expect("a view"), &expected);
    assert_eq!(edit.bytes_mut(0..0).expect("nothing"), &[] as &[u8]);
    assert_eq!(bytes_of(&edit.share()), expected);
}

#[test]
fn a_chain_of_ten_edits_leaves_every_link_as_it_was() {
    let pool = pool();
    let mut links = vec![pattern(20 * PAGE_BYTES + 33, 11)];
    let mut refs = vec![pool.copy_of(&links[0]).expect("memory")];
    for link in 1..=10 {
        let mut bytes = links[link - 1].clone();
        let mut edit = refs[link - 1].edit(&pool).expect("an edit");
        for (offset, len) in [(link * 5000, 10 * link), (link * 7001, PAGE_BYTES)] {
            let new = pattern(len, 100 + link);
            edit.write(offset, &new).expect("memory");
            bytes[offset..offset + len].copy_from_slice(&new);
        }
        links.push(bytes);
        refs.push(edit.share());
    }
    for (shared, bytes) in refs.iter().zip(&links) {
        assert_eq!(&bytes_of(shared), bytes);
    }
    // The last link does not need the refs before it.
    let last = refs.pop().expect("eleven links");
    drop(refs);
    assert_eq!(Some(&bytes_of(&last)), links.last());
}

#[test]
fn large_refs_of_old_and_new_pages_are_mapped_side_by_side() {
    let pool = pool();
    let mut expected = pattern(1 << 20, 12);
    let base = pool.copy_of(&expected).expect("memory");
    let mut edit = base.edit(&pool).expect("an edit");
    edit.write(300_000, b"new").expect("memory");
    expected[300_000..300_003].copy_from_slice(b"new");
    {
        let view = edit.map().expect("a view");
        assert_eq!(&*view, &expected);
    }
    let edited = edit.share();
    let view = edited.map().expect("a view");
    assert!(view.in_place());
    drop((base, edited));
    for _ in 0..3 {
        drop(pool.copy_of(&[0; 1 << 20]).expect("memory"));
    }
    assert_eq!(&*view, &expected);
}

#[test]
fn a_creator_that_goes_on_writing_does_not_disturb_a_reader() {
    let pool = pool();
    let data = pattern(64 * PAGE_BYTES, 13);
    let base = pool.copy_of(&data).expect("memory");
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let view = base.map().expect("a view");
            let mut scans = 0;
            while !done.load(Ordering::Acquire) || scans == 0 {
                assert!(*view == data, "a byte changed under the reader");
                scans += 1;
            }
        });
        let mut newest = base.clone();
        for round in 0..300 {
            let mut edit = newest.edit(&pool).expect("an edit");
            let page = round % 64;
            let new = pattern(PAGE_BYTES, round);
            edit.write(page * PAGE_BYTES, &new).expect("memory");
            edit.bytes_mut(page * PAGE_BYTES..).expect("memory")[1] = 0;
            newest = edit.share();
            let mut start = [1; 2];
            newest.read(page * PAGE_BYTES, &mut start).expect("inside");
            assert_eq!(start, [new[0], 0]);
        }
        done.store(true, Ordering::Release);
        reader.join().expect("the reader saw no change");
    });
}

#[test]
fn the_last_owner_writes_in_place_and_nobody_before_it() {
    let pool = pool();
    let data = pattern(3 * PAGE_BYTES, 14);
    let mut shared = pool.copy_of(&data).expect("memory");
    let place = shared.map().expect("a view").as_ptr();

    let clone = shared.clone();
    shared = shared.try_into_buffer().expect_err("a clone has it");
    drop(clone);
    let part = shared.slice(10..20).expect("inside");
    shared = shared.try_into_buffer().expect_err("a slice has it");
    let part = part.try_into_buffer().expect_err("it is a slice");
    drop(part);
    let view = shared.map().expect("a view");
    shared = shared.try_into_buffer().expect_err("a view has it");
    drop(view);
    let edit = shared.edit(&pool).expect("an edit");
    shared = shared.try_into_buffer().expect_err("an edit has it");
    drop(edit);

    let mut buffer = shared.try_into_buffer().expect("nobody has it");
    assert_eq!(buffer.as_ptr(), place);
    assert_eq!(&*buffer, &data);
    buffer[0] = !data[0];
    assert_eq!(bytes_of(&buffer.share())[0], !data[0]);
}

#[test]
fn an_edit_that_replaced_everything_does_not_keep_the_base() {
    let pool = pool();
    let base = pool.copy_of(&pattern(8 * PAGE_BYTES, 15)).expect("memory");
    let mut edit = base.edit(&pool).expect("an edit");
    let new = pattern(8 * PAGE_BYTES, 16);
    edit.write(0, &new).expect("memory");
    let edited = edit.share();
    drop(base);
    assert_eq!(pool.usage().live_bytes, 8 * PAGE_BYTES);
    let buffer = edited.try_into_buffer().expect("one segment, one owner");
    assert_eq!(&*buffer, &new);
}
