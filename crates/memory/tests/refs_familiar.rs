//! Segments that come again and again: they stay mapped where they are read, are used
//! again by their owner all the same, and show what they hold now.

mod passing;

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nowire_memory::heap::Keeping;
use nowire_memory::refs::{Extent, Pool, Ref, Source};
use passing::{
    Way, alone, eventually, filled, is_used_again, memfd, own_uid, pattern, pool, pool_with,
    take_back,
};
use rustix::fs::SealFlags;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const LEN: usize = 64 << 10;

const SEALABLE: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::FUTURE_WRITE);

/// The sizes of the mappings for reading of files that are called `name`.
fn mapped(name: &str) -> Vec<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    let read = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let at = |number| usize::from_str_radix(number, 16).ok();
        let is_meant = rest.starts_with("r--s") && rest.contains(name);
        is_meant.then_some(at(end)? - at(start)?)
    };
    maps.lines().filter_map(read).collect()
}

/// How many segments are mapped for reading.
fn segments_mapped() -> usize {
    mapped("memfd:nowire-ref").len()
}

/// A way to somebody who trusts, and reads in place what is mapped.
fn trusting(pool: &Pool) -> Way {
    Way::with(pool, own_uid(), Keeping::Trust, u32::MAX)
}

/// Passes the only segment of a pool, again and again, until it stays mapped; tells
/// where it lies.
fn make_familiar(way: &Way) -> usize {
    let mut places = (1..4).map(|byte| {
        let (first, place) = filled(&way.pool, LEN, byte);
        assert!(
            way.carry(&first).map().expect("a view")[..]
                .iter()
                .all(|&b| b == byte)
        );
        place
    });
    let place = places.next().expect("three");
    assert!(places.all(|other| other == place), "it is used again");
    assert_eq!(segments_mapped(), 1);
    place
}

#[test]
fn a_segment_that_comes_again_stays_mapped_and_is_used_again() {
    alone(
        "a_segment_that_comes_again_stays_mapped_and_is_used_again",
        || {
            for keeping in [Keeping::Copy, Keeping::Seal, Keeping::Trust] {
                let pool = pool();
                let way = Way::with(&pool, own_uid(), keeping, u32::MAX);
                let mut places = Vec::new();
                for round in 0..40 {
                    // The last bytes of the segment, and fewer than before.
                    let data = pattern(LEN - round * 37, round);
                    let mut buffer = pool.with_capacity(LEN).expect("memory");
                    places.push(buffer.as_ptr().addr());
                    buffer.extend_from_slice(&data).expect("room");
                    let whole = buffer.share();
                    let arrived = way.carry(&whole);
                    let view = arrived.map().expect("a view");
                    assert!(*view == data, "round {round}");
                    assert_eq!(
                        view.in_place(),
                        keeping == Keeping::Trust && round > 0,
                        "{keeping:?}, {round}"
                    );
                    let part = arrived.slice(5..100).expect("inside");
                    assert_eq!(*part.map().expect("a view"), data[5..100]);
                    let mut end = [0; 9];
                    arrived.read(data.len() - 9, &mut end).expect("inside");
                    assert_eq!(end, data[data.len() - 9..]);
                    let kept = usize::from(round > 0);
                    assert_eq!(segments_mapped(), kept, "{keeping:?}, {round}");
                    drop((view, part, arrived, whole));
                    assert_eq!(segments_mapped(), kept, "{keeping:?}, {round}");
                }
                places.dedup();
                assert_eq!(places.len(), 1, "{keeping:?}");
                assert_eq!(way.source.held(), 0);
                drop(way);
                assert_eq!(segments_mapped(), 0, "{keeping:?}: the peer is gone");
            }
        },
    );
}

#[test]
fn a_view_of_what_stays_mapped_keeps_it_from_its_owner() {
    alone(
        "a_view_of_what_stays_mapped_keeps_it_from_its_owner",
        || {
            let pool = pool();
            let way = trusting(&pool);
            let place = make_familiar(&way);
            let (first, again) = filled(&pool, LEN, 7);
            assert_eq!(again, place);
            let view = way.carry(&first).map().expect("a view");
            let clone = view.clone();
            assert!(view.in_place());
            drop((first, view));
            for _ in 0..20 {
                assert!(!is_used_again(&pool, LEN, place));
                drop(way.carry(&filled(&pool, LEN, 8).0).map().expect("a view"));
                pool.reclaim();
                assert!(clone.iter().all(|&byte| byte == 7));
            }
            drop(clone);
            eventually(|| is_used_again(&pool, LEN, place).then_some(()));
        },
    );
}

