//! What the peer of a heap's owner can rely on, whatever the owner does.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nowire_memory::SegmentError;
use nowire_memory::data::{CheckBuffers, Flaw, Lent, Ptr, Scope, Slice, Str, inline};
use nowire_memory::heap::{
    Grown, Heap, Keeping, MAX_UNSEALED, Part, PeerHeap, PeerHeapError, Run, TakeError, Taken,
};
use rustix::fs::{self, MemfdFlags, SealFlags};

const MIB: u64 = 1 << 20;

type Texts = Slice<'static, Str<'static>>;
type Numbers = Slice<'static, u64>;

/// A heap of one opened segment, and the same heap as its peer sees it.
///
/// Both are in this process, so the peer is displaced.
fn both_sides() -> (Heap, PeerHeap) {
    let heap = Heap::reserve(64 * MIB, 64 * MIB, "both").expect("a window");
    let peer = PeerHeap::reserve(heap.base(), heap.window_bytes()).expect("a window");
    let grown = heap.grow(64).expect("memory");
    add(&peer, grown);
    (heap, peer)
}

/// Tells the peer of a segment.
fn add(peer: &PeerHeap, grown: Grown) {
    let descriptor = grown.descriptor.try_clone().expect("a descriptor");
    peer.add(grown.page, grown.pages, descriptor)
        .expect("a good segment");
    grown.open();
}

fn scope(heap: &Heap, pages: u32) -> (Arc<Run>, Scope) {
    let run = heap.allocate(pages).expect("room");
    (Arc::clone(&run), run.scope())
}

/// Passes numbers from a heap to its peer.
fn pass(
    peer: &PeerHeap,
    run: &Run,
    scope: &Scope,
    numbers: &[u64],
    keeping: Keeping,
) -> Taken<Numbers> {
    let slice = scope.slice(numbers).expect("room");
    let bytes = u32::try_from(scope.used_bytes()).expect("a small scope");
    peer.take(
        &inline(&slice),
        run.page(),
        bytes,
        keeping,
        &mut CheckBuffers::default(),
    )
    .expect("numbers")
}

#[test]
fn in_one_process_the_peer_is_displaced_and_reads_copies() {
    let (heap, peer) = both_sides();
    assert!(peer.is_displaced());
    assert_eq!(peer.base(), heap.base());
    for keeping in [Keeping::Trust, Keeping::Copy, Keeping::Seal] {
        let (run, mut scope) = scope(&heap, 4);
        let numbers: Vec<u64> = (0..1000).collect();
        let taken = pass(&peer, &run, &scope, &numbers, keeping);
        assert!(!taken.in_place());
        scope.prefill(0xff);
        assert_eq!(taken.get()[..], numbers[..], "the copy does not change");
    }
}

#[test]
fn a_whole_tree_is_copied_pointers_and_all() {
    let (heap, peer) = both_sides();
    let (run, scope) = scope(&heap, 2);
    let texts = ["one", "two", "", "a longer text than the others"];
    let texts = texts.map(|text| scope.str(text).expect("room"));
    let slice = scope.slice_of(texts).expect("room");
    let boxed = scope.build((7_u64, slice)).expect("room");
    let taken: Taken<Ptr<'static, (u64, Texts)>> = peer
        .take(
            &inline(&boxed),
            run.page(),
            scope.used_bytes() as u32,
            Keeping::Copy,
            &mut CheckBuffers::default(),
        )
        .expect("a tree");
    drop((heap, peer));
    let (number, texts) = &**taken.get();
    assert_eq!(*number, 7);
    let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
    assert_eq!(texts, ["one", "two", "", "a longer text than the others"]);
}

#[test]
fn a_value_that_travels_in_the_message_needs_no_heap() {
    let (_heap, peer) = both_sides();
    let words = inline(&(7_u32, true));
    let mut buffers = CheckBuffers::default();
    let taken: Taken<(u32, bool)> = peer
        .take(&words, u32::MAX, 0, Keeping::Trust, &mut buffers)
        .expect("a plain value");
    assert_eq!(*taken.get(), (7, true));
    assert!(!taken.in_place());
    let refused = peer.take::<Numbers>(&[0x1000, 5, 0, 0], 0, 0, Keeping::Trust, &mut buffers);
    assert!(matches!(refused, Err(TakeError::Flaw(_))), "{refused:?}");
}

