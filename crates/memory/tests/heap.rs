//! What the owner of a heap can rely on.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::sync::Arc;

use nowire_memory::data::{Ptr, Scope, ScopeError};
use nowire_memory::heap::{
    Crossover, Heap, HeapError, MAX_UNSEALED, MAX_WINDOW_BYTES, MIN_WINDOW_BYTES, PAGE_BYTES,
    PeerHeap, PeerHeapError, RUN_HEADER_BYTES, Run,
};
use rustix::io::Errno;

const MIB: u64 = 1 << 20;

fn heap(quota_bytes: u64, label: &str) -> Heap {
    Heap::reserve(64 * MIB, quota_bytes, label).expect("a window of 64 MiB")
}

fn grow(heap: &Heap, at_least_pages: u32) -> u32 {
    let grown = heap.grow(at_least_pages).expect("memory for the heap");
    let pages = grown.pages;
    grown.open();
    pages
}

/// The lines of this process's mappings that bear the label.
fn mappings(label: &str) -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("own mappings");
    let name = format!("memfd:{label} ");
    maps.lines()
        .filter(|line| line.contains(&name))
        .map(str::to_owned)
        .collect()
}

#[test]
fn heaps_can_be_used_from_every_thread() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<Heap>();
    shared::<PeerHeap>();
    shared::<Run>();
    sent::<Scope>();
}

#[test]
fn every_heap_gets_an_aligned_window_of_its_own() {
    let heaps: Vec<Heap> = (0..8).map(|_| heap(MIB, "windows")).collect();
    let bases: HashSet<u64> = heaps.iter().map(Heap::base).collect();
    assert_eq!(bases.len(), heaps.len());
    for heap in &heaps {
        assert_eq!(heap.base() % heap.window_bytes(), 0);
        assert_eq!(heap.window_bytes(), 64 * MIB);
        assert_eq!(heap.size_bytes(), 0, "a window costs no memory");
    }
}

#[test]
fn a_window_that_is_taken_is_not_taken_again() {
    let first = heap(MIB, "taken");
    let again = Heap::reserve_at(first.base(), 64 * MIB, MIB, "again");
    assert!(
        matches!(
            again,
            Err(HeapError::NoAddress {
                source: Errno::EXIST,
                ..
            })
        ),
        "{again:?}"
    );
    let base = first.base();
    drop(first);
    let again = Heap::reserve_at(base, 64 * MIB, MIB, "again").expect("the window is free again");
    assert_eq!(again.base(), base);
}