#[test]
fn an_edit_of_what_stays_mapped_keeps_it_from_its_owner() {
    alone(
        "an_edit_of_what_stays_mapped_keeps_it_from_its_owner",
        || {
            let pool = pool();
            let editor = pool_with(|_| {});
            let way = trusting(&pool);
            let place = make_familiar(&way);
            let (first, _) = filled(&pool, LEN, 7);
            let mut edit = way.carry(&first).edit(&editor).expect("an edit");
            drop(first);
            edit.write(5000, b"changed").expect("memory");
            let edited = edit.share();
            let view = edited.map().expect("a view");
            for _ in 0..20 {
                assert!(!is_used_again(&pool, LEN, place));
            }
            let mut expected = vec![7; LEN];
            expected[5000..5007].copy_from_slice(b"changed");
            assert!(*view == expected);
            assert!(*edited.map().expect("a view") == expected);
        },
    );
}

#[test]
fn the_last_owner_takes_back_what_stays_mapped_elsewhere() {
    alone(
        "the_last_owner_takes_back_what_stays_mapped_elsewhere",
        || {
            let pool = pool();
            let way = trusting(&pool);
            let place = make_familiar(&way);
            let (first, _) = filled(&pool, LEN, 4);
            let arrived = way.carry(&first);
            let view = arrived.map().expect("a view");
            let first = first.try_into_buffer().expect_err("it is being read");
            drop(arrived);
            let first = first.try_into_buffer().expect_err("it is being read");
            drop(view);
            let mut buffer = take_back(first);
            assert_eq!(buffer.as_ptr().addr(), place);
            buffer.fill(5);
            let arrived = way.carry(&buffer.share());
            assert!(arrived.map().expect("a view").iter().all(|&byte| byte == 5));
            assert_eq!(segments_mapped(), 1);
        },
    );
}

#[test]
fn what_stays_mapped_is_bounded_and_what_is_in_use_is_not_taken_away() {
    alone(
        "what_stays_mapped_is_bounded_and_what_is_in_use_is_not_taken_away",
        || {
            for (len, segments, bound) in [(16 << 10, 200, 128), (1 << 20, 90, 64)] {
                let pool = pool();
                let way = trusting(&pool);
                let all: Vec<_> = (0..segments)
                    .map(|n| pool.copy_of(&pattern(len, n)).expect("memory"))
                    .collect();
                let pass = |n: usize| {
                    let view = way.carry(&all[n]).map().expect("a view");
                    assert!(*view == pattern(len, n), "{n}");
                    view
                };
                // Of some the second pass has to come before they are forgotten.
                pass(0);
                let first = pass(0);
                assert!(first.in_place());
                for n in 1..segments {
                    pass(n);
                    pass(n);
                    // What is used often stays.
                    assert!(n % 20 > 0 || pass(0).in_place());
                }
                assert!(*first == pattern(len, 0));
                drop(first);
                assert_eq!(segments_mapped(), bound);
                assert_eq!(mapped("nowire-ref").len(), bound);
                let bytes: usize = mapped("memfd:nowire-ref").iter().sum();
                assert!(bytes <= 64 << 20, "{bytes}");
                // What is used from now on takes the place of what is not.
                assert!((0..50).any(|_| pass(segments - 1).in_place()));
                assert_eq!(segments_mapped(), bound);
                drop(way);
                assert_eq!(segments_mapped(), 0);
            }
        },
    );
}

#[test]
fn what_is_read_in_small_part_does_not_stay_mapped() {
    alone("what_is_read_in_small_part_does_not_stay_mapped", || {
        let pool = pool();
        let way = trusting(&pool);
        let whole = pool.copy_of(&pattern(LEN, 1)).expect("memory");
        let read = |bytes: usize| {
            let arrived = way.carry(&whole);
            for at in (0..bytes).step_by(1024) {
                let mut piece = [0; 1024];
                arrived.read(at, &mut piece).expect("inside");
                assert_eq!(piece, pattern(LEN, 1)[at..at + 1024]);
            }
        };
        for _ in 0..10 {
            read(LEN / 4);
        }
        assert_eq!(segments_mapped(), 0);
        read(LEN / 2);
        read(1024);
        assert_eq!(segments_mapped(), 1, "most was read, piece by piece");
    });
}