#[test]
fn what_was_taken_stays_when_the_next_is_taken_and_when_the_heap_is_gone() {
    let (heap, peer) = both_sides();
    let held: Vec<Taken<Numbers>> = (0..20)
        .map(|round| {
            let (run, scope) = scope(&heap, 1);
            drop(pass(&peer, &run, &scope, &[u64::MAX; 8], Keeping::Copy));
            pass(&peer, &run, &scope, &[round; 8], Keeping::Copy)
        })
        .collect();
    drop((heap, peer));
    for (round, taken) in (0..20).zip(&held) {
        assert_eq!(taken.get()[..], [round; 8]);
    }
}

#[test]
fn fewer_bytes_than_a_value_has_are_refused() {
    let (_heap, peer) = both_sides();
    let mut buffers = CheckBuffers::default();
    let refused = peer.take::<[u64; 5]>(&[0; 4], 0, 0, Keeping::Copy, &mut buffers);
    assert!(
        matches!(
            refused,
            Err(TakeError::Short {
                found_bytes: 32,
                needed_bytes: 40
            })
        ),
        "{refused:?}"
    );
    peer.take::<[u64; 5]>(&[0; 5], 0, 0, Keeping::Copy, &mut buffers)
        .expect("as many as there must be");
}

#[test]
fn a_part_outlives_what_it_was_taken_with() {
    let (heap, peer) = both_sides();
    let (run, scope) = scope(&heap, 1);
    let order = scope
        .build((7_u64, scope.str("gift").expect("room")))
        .expect("room");
    let words = inline(&(order.lend(), 42_u64));
    let taken: Taken<(Lent<'static, (u64, Str<'static>)>, u64)> = peer
        .take(
            &words,
            run.page(),
            run.used_bytes(),
            Keeping::Copy,
            &mut CheckBuffers::default(),
        )
        .expect("an order and a number");
    let text: Part<Str<'static>> = taken.part(|args| &args.0.1);
    let whole: Part<(u64, Str<'static>)> = taken.part(|args| &*args.0);
    let number: Part<u64> = taken.part(|args| &args.1);
    assert!(!text.in_place());
    drop(taken);
    drop((heap, peer));
    // Another copy would take the place of one that is not kept.
    let elsewhere = std::thread::spawn(move || text.get().to_string());
    assert_eq!(elsewhere.join().expect("no panic"), "gift");
    assert_eq!((whole.get().0, &*whole.get().1), (7, "gift"));
    assert_eq!(*number.get(), 42);
}

#[test]
fn pages_that_are_not_in_one_segment_are_refused() {
    let (heap, peer) = both_sides();
    let second = heap.grow(64).expect("memory");
    assert_eq!((second.page, second.pages), (64, 64));
    peer.add(64, 64, second.descriptor).expect("a good segment");
    let segment = 64 * 4096;
    for (page, bytes) in [
        (0, segment + 1),
        (63, 4097),
        (63, 8192),
        (64, segment + 1),
        (128, 1),
        (127, u32::MAX),
        (u32::MAX, 1),
        (u32::MAX, u32::MAX),
        (0, u32::MAX),
    ] {
        for keeping in [Keeping::Trust, Keeping::Copy, Keeping::Seal] {
            let taken =
                peer.take::<Numbers>(&[0; 4], page, bytes, keeping, &mut CheckBuffers::default());
            match taken {
                Err(TakeError::Absent { page: p, bytes: b }) => {
                    assert_eq!((p, b), (page, bytes));
                }
                other => panic!("{bytes} bytes at page {page}: {other:?}"),
            }
        }
    }
    let pointer = heap.base() + 63 * 4096;
    for (page, bytes) in [(63, 4096), (0, segment)] {
        let words = [pointer, 512, 0, 0];
        peer.take::<Numbers>(
            &words,
            page,
            bytes,
            Keeping::Copy,
            &mut CheckBuffers::default(),
        )
        .expect("the last page of a segment is part of it");
    }
}

#[test]
fn a_pointer_out_of_the_pages_passed_is_refused() {
    let (heap, peer) = both_sides();
    let here = &raw const peer as u64;
    for address in [
        0,
        1,
        heap.base(),
        heap.base() + 4096 - 8,
        heap.base() + 2 * 4096,
        here,
        u64::MAX - 7,
    ] {
        let words = [address, 2, 0, 0];
        let taken = peer.take::<Numbers>(
            &words,
            1,
            4096,
            Keeping::Trust,
            &mut CheckBuffers::default(),
        );
        assert!(
            matches!(taken, Err(TakeError::Flaw(_))),
            "{address:#x}: {taken:?}"
        );
    }
}

