//! What a peer that is passed a reference gets, and what it does not.

mod passing;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nowire_memory::SegmentError;
use nowire_memory::heap::Keeping;
use nowire_memory::refs::{
    Extent, ExtentFlaw, MAX_DESCRIPTORS, MAX_EXTENTS, PAGE_BYTES, Ref, RefError, Source,
};
use passing::{Way, inode, memfd, own_uid, pattern, pool, single_use_pool, whole_file};
use rustix::fs::{self, FallocateFlags, MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

const SEALABLE: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::FUTURE_WRITE);

fn bytes_of(shared: &Ref) -> Vec<u8> {
    shared.map().expect("a view").to_vec()
}

/// How many mappings of refs this process has.
fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    maps.lines()
        .filter(|line| line.contains("nowire-ref"))
        .count()
}

#[test]
fn a_passed_ref_shows_the_peer_the_same_bytes() {
    let pool = pool();
    for keeping in [Keeping::Copy, Keeping::Trust, Keeping::Seal] {
        for seal_from in [u32::MAX, 0] {
            let way = Way::with(&pool, own_uid(), keeping, seal_from);
            for len in [1, 5000, 300_000, 1 << 20] {
                let data = pattern(len, len);
                let arrived = way.carry(&pool.copy_of(&data).expect("memory"));
                assert_eq!(arrived.len(), len);
                assert_eq!(bytes_of(&arrived), data);
                let part = arrived.slice(len / 3..len - len / 4).expect("inside");
                assert_eq!(bytes_of(&part), data[len / 3..len - len / 4]);
                let mut last = [0];
                arrived.read(len - 1, &mut last).expect("inside");
                assert_eq!(last[0], data[len - 1]);
            }
        }
    }
}

#[test]
fn nothing_is_passed_of_an_empty_ref() {
    let way = Way::new(&pool());
    let parcel = way.parcel(&way.pool.alloc(0).expect("nothing").share());
    assert!(parcel.extents.is_empty() && parcel.descriptors.is_empty());
    assert!(way.open(parcel).expect("an empty ref").is_empty());
}

#[test]
fn a_peer_can_read_the_segment_and_do_nothing_else_with_it() {
    let way = Way::new(&pool());
    let parcel = way.parcel(&way.pool.copy_of(&pattern(5000, 1)).expect("memory"));
    let file = &parcel.descriptors[0];
    let seals = fs::fcntl_get_seals(file).expect("a memory file");
    assert!(seals.contains(SEALABLE));
    assert!(rustix::io::write(file, b"x").is_err());
    assert!(fs::ftruncate(file, 0).is_err());
    assert!(fs::fcntl_add_seals(file, SealFlags::SEAL).is_err());
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    assert!(fs::fallocate(file, hole, 0, 4096).is_err());
    for access in [ProtFlags::WRITE, ProtFlags::READ | ProtFlags::WRITE] {
        // SAFETY: a fresh range, and it is not even made.
        let mapped = unsafe {
            mmap(
                std::ptr::null_mut(),
                4096,
                access,
                MapFlags::SHARED,
                file,
                0,
            )
        };
        assert!(mapped.is_err());
    }
    let mode = fs::fstat(file).expect("fstat").st_mode & 0o777;
    assert_eq!(mode, 0o400, "others cannot even open it");
}

#[test]
fn a_slice_opens_nothing_but_the_slice() {
    let pool = pool();
    let data = pattern(3 * PAGE_BYTES, 2);
    let shared = pool.copy_of(&data).expect("memory");
    for range in [
        0..PAGE_BYTES,
        100..200,
        PAGE_BYTES..3 * PAGE_BYTES,
        1..3 * PAGE_BYTES,
    ] {
        let way = Way::new(&pool);
        let part = shared.slice(range.clone()).expect("inside");
        let parcel = way.parcel(&part);
        assert_eq!(parcel.descriptors.len(), 1);
        assert!(parcel.extents[0].whole);
        let shown = whole_file(parcel.descriptors[0].as_fd());
        assert_eq!(shown[..range.len()], data[range.clone()]);
        assert!(shown[range.len()..].iter().all(|&byte| byte == 0));
        assert_eq!(bytes_of(&way.open(parcel).expect("a ref")), data[range]);
    }
}