#[test]
fn what_comes_over_two_connections_stays_mapped_until_the_later_one_ends() {
    alone(
        "what_comes_over_two_connections_stays_mapped_until_the_later_one_ends",
        || {
            let pool = pool();
            let (first, second) = (trusting(&pool), trusting(&pool));
            let whole = pool.copy_of(&pattern(LEN, 1)).expect("memory");
            for way in [&first, &first, &second] {
                assert!(*way.carry(&whole).map().expect("a view") == pattern(LEN, 1));
            }
            assert_eq!(segments_mapped(), 1);
            drop(first);
            assert_eq!(segments_mapped(), 1);
            // A view outlives what it came over.
            let view = second.carry(&whole).map().expect("a view");
            assert!(view.in_place());
            let source = std::sync::Arc::clone(&second.source);
            drop(second);
            assert!(*view == pattern(LEN, 1));
            assert_eq!(segments_mapped(), 1);
            source.end();
            assert!(*view == pattern(LEN, 1));
            drop(view);
            assert_eq!(segments_mapped(), 0);
        },
    );
}

#[test]
fn what_came_before_its_connection_ended_is_read_but_stays_mapped_no_more() {
    alone(
        "what_came_before_its_connection_ended_is_read_but_stays_mapped_no_more",
        || {
            let pool = pool();
            let way = trusting(&pool);
            let wholes = [0, 1].map(|n| pool.copy_of(&pattern(LEN, n)).expect("memory"));
            let arrived: Vec<_> = (0..8).map(|n| way.carry(&wholes[n % 2])).collect();
            let read = |n: usize| {
                let view = arrived[n].map().expect("a view");
                assert!(*view == pattern(LEN, n % 2), "{n}");
            };
            (0..3).for_each(read);
            assert_eq!(segments_mapped(), 1, "the first, which came twice");
            way.source.end();
            (3..8).for_each(read);
            drop(arrived);
            assert_eq!(segments_mapped(), 0);
        },
    );
}

#[test]
fn what_is_sealed_stays_mapped_too_and_shows_what_it_held() {
    alone(
        "what_is_sealed_stays_mapped_too_and_shows_what_it_held",
        || {
            let pool = pool();
            let way = Way::with(&pool, own_uid(), Keeping::Seal, 0);
            let whole = pool.copy_of(&pattern(LEN, 1)).expect("memory");
            let views: Vec<_> = (0..3)
                .map(|_| way.carry(&whole).map().expect("a view"))
                .collect();
            drop(whole);
            assert_eq!(views.iter().filter(|view| view.in_place()).count(), 2);
            for n in 0..20 {
                drop(way.carry(&filled(&pool, LEN, n).0));
            }
            assert!(views.iter().all(|view| **view == pattern(LEN, 1)));
            drop(views);
            // The reader keeps it, and it counts no more: nobody has a ref to it.
            assert_eq!(segments_mapped(), 1);
            eventually(|| {
                pool.reclaim();
                (pool.usage().live_bytes == 0).then_some(())
            });
        },
    );
}

/// A ref to all of a file, as a peer may pass it.
fn alleged(file: &OwnedFd, bytes: usize, source: &std::sync::Arc<Source>) -> Ref {
    let extent = Extent {
        descriptor: 0,
        offset_bytes: 0,
        bytes: bytes as u64,
        segment_bytes: bytes as u64,
        whole: true,
    };
    let file = file.try_clone().expect("a descriptor");
    Ref::arrived(&[extent], vec![Some(file)], source).expect("nobody looks yet")
}

fn liar(keeping: Keeping) -> std::sync::Arc<Source> {
    Source::new(u64::MAX, own_uid(), keeping, 64, "a liar")
}

#[test]
fn what_belongs_to_another_user_does_not_stay_mapped() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root, to give a file to another user");
        return;
    }
    alone("what_belongs_to_another_user_does_not_stay_mapped", || {
        for (uid, expected) in [(own_uid(), 1), (65_534, 0)] {
            let file = memfd(LEN as u64, SEALABLE);
            let owner = rustix::fs::Uid::from_raw(uid);
            rustix::fs::fchown(&file, Some(owner), None).expect("root may");
            let source = liar(Keeping::Copy);
            for _ in 0..5 {
                let arrived = alleged(&file, LEN, &source);
                assert!(arrived.map().expect("a view").iter().all(|&b| b == 0));
            }
            assert_eq!(mapped("memfd:hostile").len(), expected, "{uid}");
        }
    });
}