#[test]
fn windows_of_impossible_sizes_or_places_are_refused() {
    for window_bytes in [
        0,
        1,
        MIN_WINDOW_BYTES / 2,
        3 * MIB,
        MAX_WINDOW_BYTES * 2,
        u64::MAX,
    ] {
        let refused = Heap::reserve(window_bytes, MIB, "size");
        assert!(
            matches!(refused, Err(HeapError::Window { window_bytes: w }) if w == window_bytes),
            "{refused:?}"
        );
        let refused = PeerHeap::reserve(0x2000_0000_0000, window_bytes);
        assert!(
            matches!(
                refused,
                Err(PeerHeapError::Window(HeapError::Window { .. }))
            ),
            "{refused:?}"
        );
    }
    let good = 0x2000_0000_0000_u64;
    for base in [
        0,
        4096,
        good + 4096,
        0x0fff_fff0_0000,
        0x5000_0000_0000,
        0x7fff_ffff_0000,
        u64::MAX,
        u64::MAX - MIB + 1,
    ] {
        let refused = PeerHeap::reserve(base, MIB);
        assert!(
            matches!(
                refused,
                Err(PeerHeapError::Window(HeapError::Misplaced { base: b, .. })) if b == base
            ),
            "{refused:?}"
        );
        let refused = Heap::reserve_at(base, MIB, MIB, "place");
        assert!(
            matches!(refused, Err(HeapError::Misplaced { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn nothing_is_allocated_before_the_peer_was_told_of_the_segment() {
    let heap = heap(MIB, "unannounced");
    assert!(heap.allocate(1).is_none(), "an empty heap");
    let grown = heap.grow(1).expect("memory");
    assert!(heap.allocate(1).is_none(), "the peer has not been told");
    grown.open();
    assert!(heap.allocate(1).is_some());
}

#[test]
fn a_heap_doubles_from_256_kib_in_steps_of_at_most_16_mib() {
    let heap = heap(64 * MIB, "doubling");
    let steps: Vec<u32> = (0..9).map(|_| grow(&heap, 1)).collect();
    assert_eq!(steps, [64, 64, 128, 256, 512, 1024, 2048, 4096, 4096]);
    assert_eq!(heap.size_bytes() as u64, 48 * MIB);
}

#[test]
fn a_request_larger_than_the_step_gets_what_it_asked_for() {
    let heap = heap(64 * MIB, "large");
    assert_eq!(grow(&heap, 5000), 5008, "in whole pieces of 64 KiB");
    let run = heap.allocate(5000).expect("as much as was asked for");
    assert_eq!(run.pages(), 5000);
}

#[test]
fn a_heap_stops_at_its_quota_and_names_it() {
    let heap = heap(MIB, "quota");
    assert_eq!(grow(&heap, 1) + grow(&heap, 1), 128);
    assert_eq!(grow(&heap, 1), 128, "what is left of the quota");
    match heap.grow(1) {
        Err(
            error @ HeapError::Quota {
                quota_bytes,
                used_bytes,
                asked_bytes,
            },
        ) => {
            assert_eq!((quota_bytes, used_bytes, asked_bytes), (MIB, MIB, 65_536));
            assert!(error.to_string().contains("1048576"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    let refused = heap.grow_sealable(1);
    assert!(
        matches!(refused, Err(HeapError::Quota { .. })),
        "{refused:?}"
    );
    let refused = heap.grow(u32::MAX);
    assert!(
        matches!(refused, Err(HeapError::Quota { .. })),
        "{refused:?}"
    );
}

#[test]
fn the_step_shrinks_to_what_the_quota_leaves() {
    let heap = heap(5 * MIB / 16, "little");
    assert_eq!(grow(&heap, 1), 64);
    assert_eq!(grow(&heap, 1), 16);
}

#[test]
fn a_window_without_room_says_so() {
    let heap = Heap::reserve(MIB, 64 * MIB, "full").expect("a window of 1 MiB");
    let refused = heap.grow(257);
    assert!(
        matches!(
            refused,
            Err(HeapError::WindowFull {
                window_bytes: MIB,
                ..
            })
        ),
        "{refused:?}"
    );
    for _ in 0..3 {
        grow(&heap, 1);
    }
    assert_eq!(heap.size_bytes() as u64, MIB, "the window can be filled");
    let refused = heap.grow(1);
    assert!(
        matches!(refused, Err(HeapError::WindowFull { .. })),
        "{refused:?}"
    );
}

#[test]
fn shrinking_gives_back_the_segments_in_which_nothing_is_allocated() {
    let heap = heap(64 * MIB, "shrink");
    for _ in 0..4 {
        grow(&heap, 1);
    }
    assert_eq!(mappings("shrink").len(), 4);
    let mut runs: Vec<Arc<Run>> = std::iter::from_fn(|| heap.allocate(1)).collect();
    assert_eq!(runs.len(), 512);
    assert_eq!(heap.shrink(), [], "everything is in use");
    let last = runs.iter().map(|run| run.page()).max().expect("512 runs");
    runs.retain(|run| run.page() == last);

    let mut gone = heap.shrink();
    gone.sort_unstable();
    assert_eq!(gone, [0, 64, 128]);
    assert_eq!(mappings("shrink").len(), 1, "the one with the last run");
    assert_eq!(heap.size_bytes() as u64, MIB);

    drop(runs);
    assert_eq!(heap.shrink(), [], "one segment stays");
    let grown = heap.grow(1).expect("room");
    assert_eq!(grown.page, 0, "addresses are used again");
}

#[test]
fn a_heap_that_is_gone_leaves_no_mapping() {
    let heap = heap(64 * MIB, "gone");
    grow(&heap, 1);
    let base = heap.base();
    let run = heap.allocate(1).expect("room");
    let (sealable, _) = heap.grow_sealable(1).expect("room");
    drop(heap);
    assert_eq!(mappings("gone").len(), 2, "runs keep the heap");
    drop((run, sealable));
    assert_eq!(mappings("gone").len(), 0);
    Heap::reserve_at(base, 64 * MIB, MIB, "next").expect("the addresses are free too");
}

#[test]
fn neighbouring_runs_given_back_make_room_for_a_larger_one() {
    let heap = heap(64 * MIB, "join");
    let pages = grow(&heap, 1);
    let runs: Vec<Arc<Run>> = std::iter::from_fn(|| heap.allocate(1)).collect();
    assert!(heap.allocate(1).is_none());
    drop(runs);
    assert!(heap.allocate(pages).is_some());
}

#[test]
fn runs_of_many_threads_never_overlap() {
    let heap = heap(64 * MIB, "threads");
    grow(&heap, 64);
    std::thread::scope(|threads| {
        for thread in 0..4_u64 {
            let heap = &heap;
            threads.spawn(move || {
                for round in 0..500_u64 {
                    let Some(run) = heap.allocate((round % 5) as u32 + 1) else {
                        continue;
                    };
                    let scope = run.scope();
                    let mine = thread << 32 | round;
                    let words = vec![mine; (scope.capacity_bytes() - RUN_HEADER_BYTES) / 8];
                    let written = scope.slice(&words).expect("the whole run");
                    std::thread::yield_now();
                    assert!(written.iter().all(|&word| word == mine));
                }
            });
        }
    });
    assert!(heap.allocate(64).is_some(), "all runs came back");
}

#[test]
#[should_panic(expected = "a scope was made of this run before")]
fn a_run_is_one_scope_only() {
    let heap = heap(MIB, "twice");
    grow(&heap, 1);
    let run = heap.allocate(1).expect("room");
    let _scope = Arc::clone(&run).scope();
    run.scope();
}

#[test]
fn a_scope_keeps_its_run_and_its_heap() {
    let heap = heap(MIB, "kept");
    grow(&heap, 1);
    let run = heap.allocate(2).expect("room");
    let scope = run.scope();
    assert_eq!(scope.capacity_bytes(), 2 * PAGE_BYTES);
    drop(heap);
    let text = scope.str("still here").expect("room");
    assert_eq!(text, "still here");
}

#[test]
fn a_run_is_found_by_any_address_in_it() {
    let heap = heap(4 * MIB, "find");
    grow(&heap, 1);
    let runs: Vec<Arc<Run>> = [3, 1, 2].map(|n| heap.allocate(n).expect("room")).into();
    for run in &runs {
        let first = heap.base() as usize + run.page() as usize * PAGE_BYTES;
        let bytes = run.pages() as usize * PAGE_BYTES;
        for address in [first, first + 1, first + bytes / 2, first + bytes - 1] {
            let found = heap.find(address).expect("a run is there");
            assert!(Arc::ptr_eq(&found, run));
        }
    }
    let (sealable, _grown) = heap.grow_sealable(2).expect("room");
    let last = heap.base() as usize + (sealable.page() as usize + 2) * PAGE_BYTES - 1;
    let found = heap.find(last).expect("a run is there");
    assert!(Arc::ptr_eq(&found, &sealable));

    let behind = heap.base() as usize + 6 * PAGE_BYTES;
    let end = (heap.base() + heap.window_bytes()) as usize;
    for nowhere in [
        behind,
        last + 1,
        end,
        0,
        usize::MAX,
        heap.base() as usize - 1,
    ] {
        assert!(heap.find(nowhere).is_none(), "{nowhere:#x}");
    }
    let first = heap.base() as usize;
    drop(runs);
    assert!(heap.find(first).is_none(), "the runs are gone");
}

#[test]
fn a_run_tells_what_its_scope_has_used() {
    let heap = heap(MIB, "used");
    grow(&heap, 1);
    let run = heap.allocate(2).expect("room");
    assert_eq!(run.used_bytes(), 0, "no scope yet");
    let mut scope = Arc::clone(&run).scope();
    assert_eq!(run.used_bytes() as usize, RUN_HEADER_BYTES);
    scope.slice(&[1_u64; 100]).expect("room");
    assert_eq!(run.used_bytes() as usize, RUN_HEADER_BYTES + 800);
    assert_eq!(run.used_bytes() as usize, scope.used_bytes());
    drop(run);
    scope.reset().expect("nobody else has the run");
    let run = heap.find(scope.address()).expect("the scope's run");
    assert_eq!(run.used_bytes() as usize, RUN_HEADER_BYTES);
    drop(scope);
    drop(run);
    let again = heap.allocate(2).expect("room");
    assert_eq!(again.used_bytes(), 0, "whatever lay there before");
}

/// A segment that holds a text and is sealed, and its scope.
fn sealed(heap: &Heap) -> (std::os::fd::OwnedFd, Arc<Run>, Scope) {
    let (run, grown) = heap.grow_sealable(2).expect("room");
    assert!(run.is_sealable());
    assert_eq!((run.page(), run.pages()), (grown.page, grown.pages));
    let scope = Arc::clone(&run).scope();
    scope.str("sealed").expect("room");
    run.seal().expect("nobody else can write it");
    run.seal().expect("sealing again does nothing");
    (grown.descriptor, run, scope)
}

fn content(file: &std::os::fd::OwnedFd) -> Vec<u8> {
    let mut bytes = vec![0; 2 * PAGE_BYTES];
    let read = rustix::io::pread(file, &mut bytes, 0).expect("readable");
    assert_eq!(read, bytes.len());
    bytes
}

#[test]
fn a_sealed_segment_cannot_be_written_by_its_owner_any_more() {
    let heap = heap(MIB, "sealed");
    let (descriptor, run, mut scope) = sealed(&heap);
    let before = content(&descriptor);
    let text = RUN_HEADER_BYTES..RUN_HEADER_BYTES + 6;
    assert_eq!(&before[text], b"sealed");
    assert_eq!(run.used_bytes() as usize, RUN_HEADER_BYTES + 8);

    // Through the one mapping that was ever writable, whatever the scope says:
    scope.prefill(0xee);
    let file = descriptor.as_fd();
    assert_eq!(rustix::io::pwrite(file, b"S", 0), Err(Errno::PERM));
    let write = rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE;
    let shared = rustix::mm::MapFlags::SHARED;
    // SAFETY: a fresh range, which nobody touches.
    let mapped = unsafe { rustix::mm::mmap(std::ptr::null_mut(), 4096, write, shared, file, 0) };
    assert_eq!(mapped, Err(Errno::PERM));
    assert_eq!(rustix::fs::ftruncate(file, 0), Err(Errno::PERM));
    assert_eq!(content(&descriptor), before);
    assert_eq!(run.used_bytes() as usize, RUN_HEADER_BYTES + 8);
}

#[test]
fn what_was_built_stays_readable_while_its_segment_is_sealed() {
    let heap = heap(MIB, "live");
    let (run, _grown) = heap.grow_sealable(2).expect("room");
    let scope = Arc::clone(&run).scope();
    let text = scope.str("built before").expect("room");
    let number = scope.build(7_u64).expect("room");
    run.seal().expect("nobody else can write it");
    assert_eq!(text, "built before");
    assert_eq!(*number, 7);
}

#[test]
fn a_sealed_scope_takes_nothing_more() {
    let heap = heap(MIB, "closed");
    let (run, _grown) = heap.grow_sealable(2).expect("room");
    let mut scope = Arc::clone(&run).scope();
    let mut number: Ptr<'_, u64> = scope.build(7).expect("room");
    run.seal().expect("nobody else can write it");
    drop(run);
    assert!(matches!(scope.str("more"), Err(ScopeError::Sealed)));
    assert!(matches!(scope.set(&mut number, 8), Err(ScopeError::Sealed)));
    assert!(matches!(scope.reset(), Err(ScopeError::Sealed)));
}

#[test]
fn all_that_a_scope_took_before_it_was_sealed_can_be_read_by_the_peer() {
    let heap = heap(64 * MIB, "race");
    for round in 0..200 {
        let (run, grown) = heap.grow_sealable(64).expect("room");
        let scope = Arc::clone(&run).scope();
        let mut taken = 0_u64;
        std::thread::scope(|threads| {
            let run = &run;
            threads.spawn(move || {
                for _ in 0..round * 50 {
                    std::hint::spin_loop();
                }
                run.seal().expect("nobody else writes");
            });
            loop {
                match scope.build(taken + 1) {
                    Ok(_) => taken += 1,
                    Err(ScopeError::Sealed) => break,
                    Err(ScopeError::Full { .. }) => std::thread::yield_now(),
                    Err(other) => panic!("{other}"),
                }
            }
        });
        let mut bytes = vec![0; taken as usize * 8];
        let start = RUN_HEADER_BYTES as u64;
        let read = rustix::io::pread(&grown.descriptor, &mut bytes, start);
        assert_eq!(read, Ok(bytes.len()));
        let (words, _) = bytes.as_chunks::<8>();
        let lost = (1..=taken)
            .zip(words)
            .position(|(n, word)| u64::from_ne_bytes(*word) != n);
        assert_eq!(lost, None, "of {taken} in round {round}");
        drop((scope, run, grown));
        heap.shrink();
    }
}

#[test]
fn sealed_segments_are_used_once_and_given_back() {
    let heap = heap(MIB, "once");
    let (_, run, scope) = sealed(&heap);
    let page = run.page();
    assert_eq!(heap.size_bytes(), 8192);
    assert_eq!(heap.shrink(), [], "it is in use");
    drop((run, scope));
    assert_eq!(mappings("once").len(), 0, "the memory is free at once");
    assert!(heap.allocate(1).is_none(), "it is not used again");
    assert_eq!(heap.shrink(), [page]);
    assert_eq!(heap.size_bytes(), 0);

    let (unsealed, _) = heap.grow_sealable(1).expect("room");
    drop(unsealed);
    assert_eq!(heap.shrink(), [page], "one that was never sealed likewise");
}

#[test]
fn only_so_many_segments_wait_to_be_sealed() {
    let heap = heap(8 * MIB, "waiting");
    let _sealed: Vec<_> = (0..3).map(|_| sealed(&heap)).collect();
    let waiting: Vec<_> = (0..MAX_UNSEALED)
        .map(|_| heap.grow_sealable(1).expect("room"))
        .collect();
    let refused = heap.grow_sealable(1);
    assert!(
        matches!(
            refused,
            Err(HeapError::Segments {
                limit: MAX_UNSEALED
            })
        ),
        "{refused:?}"
    );
    drop(waiting);
    let refused = heap.grow_sealable(1);
    assert!(
        refused.is_err(),
        "the peer still knows them until they are given back"
    );
    assert_eq!(heap.shrink().len(), MAX_UNSEALED);
    assert!(heap.grow_sealable(1).is_ok(), "room again");
}

#[test]
fn a_run_that_shares_its_segment_cannot_be_sealed() {
    let heap = heap(MIB, "shared");
    grow(&heap, 1);
    let run = heap.allocate(1).expect("room");
    assert!(!run.is_sealable());
    let refused = run.seal();
    assert!(
        matches!(refused, Err(HeapError::NotSealable { page }) if page == run.page()),
        "{refused:?}"
    );
}

#[test]
fn the_crossover_is_measured_once_and_is_a_number_of_pages() {
    let measured = Crossover::measure();
    assert_eq!(measured, Crossover::measure());
    println!("sealing pays from {:?} bytes", measured.seal_from_bytes);
    if let Some(bytes) = measured.seal_from_bytes {
        assert!(bytes.is_multiple_of(PAGE_BYTES as u64), "{bytes}");
        assert!((PAGE_BYTES as u64..=16 * MIB).contains(&bytes), "{bytes}");
    }
}