#[test]
fn segments_outside_the_window_or_over_others_are_refused() {
    let heap = Heap::reserve(MIB, 64 * MIB, "outside").expect("a window");
    let peer = PeerHeap::reserve(heap.base(), MIB).expect("a window");
    let grown = heap.grow(64).expect("memory");
    let another = || grown.descriptor.try_clone().expect("a descriptor");
    for (page, pages) in [
        (256, 64),
        (193, 64),
        (255, 2),
        (0, 0),
        (0, u32::MAX),
        (u32::MAX, 1),
        (u32::MAX, u32::MAX),
    ] {
        let refused = peer.add(page, pages, another());
        assert!(
            matches!(refused, Err(PeerHeapError::Outside { page: p, pages: n, .. }) if (p, n) == (page, pages)),
            "{page} {pages}: {refused:?}"
        );
    }
    peer.add(64, 64, another()).expect("anywhere in the window");
    for page in [1, 63, 64, 65, 127] {
        let refused = peer.add(page, 64, another());
        assert!(
            matches!(refused, Err(PeerHeapError::Overlap { present: 64, .. })),
            "{page}: {refused:?}"
        );
    }
    peer.add(128, 64, another()).expect("just after");
    peer.add(0, 64, another()).expect("just before");
    assert_eq!(peer.size_bytes(), 3 * 64 * 4096);
    let refused = peer.add(192, 63, another());
    assert!(
        matches!(
            refused,
            Err(PeerHeapError::Segment(SegmentError::WrongSize { .. }))
        ),
        "{refused:?}"
    );
}

fn file(pages: usize, seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = fs::memfd_create("hostile", flags).expect("a memfd");
    let written = rustix::io::pwrite(&file, &vec![0; pages * 4096], 0);
    assert_eq!(written, Ok(pages * 4096));
    fs::fcntl_add_seals(&file, seals).expect("sealing");
    file
}

const SEALABLE: SealFlags = SealFlags::FUTURE_WRITE
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW);