#[test]
fn the_copy_of_a_slice_is_made_once() {
    let pool = pool();
    let shared = pool.copy_of(&pattern(100_000, 3)).expect("memory");
    let part = shared.slice(10..50_000).expect("inside");
    let first = Way::new(&pool).parcel(&part);
    let segments = pool.usage().segments;
    let second = Way::new(&pool).parcel(&part.clone());
    assert_eq!(pool.usage().segments, segments);
    assert_eq!(inode(&first.descriptors[0]), inode(&second.descriptors[0]));
}

#[test]
fn a_peer_that_has_the_segment_gets_slices_without_a_copy() {
    let pool = pool();
    let data = pattern(50_000, 4);
    let shared = pool.copy_of(&data).expect("memory");
    let way = Way::new(&pool);
    let whole = way.parcel(&shared);
    assert!(whole.extents[0].whole);
    let part = way.parcel(&shared.slice(7..40_000).expect("inside"));
    assert_eq!(inode(&part.descriptors[0]), inode(&whole.descriptors[0]));
    assert_eq!(
        part.extents,
        [Extent {
            descriptor: 0,
            offset_bytes: 7,
            bytes: 39_993,
            segment_bytes: whole.extents[0].segment_bytes,
            whole: false,
        }]
    );

    // The peer was given a slice, and gives the next one no more than that.
    let peer = pool;
    let arrived = way.open(part).expect("a ref");
    let next = Way::new(&peer);
    let passed_on = next.parcel(&arrived);
    assert_ne!(
        inode(&passed_on.descriptors[0]),
        inode(&whole.descriptors[0])
    );
    let shown = whole_file(passed_on.descriptors[0].as_fd());
    assert_eq!(shown[..39_993], data[7..40_000]);
    assert!(shown[39_993..].iter().all(|&byte| byte == 0));
}

#[test]
fn what_was_not_sent_does_not_count_as_given() {
    let pool = pool();
    let shared = pool.copy_of(&pattern(50_000, 5)).expect("memory");
    let way = Way::new(&pool);
    let passed = shared.pass(&way.audience, &pool).expect("pass");
    let unsent = passed
        .descriptors()
        .next()
        .expect("one")
        .try_clone_to_owned();
    let unsent = inode(&unsent.expect("a descriptor"));
    drop(passed);
    let part = way.parcel(&shared.slice(..100).expect("inside"));
    assert_ne!(inode(&part.descriptors[0]), unsent);
}

#[test]
fn a_slice_of_what_arrived_goes_back_without_a_copy_and_elsewhere_with_one() {
    let pool = pool();
    let data = pattern(30_000, 6);
    let way = Way::new(&pool);
    let parcel = way.parcel(&pool.copy_of(&data).expect("memory"));
    let arrived_inode = inode(&parcel.descriptors[0]);
    let arrived = way.open(parcel).expect("a ref");
    let part = arrived.slice(5000..6000).expect("inside");

    let back = Way::new(&pool);
    // The connection the ref came on, as this end counts it.
    let source = Source::new(
        back.audience.connection,
        own_uid(),
        Keeping::Copy,
        8,
        "the peer",
    );
    let parcel = way.parcel(&pool.copy_of(&data).expect("memory"));
    let returned_inode = inode(&parcel.descriptors[0]);
    let descriptors = parcel.descriptors.into_iter().map(Some).collect::<Vec<_>>();
    let from_there = Ref::arrived(&parcel.extents, descriptors, &source).expect("a ref");
    let returned = back.parcel(&from_there.slice(5000..6000).expect("inside"));
    assert_eq!(inode(&returned.descriptors[0]), returned_inode);
    assert!(!returned.extents[0].whole);

    let elsewhere = Way::new(&pool).parcel(&part);
    assert_ne!(inode(&elsewhere.descriptors[0]), arrived_inode);
    let shown = whole_file(elsewhere.descriptors[0].as_fd());
    assert_eq!(shown[..1000], data[5000..6000]);
    assert!(shown[1000..].iter().all(|&byte| byte == 0));
}