#[test]
fn a_segment_with_a_hidden_hole_does_not_stay_mapped() {
    alone("a_segment_with_a_hidden_hole_does_not_stay_mapped", || {
        use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, fcntl_add_seals, ftruncate};
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = rustix::fs::memfd_create("hostile", flags).expect("a memory file");
        let bytes = LEN as u64;
        ftruncate(&file, bytes).expect("a size");
        fallocate(&file, FallocateFlags::KEEP_SIZE, bytes, bytes).expect("reserving");
        fcntl_add_seals(&file, SEALABLE).expect("seals");
        let source = liar(Keeping::Copy);
        for _ in 0..5 {
            let arrived = alleged(&file, LEN, &source);
            assert!(arrived.map().expect("a copy").iter().all(|&b| b == 0));
        }
        assert_eq!(mapped("memfd:hostile").len(), 0);
    });
}

#[test]
fn a_peer_with_a_lease_on_its_segment_makes_nobody_wait() {
    use std::sync::mpsc;
    let path = |file: &OwnedFd| format!("/proc/self/fd/{}", file.as_raw_fd());
    let made = memfd(LEN as u64, SealFlags::empty());
    // The only open file of the inode, so that the kernel grants the lease.
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path(&made));
    let Ok(file) = file.map(OwnedFd::from) else {
        println!("skipped: needs /proc");
        return;
    };
    drop(made);
    rustix::fs::fcntl_add_seals(&file, SEALABLE).expect("seals");
    const F_SETSIG: libc::c_int = 10;
    // Else the kernel ends the process whose lease is asked for.
    // SAFETY: an open file, and a command whose argument is a number.
    unsafe { libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG) };
    // SAFETY: as above.
    let leased = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) };
    if leased != 0 {
        let error = std::io::Error::last_os_error();
        println!("skipped: needs leases: {error}");
        return;
    }
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        let source = liar(Keeping::Copy);
        for _ in 0..5 {
            let arrived = alleged(&file, LEN, &source);
            arrived.read(0, &mut [0; LEN]).expect("it can be read");
        }
        done.send(()).expect("somebody waits");
    });
    // The kernel would wait three times as long for the lease.
    let waited = is_done.recv_timeout(Duration::from_secs(15));
    waited.expect("a reader waits for its peer's lease");
}

#[test]
fn what_a_peer_goes_on_writing_changes_no_copy_of_what_stays_mapped() {
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
    let file = memfd(LEN as u64, SealFlags::empty());
    let access = ProtFlags::READ | ProtFlags::WRITE;
    let anywhere = std::ptr::null_mut();
    // SAFETY: a fresh range, of which no reference is made.
    let base = unsafe { mmap(anywhere, LEN, access, MapFlags::SHARED, &file, 0) };
    let base = base.expect("a mapping").cast::<u8>();
    rustix::fs::fcntl_add_seals(&file, SEALABLE).expect("seals");
    for keeping in [Keeping::Copy, Keeping::Seal] {
        let source = liar(keeping);
        for byte in 1..6 {
            // SAFETY: in the mapping, which nobody else reads now.
            unsafe { base.write_volatile(byte) };
            let view = alleged(&file, LEN, &source).map().expect("a view");
            // SAFETY: as above.
            unsafe { base.write_volatile(0xee) };
            assert!(!view.in_place());
            assert_eq!(view[0], byte);
        }
    }
    // SAFETY: the range mapped above.
    unsafe { munmap(base.cast(), LEN) }.expect("unmap what was mapped");
}

#[test]
fn a_reader_without_descriptors_reads_all_the_same() {
    alone("a_reader_without_descriptors_reads_all_the_same", || {
        let pool = pool();
        let way = trusting(&pool);
        let whole = pool.copy_of(&pattern(LEN, 1)).expect("memory");
        let read = || {
            let arrived = way.carry(&whole);
            let limit = getrlimit(Resource::Nofile);
            // Those there are stay open; there will be no more.
            let none = Rlimit {
                current: Some(0),
                ..limit
            };
            setrlimit(Resource::Nofile, none).expect("a lower limit");
            let view = arrived.map().expect("a view");
            setrlimit(Resource::Nofile, limit).expect("the limit there was");
            assert!(*view == pattern(LEN, 1));
            view.in_place()
        };
        assert!((0..5).all(|_| !read()));
        assert_eq!(segments_mapped(), 0);
        // What is mapped already needs none.
        let again = || way.carry(&whole).map().expect("a view").in_place();
        assert!((0..3).any(|_| again()));
        assert!(read());
    });
}