#[test]
fn segments_that_the_owner_could_take_away_are_refused() {
    let peer = PeerHeap::reserve(0x2000_0000_0000, MIB).expect("a window");
    for missing in [SealFlags::FUTURE_WRITE, SealFlags::SHRINK, SealFlags::GROW] {
        for more in [SealFlags::empty(), SealFlags::SEAL] {
            let refused = peer.add(0, 1, file(1, SEALABLE.difference(missing) | more));
            assert!(
                matches!(
                    refused,
                    Err(PeerHeapError::Segment(SegmentError::Unsealed { .. }))
                ),
                "without {missing:?}: {refused:?}"
            );
        }
    }
    let null = OwnedFd::from(std::fs::File::open("/dev/null").expect("the null device"));
    let refused = peer.add(0, 1, null);
    assert!(
        matches!(
            refused,
            Err(PeerHeapError::Segment(SegmentError::NotMemory))
        ),
        "{refused:?}"
    );
    let sparse = fs::memfd_create("sparse", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .expect("a memfd");
    fs::ftruncate(&sparse, 4096).expect("room");
    fs::fcntl_add_seals(&sparse, SEALABLE).expect("sealing");
    let refused = peer.add(0, 1, sparse);
    assert!(
        matches!(
            refused,
            Err(PeerHeapError::Segment(SegmentError::Sparse { .. }))
        ),
        "{refused:?}"
    );
    assert_eq!(peer.size_bytes(), 0);
    peer.add(0, 1, file(1, SEALABLE)).expect("a good one");
}

#[test]
fn a_segment_given_back_is_unmapped_and_its_place_is_free() {
    let (heap, peer) = both_sides();
    let run = heap.allocate(1).expect("room");
    let grown = heap.grow(64).expect("memory");
    let first = grown.page;
    add(&peer, grown);
    assert_eq!(heap.shrink(), [first]);
    peer.remove(first).expect("nothing is held");
    let refused = peer.remove(first);
    assert!(
        matches!(refused, Err(PeerHeapError::Absent { page }) if page == first),
        "{refused:?}"
    );
    let refused = peer.remove(1);
    assert!(
        matches!(refused, Err(PeerHeapError::Absent { page: 1 })),
        "no segment begins there: {refused:?}"
    );
    let again = heap.grow(64).expect("memory");
    assert_eq!(again.page, first);
    add(&peer, again);
    drop(run);
}

/// What the peer is told of a segment, which is opened.
fn told(grown: Grown) -> (u32, u32, OwnedFd) {
    let descriptor = grown.descriptor.try_clone().expect("a descriptor");
    let told = (grown.page, grown.pages, descriptor);
    grown.open();
    told
}

/// A peer at the very addresses of a heap of this process, which is gone; its
/// memory lives on by the descriptors.
struct Orphan {
    peer: PeerHeap,
    words: [u64; 4],
    page: u32,
    bytes: u32,
    descriptor: OwnedFd,
}

impl Orphan {
    /// With a text, in a segment that is `sealed`, could be, or is an ordinary one.
    fn new(sealable: bool, sealed: bool) -> Self {
        let heap = Heap::reserve(64 * MIB, 64 * MIB, "orphan").expect("a window");
        let (run, grown) = if sealable {
            let (run, grown) = heap.grow_sealable(4).expect("memory");
            (run, told(grown))
        } else {
            let grown = told(heap.grow(4).expect("memory"));
            (heap.allocate(4).expect("room"), grown)
        };
        let scope = Arc::clone(&run).scope();
        let words = inline(&scope.str("hello").expect("room"));
        let page = run.page();
        let bytes = run.used_bytes();
        if sealed {
            run.seal().expect("nobody else writes");
        }
        drop((run, scope));
        let base = heap.base();
        drop(heap);
        let peer = PeerHeap::reserve(base, 64 * MIB).expect("a window");
        assert!(!peer.is_displaced(), "the addresses are free again");
        let (first, pages, descriptor) = grown;
        let another = descriptor.try_clone().expect("a descriptor");
        peer.add(first, pages, another).expect("a good segment");
        Self {
            peer,
            words,
            page,
            bytes,
            descriptor,
        }
    }

    fn take(&self, keeping: Keeping) -> Taken<Str<'static>> {
        let mut buffers = CheckBuffers::default();
        let taken = self
            .peer
            .take(&self.words, self.page, self.bytes, keeping, &mut buffers)
            .expect("a text");
        assert_eq!(*taken.get(), "hello");
        taken
    }
}

#[test]
fn whoever_trusts_reads_in_place_and_whoever_copies_does_not() {
    let orphan = Orphan::new(false, false);
    assert!(orphan.take(Keeping::Trust).in_place());
    assert!(!orphan.take(Keeping::Copy).in_place());
}

#[test]
fn a_seal_that_is_claimed_but_not_set_is_not_trusted() {
    assert!(
        !Orphan::new(false, false).take(Keeping::Seal).in_place(),
        "a segment that can never be sealed"
    );
    let orphan = Orphan::new(true, false);
    assert!(!orphan.take(Keeping::Seal).in_place());
    fs::fcntl_add_seals(&orphan.descriptor, SealFlags::WRITE).expect("nobody maps it writable");
    assert!(orphan.take(Keeping::Seal).in_place());
    assert!(orphan.take(Keeping::Seal).in_place());
    assert!(
        !orphan.take(Keeping::Copy).in_place(),
        "who insists on a copy gets one"
    );
}

#[test]
fn what_was_sealed_before_it_came_is_read_in_place() {
    assert!(Orphan::new(true, true).take(Keeping::Seal).in_place());
}

#[test]
fn a_segment_cannot_be_given_back_while_something_in_it_is_held() {
    let orphan = Orphan::new(true, true);
    let taken = orphan.take(Keeping::Seal);
    let refused = orphan.peer.remove(orphan.page);
    assert!(
        matches!(refused, Err(PeerHeapError::Held { page }) if page == orphan.page),
        "{refused:?}"
    );
    assert_eq!(*taken.get(), "hello");
    drop(orphan.take(Keeping::Copy));
    drop(taken);
    orphan
        .peer
        .remove(orphan.page)
        .expect("nothing is held any more");
}

#[test]
fn what_is_read_in_place_outlives_the_peer_heap_and_the_peer() {
    let orphan = Orphan::new(false, false);
    let taken = orphan.take(Keeping::Trust);
    assert!(taken.in_place());
    let base = orphan.peer.base();
    drop(orphan);
    assert_eq!(*taken.get(), "hello");
    assert!(
        Heap::reserve_at(base, 64 * MIB, MIB, "next").is_err(),
        "its addresses are in use"
    );
    drop(taken);
    Heap::reserve_at(base, 64 * MIB, MIB, "next").expect("its addresses are free");
}