#[test]
fn a_forwarder_maps_nothing_and_makes_nothing() {
    passing::alone("a_forwarder_maps_nothing_and_makes_nothing", || {
        let owner = pool();
        let forwarder = pool();
        let data = pattern(1 << 20, 7);
        let (first, second) = (Way::new(&owner), Way::new(&forwarder));
        let parcel = first.parcel(&owner.copy_of(&data).expect("memory"));
        let sent = inode(&parcel.descriptors[0]);
        let before = mappings();
        let arrived = first.open(parcel).expect("a ref");
        let passed_on = second.parcel(&arrived);
        drop(arrived);
        assert_eq!(first.source.held(), 0);
        assert_eq!(inode(&passed_on.descriptors[0]), sent);
        assert_eq!(mappings(), before);
        assert_eq!(forwarder.usage().segments, 0);
        assert_eq!(bytes_of(&second.open(passed_on).expect("a ref")), data);
    });
}

#[test]
fn what_lay_in_a_segment_before_is_never_seen() {
    let pool = pool();
    let way = Way::new(&pool);
    let fill = |byte: u8| {
        let mut buffer = pool.alloc(64 << 10).expect("memory");
        buffer.fill(byte);
        buffer.as_ptr()
    };
    let seen = |shared: &Ref, len: usize| {
        let parcel = way.parcel(shared);
        let shown = whole_file(parcel.descriptors[0].as_fd());
        assert!(shown[len..].iter().all(|&byte| byte == 0));
        shown[..len].to_vec()
    };

    let place = fill(0xee);
    let zeroed = pool.alloc(60_000).expect("memory");
    assert_eq!(zeroed.as_ptr(), place, "the same memory");
    assert!(seen(&zeroed.share(), 60_000).iter().all(|&byte| byte == 0));

    fill(0xee);
    let mut appended = pool.with_capacity(50_000).expect("memory");
    appended.extend_from_slice(b"short").expect("room");
    assert_eq!(seen(&appended.share(), 5), b"short");

    fill(0xee);
    let mut cut = pool.with_capacity(50_000).expect("memory");
    cut.extend_from_slice(&[0xdd; 50_000]).expect("room");
    cut.truncate(3);
    assert_eq!(seen(&cut.share(), 3), [0xdd; 3]);
}

#[test]
fn what_an_edit_replaced_is_not_passed_with_it() {
    let pool = pool();
    let base = pool.copy_of(&[0xaa; 20 * PAGE_BYTES]).expect("memory");
    let mut edit = base.edit(&pool).expect("an edit");
    // Some pages are moved about by the edit itself.
    edit.write(3 * PAGE_BYTES + 1, &[0xee; 10]).expect("memory");
    edit.write(4 * PAGE_BYTES + 1, &[0xee; 10]).expect("memory");
    edit.bytes_mut(2 * PAGE_BYTES..10 * PAGE_BYTES)
        .expect("memory")
        .fill(0xbb);
    edit.write(15 * PAGE_BYTES, &[0xbb; PAGE_BYTES])
        .expect("memory");
    edit.write(0, &[0xbb; 3]).expect("memory");
    let edited = edit.share();
    let expected = bytes_of(&edited);

    let way = Way::new(&pool);
    let parcel = way.parcel(&edited);
    let count = |byte: u8, bytes: &[u8]| bytes.iter().filter(|&&b| b == byte).count();
    let shown: Vec<u8> = (parcel.descriptors.iter())
        .flat_map(|file| whole_file(file.as_fd()))
        .collect();
    for byte in [0xaa, 0xbb, 0xee] {
        assert_eq!(count(byte, &shown), count(byte, &expected), "{byte:#x}");
    }
    assert!(parcel.extents.iter().all(|extent| extent.whole));
    assert_eq!(bytes_of(&way.open(parcel).expect("a ref")), expected);
}