#[test]
fn a_forked_child_reads_what_its_parent_has_mapped() {
    alone("a_forked_child_reads_what_its_parent_has_mapped", || {
        let pool = pool();
        let way = trusting(&pool);
        make_familiar(&way);
        let (next, _) = filled(&pool, LEN, 9);
        let arrived = way.carry(&next);
        // SAFETY: only this thread runs, the child does as little as it can, and ends
        // without cleaning up.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let mut bytes = [0; 100];
            let is_read = arrived.read(1000, &mut bytes).is_ok();
            let is_right = is_read && bytes == [9; 100];
            // SAFETY: ends the child.
            unsafe { libc::_exit(i32::from(!is_right)) };
        }
        let mut status = 0;
        // SAFETY: a child of this process, and where to put how it ended.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert!(
            libc::WIFEXITED(status),
            "ended by {}",
            libc::WTERMSIG(status)
        );
        assert_eq!(libc::WEXITSTATUS(status), 0);
        // The parent has what it had.
        assert!(arrived.map().expect("a view").iter().all(|&byte| byte == 9));
    });
}

#[test]
fn threads_that_read_the_same_segments_at_once_see_what_is_there() {
    alone(
        "threads_that_read_the_same_segments_at_once_see_what_is_there",
        || {
            const SMALL: usize = 16 << 10;
            let pool = pool();
            // More than stay mapped: they push each other out while they are read.
            let common: Vec<_> = (0..150)
                .map(|n| pool.copy_of(&pattern(SMALL, n)).expect("memory"))
                .collect();
            let deadline = Instant::now() + Duration::from_secs(60);
            std::thread::scope(|threads| {
                for thread in 0..4_usize {
                    let (pool, common) = (&pool, &common);
                    threads.spawn(move || {
                        let mut way = trusting(pool);
                        for round in 0..600 {
                            assert!(Instant::now() < deadline, "it hangs");
                            // Two threads after the same few.
                            let n = (round * 7 / 2 + thread / 2 * 31) % common.len();
                            let view = way.carry(&common[n]).map().expect("a view");
                            assert!(*view == pattern(SMALL, n));
                            // And memory that is used again at once, by any thread.
                            let data = pattern(SMALL, round + thread * 1000);
                            let own = pool.copy_of(&data).expect("memory");
                            let arrived = way.carry(&own);
                            drop(own);
                            let seen = arrived.map().expect("a view");
                            drop(arrived);
                            assert!(*seen == data);
                            assert!(*view == pattern(SMALL, n));
                            if round % 100 == 99 {
                                way = trusting(pool);
                            }
                        }
                    });
                }
            });
            assert_eq!(segments_mapped(), 0);
            drop(common);
            eventually(|| {
                pool.reclaim();
                (pool.usage().live_bytes == 0).then_some(())
            });
        },
    );
}

#[test]
fn a_descriptor_keeps_memory_whoever_else_has_it_mapped() {
    alone(
        "a_descriptor_keeps_memory_whoever_else_has_it_mapped",
        || {
            use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
            let pool = pool();
            let way = trusting(&pool);
            let place = make_familiar(&way);
            let is_free = || is_used_again(&pool, LEN, place);

            // A descriptor.
            let (first, _) = filled(&pool, LEN, 1);
            let kept = way.parcel(&first);
            drop(first);
            assert!(!is_free());

            // On its way through a socket, and nowhere else.
            let (near, far) = nowire_memory::socket::pair().expect("sockets");
            let descriptor = kept.descriptors[0].as_fd();
            nowire_memory::socket::hand_over(near.as_fd(), descriptor).expect("room");
            drop(kept);
            assert!(!is_free());
            let came = nowire_memory::socket::answer_doorbell(far.as_fd()).expect("it came");
            let file = came.descriptor.expect("it came");

            // A mapping by what came, and nothing else.
            let anywhere = std::ptr::null_mut();
            // SAFETY: a fresh range, of which no reference is made.
            let base = unsafe { mmap(anywhere, LEN, ProtFlags::READ, MapFlags::SHARED, &file, 0) };
            let base = base.expect("a mapping");
            drop(file);
            assert!(!is_free());
            // SAFETY: in the mapping, which nobody writes.
            assert_eq!(unsafe { base.cast::<u8>().read_volatile() }, 1);
            // SAFETY: the range mapped above.
            unsafe { munmap(base, LEN) }.expect("unmap what was mapped");
            eventually(|| is_free().then_some(()));
            assert_eq!(segments_mapped(), 1);
        },
    );
}