#[test]
fn only_so_many_segments_may_wait_to_be_sealed_but_any_number_be_sealed() {
    let peer = PeerHeap::reserve(0x3000_0000_0000, MIB).expect("a window");
    let mut files = Vec::new();
    for page in 0..MAX_UNSEALED as u32 {
        let file = file(1, SEALABLE);
        files.push(file.try_clone().expect("a descriptor"));
        peer.add(page, 1, file).expect("not too many");
    }
    let refused = peer.add(100, 1, file(1, SEALABLE));
    assert!(
        matches!(
            refused,
            Err(PeerHeapError::TooMany {
                limit: MAX_UNSEALED
            })
        ),
        "{refused:?}"
    );
    peer.add(100, 1, file(1, SEALABLE | SealFlags::SEAL))
        .expect("one that cannot be sealed any more");
    for sealed in &files[..3] {
        fs::fcntl_add_seals(sealed.as_fd(), SealFlags::WRITE).expect("nobody maps it writable");
    }
    for page in 101..104 {
        peer.add(page, 1, file(1, SEALABLE))
            .expect("three were sealed");
    }
    assert!(peer.add(104, 1, file(1, SEALABLE)).is_err());
}

#[test]
fn segments_come_and_go_while_other_threads_take_and_hold() {
    let (heap, peer) = both_sides();
    let (run, scope) = scope(&heap, 1);
    let words = inline(&scope.slice(&[7_u64; 100]).expect("room"));
    let (page, bytes) = (run.page(), run.used_bytes());
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for keeping in [Keeping::Copy, Keeping::Seal] {
            let (peer, stop) = (&peer, &stop);
            threads.spawn(move || {
                let mut buffers = CheckBuffers::default();
                let mut held = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let taken: Taken<Numbers> = peer
                        .take(&words, page, bytes, keeping, &mut buffers)
                        .expect("numbers");
                    held.push(taken);
                    if held.len() == 50 {
                        assert!(held.iter().all(|taken| taken.get()[..] == [7; 100]));
                        held.clear();
                    }
                }
            });
        }
        for _ in 0..100 {
            let grown = heap.grow(64).expect("memory");
            let first = grown.page;
            add(&peer, grown);
            assert_eq!(heap.shrink(), [first]);
            peer.remove(first).expect("nothing in it is held");
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn an_owner_that_writes_during_the_copy_never_gets_an_unchecked_value_through() {
    let (heap, peer) = both_sides();
    let (run, mut scope) = scope(&heap, 1);
    let good = "0123456789abcdef".repeat(12);
    let text = scope.str(&good).expect("room");
    let words = inline(&text);
    let (page, bytes) = (run.page(), run.used_bytes());
    drop(run);
    let stop = AtomicBool::new(false);
    let (accepted, refused) = std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut round = 0_u8;
            while !stop.load(Ordering::Relaxed) {
                round = round.wrapping_add(1);
                // Whoever takes from the run by its page has no share in it.
                scope.reset().expect("nobody else has the run");
                let written = if round.is_multiple_of(2) {
                    scope.str(&good).map(drop)
                } else {
                    scope
                        .fill(good.len(), |into| into.fill(0x80 | round))
                        .map(drop)
                };
                written.expect("room");
                for _ in 0..round {
                    std::hint::spin_loop();
                }
            }
        });
        let mut buffers = CheckBuffers::default();
        let (mut accepted, mut refused) = (0, 0);
        for _ in 0..2_000_000 {
            match peer.take::<Str<'static>>(&words, page, bytes, Keeping::Copy, &mut buffers) {
                Ok(taken) => {
                    let first = taken.get().as_bytes().to_vec();
                    assert!(str::from_utf8(&first).is_ok(), "{first:?}");
                    assert_eq!(taken.get().as_bytes(), first, "it does not change");
                    accepted += 1;
                }
                Err(TakeError::Flaw(Flaw::Utf8 { .. })) => refused += 1,
                Err(other) => panic!("{other}"),
            }
            if accepted > 1000 && refused > 1000 {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        (accepted, refused)
    });
    assert!(
        accepted > 0 && refused > 0,
        "{accepted} accepted, {refused} refused"
    );
}