#[test]
fn an_edit_of_what_arrived_names_the_old_pages_where_they_are() {
    let (owner, editor) = (pool(), pool());
    let data = pattern(8 * PAGE_BYTES, 8);
    let there = Way::new(&owner);
    let back = Way::new(&editor);
    let parcel = there.parcel(&owner.copy_of(&data).expect("memory"));
    let base_inode = inode(&parcel.descriptors[0]);
    let source = Source::new(
        back.audience.connection,
        own_uid(),
        Keeping::Copy,
        8,
        "the owner",
    );
    let descriptors = parcel.descriptors.into_iter().map(Some).collect::<Vec<_>>();
    let arrived = Ref::arrived(&parcel.extents, descriptors, &source).expect("a ref");

    let mut edit = arrived.edit(&editor).expect("an edit");
    edit.write(PAGE_BYTES - 2, b"change").expect("memory");
    assert_eq!(edit.copied_pages(), 2);
    assert_eq!(editor.usage().live_bytes, 2 * PAGE_BYTES);
    let mut expected = data.clone();
    expected[PAGE_BYTES - 2..][..6].copy_from_slice(b"change");
    assert_eq!(&*edit.map().expect("a view"), &expected);

    let answer = back.parcel(&edit.share());
    let inodes: Vec<u64> = answer.descriptors.iter().map(inode).collect();
    assert_eq!(inodes.len(), 2);
    assert!(inodes.contains(&base_inode));
    let here = back.open(answer).expect("a ref");
    assert_eq!(bytes_of(&here), expected);

    // The owner passes the answer on: the two pages that were replaced stay at home.
    let next = Way::new(&owner).parcel(&here);
    let shown: Vec<u8> = (next.descriptors.iter())
        .flat_map(|file| whole_file(file.as_fd()))
        .filter(|&byte| byte != 0)
        .collect();
    assert_eq!(
        shown.len(),
        expected.iter().filter(|&&byte| byte != 0).count()
    );
}

#[test]
fn many_small_pieces_are_put_together_before_they_are_passed() {
    let pool = pool();
    let mut expected = pattern(600 * PAGE_BYTES, 9);
    let mut shared = pool.copy_of(&expected).expect("memory");
    for round in 0..MAX_DESCRIPTORS + 5 {
        let mut edit = shared.edit(&pool).expect("an edit");
        edit.write(round * 3 * PAGE_BYTES, &[round as u8])
            .expect("memory");
        expected[round * 3 * PAGE_BYTES] = round as u8;
        shared = edit.share();
    }
    let way = Way::new(&pool);
    let parcel = way.parcel(&shared);
    assert!(parcel.descriptors.len() <= MAX_DESCRIPTORS);
    assert_eq!(bytes_of(&way.open(parcel).expect("a ref")), expected);

    let mut edit = shared.edit(&pool).expect("an edit");
    for page in (0..600).step_by(2) {
        edit.write(page * PAGE_BYTES + 9, b"!").expect("memory");
        expected[page * PAGE_BYTES + 9] = b'!';
    }
    let scattered = edit.share();
    let parcel = way.parcel(&scattered);
    assert!(parcel.extents.len() <= MAX_EXTENTS);
    assert_eq!(bytes_of(&way.open(parcel).expect("a ref")), expected);
}

#[test]
fn a_seal_that_is_asked_for_is_there_and_views_stay_good() {
    let pool = pool();
    let way = Way::with(&pool, own_uid(), Keeping::Seal, 8192);
    let seals = |file: &OwnedFd| fs::fcntl_get_seals(file).expect("a memory file");

    let small = way.parcel(&pool.copy_of(&[1; 8191]).expect("memory"));
    assert!(!seals(&small.descriptors[0]).contains(SealFlags::WRITE));

    let data = pattern(512 << 10, 10);
    let shared = pool.copy_of(&data).expect("memory");
    let view = shared.map().expect("a view");
    let place = view.as_ptr();
    let parcel = way.parcel(&shared);
    assert!(seals(&parcel.descriptors[0]).contains(SealFlags::WRITE | SealFlags::SEAL));
    assert_eq!(*view, data);
    assert_eq!(shared.map().expect("a view").as_ptr(), place);
    assert_eq!(*shared.map().expect("a view"), data);

    let arrived = way.open(parcel).expect("a ref");
    let theirs = arrived.map().expect("a view");
    assert!(theirs.in_place(), "what is sealed needs no copy");
    assert_eq!(*theirs, data);
    drop((theirs, arrived, view));
    let shared = shared
        .try_into_buffer()
        .expect_err("it can never be written");
    assert_eq!(bytes_of(&shared), data);
}

#[test]
fn a_reader_does_not_notice_that_its_memory_is_sealed() {
    let pool = pool();
    let data = pattern(200_000, 20);
    let (refs, to_scan) = std::sync::mpsc::channel::<Ref>();
    std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let mut seen = 0;
            for shared in to_scan {
                let view = shared.map().expect("a view");
                // It is sealed while this goes on.
                for _ in 0..20 {
                    assert!(*view == data, "a byte changed under the reader");
                }
                seen += 1;
            }
            seen
        });
        let way = Way::with(&pool, own_uid(), Keeping::Seal, 0);
        for _ in 0..100 {
            let shared = pool.copy_of(&data).expect("memory");
            refs.send(shared.clone()).expect("the reader is there");
            std::thread::yield_now();
            let parcel = way.parcel(&shared);
            let seals = fs::fcntl_get_seals(&parcel.descriptors[0]).expect("a memory file");
            assert!(seals.contains(SealFlags::WRITE));
        }
        drop(refs);
        assert_eq!(reader.join().expect("no change seen"), 100);
    });
}

#[test]
fn a_ref_that_was_passed_unsealed_can_be_sealed_for_the_next_peer() {
    let pool = pool();
    let data = pattern(100_000, 11);
    let shared = pool.copy_of(&data).expect("memory");
    let first = Way::new(&pool).carry(&shared);
    let sealed = Way::with(&pool, own_uid(), Keeping::Seal, 0).parcel(&shared);
    let seals = fs::fcntl_get_seals(&sealed.descriptors[0]).expect("a memory file");
    assert!(seals.contains(SealFlags::WRITE));
    assert_eq!(bytes_of(&first), data);
    assert_eq!(bytes_of(&shared), data);
}

#[test]
fn descriptors_held_of_one_peer_are_limited() {
    let pool = pool();
    let way = Way::new(&pool);
    let source = Source::new(1000, own_uid(), Keeping::Copy, 3, "greedy");
    let arrive = || {
        let parcel = way.parcel(&pool.copy_of(&[7; 10]).expect("memory"));
        let descriptors = parcel.descriptors.into_iter().map(Some).collect::<Vec<_>>();
        Ref::arrived(&parcel.extents, descriptors, &source)
    };
    let mut held: Vec<Ref> = (0..3).map(|_| arrive().expect("room")).collect();
    assert_eq!(source.held(), 3);
    let refused = arrive().expect_err("no room");
    assert!(
        matches!(
            &refused,
            RefError::TooMany { peer, held: 3, more: 1, limit: 3 } if &**peer == "greedy"
        ),
        "{refused}"
    );
    assert!(!refused.is_misbehaviour());
    // What is made of a ref holds it as well.
    let view = held[0].slice(1..).expect("inside");
    held.remove(0);
    assert!(arrive().is_err());
    drop(view);
    arrive().expect("room again");
    drop(held);
    assert_eq!(source.held(), 0);
}

#[test]
fn a_ref_whose_memory_was_lost_says_so() {
    let pool = pool();
    let way = Way::new(&pool);
    let shared = pool.copy_of(&pattern(5000, 12)).expect("memory");
    let parcel = way.parcel(&shared);
    let lost = Ref::arrived(&parcel.extents, vec![None], &way.source).expect("a ref");
    assert_eq!(way.source.held(), 0);
    assert_eq!(lost.len(), 5000);
    let part = lost.slice(10..20).expect("a name");
    for error in [
        lost.map().expect_err("no memory"),
        lost.read(0, &mut [0]).expect_err("no memory"),
        part.pass(&way.audience, &pool).expect_err("no memory"),
        lost.edit(&pool).map(drop).expect_err("no memory"),
    ] {
        assert!(matches!(&error, RefError::Lost { peer } if &**peer == "the peer"));
        assert!(!error.is_misbehaviour());
    }
}

/// What is said of a segment of two pages.
fn extent(descriptor: usize, offset_bytes: u64, bytes: u64) -> Extent {
    Extent {
        descriptor,
        offset_bytes,
        bytes,
        segment_bytes: 8192,
        whole: true,
    }
}

fn arrive(extents: &[Extent], descriptors: usize) -> Result<Ref, RefError> {
    let source = Source::new(u64::MAX, own_uid(), Keeping::Trust, 1000, "a liar");
    let any = || Some(OwnedFd::from(File::open("/dev/null").expect("/dev/null")));
    let descriptors = (0..descriptors).map(|_| any()).collect::<Vec<_>>();
    Ref::arrived(extents, descriptors, &source)
}

#[test]
fn extents_that_make_no_sense_are_refused() {
    let good = extent(0, 0, 8192);
    let huge = Extent {
        segment_bytes: u64::MAX,
        ..extent(0, 0, u64::MAX)
    };
    let long = Extent {
        segment_bytes: 1 << 62,
        ..extent(0, 0, 1 << 62)
    };
    let cases: [(&str, &[Extent], usize); 14] = [
        ("no descriptor", &[good], 0),
        ("no extent", &[], 1),
        ("a descriptor too many", &[good], 2),
        (
            "a descriptor that is not there",
            &[good, extent(1, 0, 1)],
            1,
        ),
        ("no bytes", &[extent(0, 10, 0)], 1),
        ("beyond the end", &[extent(0, 1, 8192)], 1),
        ("an end that overflows", &[extent(0, u64::MAX, 2)], 1),
        ("too long to address", &[huge], 1),
        ("too long together", &[long, long], 1),
        (
            "bytes named twice",
            &[extent(0, 0, 4096), extent(0, 4095, 4097)],
            1,
        ),
        (
            "two sizes",
            &[
                good,
                Extent {
                    segment_bytes: 8191,
                    ..extent(0, 0, 1)
                },
            ],
            1,
        ),
        (
            "whole and not",
            &[
                good,
                Extent {
                    whole: false,
                    ..extent(0, 0, 1)
                },
            ],
            1,
        ),
        ("too many extents", &[good; MAX_EXTENTS + 1], 1),
        (
            "too many descriptors",
            &[good; MAX_DESCRIPTORS + 1],
            MAX_DESCRIPTORS + 1,
        ),
    ];
    for (name, extents, descriptors) in cases {
        let error = arrive(extents, descriptors).expect_err(name);
        if let ([extent], 1) = (extents, descriptors) {
            let source = Source::new(u64::MAX, own_uid(), Keeping::Trust, 1000, "a liar");
            let alone = Ref::arrived_in_one(extent, None, &source).expect_err(name);
            assert_eq!(alone.to_string(), error.to_string(), "{name}");
        }
        assert!(matches!(error, RefError::Extent { .. }), "{name}: {error}");
        assert!(error.is_misbehaviour(), "{name}");
        assert!(error.to_string().contains("a liar"), "{name}: {error}");
    }
    assert!(matches!(
        arrive(&[extent(0, 8000, 193)], 1),
        Err(RefError::Extent {
            flaw: ExtentFlaw::Outside {
                offset_bytes: 8000,
                bytes: 193,
                segment_bytes: 8192
            },
            ..
        })
    ));
}

#[test]
fn a_peer_that_says_more_than_there_is_makes_nobody_allocate_it() {
    const SAID: u64 = 1 << 45;
    let said = Extent {
        descriptor: 0,
        offset_bytes: 0,
        bytes: SAID,
        segment_bytes: SAID,
        whole: true,
    };
    let source = Source::new(u64::MAX, own_uid(), Keeping::Copy, 8, "a liar");
    let file = memfd(8192, SEALABLE);
    let arrived = Ref::arrived(&[said], vec![Some(file)], &source).expect("nobody looks yet");
    let way = Way::new(&pool());
    let part = arrived.slice(1..).expect("inside");
    for error in [
        arrived.map().expect_err("there is less"),
        arrived.edit(&way.pool).expect_err("there is less"),
        arrived
            .read(SAID as usize - 1, &mut [0])
            .expect_err("there is less"),
        part.pass(&way.audience, &way.pool)
            .expect_err("there is less"),
    ] {
        let found = |source: &SegmentError| {
            matches!(
                source,
                SegmentError::WrongSize {
                    found_bytes: 8192,
                    ..
                }
            )
        };
        assert!(
            matches!(&error, RefError::Segment { source, .. } if found(source)),
            "{error}"
        );
    }
}

#[test]
fn descriptors_that_are_no_segments_are_refused_when_they_are_read() {
    let sparse = || {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = fs::memfd_create("sparse", flags).expect("a memory file");
        fs::ftruncate(&file, 8192).expect("a size");
        fs::fcntl_add_seals(&file, SEALABLE).expect("seals");
        file
    };
    let pipe = || OwnedFd::from(std::io::pipe().expect("a pipe").0);
    let exe = || OwnedFd::from(File::open(std::env::current_exe().expect("this")).expect("open"));
    type Expected = fn(&SegmentError) -> bool;
    let cases: [(&str, OwnedFd, Expected); 8] = [
        ("a pipe", pipe(), |e| matches!(e, SegmentError::NotMemory)),
        ("a file on disk", exe(), |e| {
            matches!(e, SegmentError::NotMemory)
        }),
        (
            "a socket",
            nowire_memory::socket::pair().expect("sockets").0,
            |e| matches!(e, SegmentError::NotMemory),
        ),
        ("without seals", memfd(8192, SealFlags::empty()), |e| {
            matches!(e, SegmentError::Unsealed { .. })
        }),
        (
            "that can shrink",
            memfd(8192, SealFlags::GROW | SealFlags::FUTURE_WRITE),
            |e| matches!(e, SegmentError::Unsealed { .. }),
        ),
        (
            "that anybody can map for writing",
            memfd(8192, SealFlags::GROW | SealFlags::SHRINK),
            |e| matches!(e, SegmentError::Unsealed { .. }),
        ),
        ("too short", memfd(4096, SEALABLE), |e| {
            matches!(
                e,
                SegmentError::WrongSize {
                    found_bytes: 4096,
                    expected_bytes: 8192
                }
            )
        }),
        ("with a hole", sparse(), |e| {
            matches!(e, SegmentError::Sparse { .. })
        }),
    ];
    for (name, file, expected) in cases {
        for keeping in [Keeping::Copy, Keeping::Trust, Keeping::Seal] {
            let source = Source::new(u64::MAX, own_uid(), keeping, 8, "a liar");
            let file = file.try_clone().expect("a descriptor");
            let arrived = Ref::arrived(&[extent(0, 0, 8192)], vec![Some(file)], &source)
                .expect("nobody looks yet");
            let way = Way::new(&pool());
            way.parcel(&arrived);
            for error in [
                arrived.edit(&way.pool).map(drop).expect_err(name),
                arrived.map().expect_err(name),
                arrived.read(0, &mut [0; 9]).expect_err(name),
                arrived
                    .slice(1..)
                    .expect("inside")
                    .pass(&way.audience, &way.pool)
                    .map(drop)
                    .map_or_else(|error| error, |()| arrived.map().expect_err(name)),
            ] {
                let RefError::Segment { source, peer } = &error else {
                    panic!("{name}: {error}");
                };
                assert!(expected(source), "{name}: {source}");
                assert_eq!(&**peer, "a liar");
                assert!(error.is_misbehaviour(), "{name}");
            }
        }
    }
}

#[test]
fn a_peer_that_goes_on_writing_does_not_change_a_view() {
    const LEN: usize = 512 << 10;
    let file = memfd(LEN as u64, SealFlags::empty());
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a fresh range, of which no reference is made.
    let base = unsafe {
        mmap(
            std::ptr::null_mut(),
            LEN,
            access,
            MapFlags::SHARED,
            &file,
            0,
        )
    };
    let base = base.expect("a mapping").cast::<u8>();
    fs::fcntl_add_seals(&file, SEALABLE).expect("seals");
    for keeping in [Keeping::Copy, Keeping::Seal] {
        let source = Source::new(u64::MAX, own_uid(), keeping, 8, "the writer");
        let extent = Extent {
            descriptor: 0,
            offset_bytes: 0,
            bytes: LEN as u64,
            segment_bytes: LEN as u64,
            whole: true,
        };
        let file = file.try_clone().expect("a descriptor");
        let arrived = Ref::arrived(&[extent], vec![Some(file)], &source).expect("a ref");
        // SAFETY: in the mapping, which nobody else reads now.
        unsafe { base.write_volatile(1) };
        let view = arrived.map().expect("a view");
        assert!(!view.in_place());
        // SAFETY: as above.
        unsafe { base.write_volatile(2) };
        assert_eq!(view[0], 1);
    }
    // SAFETY: the range mapped above.
    unsafe { munmap(base.cast(), LEN) }.expect("unmap what was mapped");
}

#[test]
fn memory_of_one_user_reaches_another_user_only_as_a_copy_or_from_its_owner() {
    let owner = pool();
    let forwarder = pool();
    let stranger = own_uid() + 1;
    let data = pattern(9000, 14);
    let shared = owner.copy_of(&data).expect("memory");
    let near = Way::new(&owner);
    let parcel = near.parcel(&shared);
    let owners = inode(&parcel.descriptors[0]);
    let arrived = near.open(parcel).expect("a ref");

    let far = Way::with(&forwarder, stranger, Keeping::Copy, u32::MAX);
    let passed_on = far.parcel(&arrived);
    assert_ne!(inode(&passed_on.descriptors[0]), owners);
    assert!(passed_on.extents[0].whole);
    assert_eq!(bytes_of(&far.open(passed_on).expect("a ref")), data);

    let direct = Way::with(&owner, stranger, Keeping::Copy, u32::MAX).parcel(&shared);
    assert_eq!(inode(&direct.descriptors[0]), owners);
}

#[test]
fn refs_are_passed_from_a_pool_that_never_uses_memory_again() {
    let pool = single_use_pool();
    let data = pattern(70_000, 15);
    let way = Way::new(&pool);
    assert_eq!(
        bytes_of(&way.carry(&pool.copy_of(&data).expect("memory"))),
        data
    );
    let shared = Arc::new(pool.copy_of(&data).expect("memory"));
    let part = shared.slice(1..5).expect("inside");
    assert_eq!(bytes_of(&way.carry(&part)), data[1..5]);
}

#[test]
fn a_hole_hidden_by_blocks_beyond_the_end_reads_as_zeroes_and_is_never_mapped() {
    let bytes = 1_u64 << 20;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = fs::memfd_create("hidden", flags).expect("a memory file");
    fs::ftruncate(&file, bytes).expect("a size");
    fs::fallocate(&file, FallocateFlags::KEEP_SIZE, bytes, bytes).expect("reserving");
    fs::fcntl_add_seals(&file, SEALABLE).expect("seals");
    let blocks = fs::fstat(&file).expect("a file").st_blocks as u64;
    assert_eq!(blocks * 512, bytes, "as many as a full segment has");
    for (keeping, mapped) in [(Keeping::Copy, false), (Keeping::Trust, true)] {
        let source = Source::new(u64::MAX, own_uid(), keeping, 8, "a liar");
        let file = file.try_clone().expect("a descriptor");
        let extent = Extent {
            segment_bytes: bytes,
            ..extent(0, 0, bytes)
        };
        let arrived = Ref::arrived(&[extent], vec![Some(file)], &source).expect("nobody looks yet");
        let mut read = [7; 9];
        arrived.read(4096, &mut read).expect("the kernel reads it");
        assert_eq!(read, [0; 9]);
        let shown = arrived.map();
        if mapped {
            let error = shown.expect_err("a hole in a mapping would take our memory");
            let RefError::Segment { source, .. } = &error else {
                panic!("{error}");
            };
            assert!(matches!(source, SegmentError::Sparse { .. }), "{source}");
        } else {
            let copy = shown.expect("a copy");
            assert!(!copy.in_place() && copy.iter().all(|byte| *byte == 0));
        }
    }
}
