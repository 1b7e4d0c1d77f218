//! When memory that was passed is used again, and what a pool may take.

mod passing;

use std::ffi::CStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nowire_memory::heap::Keeping;
use nowire_memory::refs::{Pool, PoolError, Ref, Reuse};
use passing::{
    Way, alone, eventually, inode, own_uid, pattern, pool, pool_with, single_use_pool, take_back,
};
use rustix::mm::{MapFlags, ProtFlags, mmap};

const LEN: usize = 64 << 10;
const CHILD: &str = "NOWIRE_REFS_CHILD";

/// Where the memory of a buffer lies.
fn place(pool: &Pool) -> usize {
    pool.with_capacity(LEN).expect("memory").as_ptr().addr()
}

/// A ref to memory of [`LEN`] bytes, and where it lies.
fn shared(pool: &Pool, byte: u8) -> (Ref, usize) {
    let mut buffer = pool.alloc(LEN).expect("memory");
    buffer.fill(byte);
    let place = buffer.as_ptr().addr();
    (buffer.share(), place)
}

/// The other process: says that it is there, and ends when it is told to.
fn hold(role: &str) {
    let file = std::io::stdin();
    let file = file.as_fd();
    if role == "mapping" {
        let access = ProtFlags::READ;
        // SAFETY: a fresh range, which is not touched.
        let mapped = unsafe { mmap(std::ptr::null_mut(), LEN, access, MapFlags::SHARED, file, 0) };
        mapped.expect("a mapping");
        // SAFETY: nobody in this process uses standard input.
        unsafe { libc::close(0) };
    }
    println!("ready");
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn child_process() {
    if let Ok(role) = std::env::var(CHILD) {
        hold(&role);
    }
}

/// Another process that has what `file` is, as its standard input or mapped.
fn spawn(role: &str, file: OwnedFd) -> Child {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "child_process", "--nocapture"])
        .env(CHILD, role)
        .stdin(Stdio::from(file))
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child process");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let ready = output.lines().map_while(Result::ok);
    assert!(ready.into_iter().any(|line| line.contains("ready")));
    child
}

#[test]
fn memory_that_never_left_is_used_again_at_once() {
    let pool = pool();
    let (first, place_of_first) = shared(&pool, 1);
    drop(first);
    assert_eq!(place(&pool), place_of_first);
}

#[test]
fn memory_is_used_again_only_when_no_process_has_it_open_or_mapped() {
    for role in ["descriptor", "mapping"] {
        let pool = pool();
        let way = Way::new(&pool);
        let (first, place_of_first) = shared(&pool, 1);
        let mut descriptors = way.parcel(&first).descriptors;
        drop(first);
        let mut child = spawn(role, descriptors.pop().expect("one"));

        let usage = pool.usage();
        assert_eq!(
            (usage.waiting_bytes, usage.live_bytes),
            (LEN, LEN),
            "{role}"
        );
        for _ in 0..20 {
            assert_ne!(place(&pool), place_of_first, "{role}");
        }
        assert_eq!(pool.reclaim(), LEN, "only what was allocated meanwhile");
        assert_eq!(pool.usage().waiting_bytes, LEN, "{role}");

        child.kill().expect("kill a child");
        child.wait().expect("its end");
        eventually(|| (place(&pool) == place_of_first).then_some(()));
        assert_eq!(pool.usage().waiting_bytes, 0, "{role}");
    }
}

#[test]
fn memory_in_a_socket_that_nobody_reads_is_not_used_again() {
    let pool = pool();
    let way = Way::new(&pool);
    let (first, place_of_first) = shared(&pool, 1);
    let extents = way.send(&first).expect("pass a ref");
    drop(first);
    assert_ne!(place(&pool), place_of_first);
    assert_ne!(place(&pool), place_of_first);
    drop(way.receive(extents));
    eventually(|| {
        // It may be kept behind another one.
        let other = pool.with_capacity(LEN).expect("memory");
        let places = [other.as_ptr().addr(), place(&pool)];
        places.contains(&place_of_first).then_some(())
    });
}

#[test]
fn the_last_owner_is_told_when_another_process_still_has_the_memory() {
    for role in ["descriptor", "mapping"] {
        let pool = pool();
        let (first, place_of_first) = shared(&pool, 7);
        let mut descriptors = Way::new(&pool).parcel(&first).descriptors;
        let mut child = spawn(role, descriptors.pop().expect("one"));
        let first = first.try_into_buffer().expect_err(role);
        // It can be passed as before.
        let arrived = Way::new(&pool).carry(&first);
        assert_eq!(arrived.map().expect("a view")[LEN - 1], 7);
        child.kill().expect("kill a child");
        child.wait().expect("its end");
        let first = first.try_into_buffer().expect_err("it was passed again");
        drop(arrived);
        let buffer = take_back(first);
        assert_eq!(buffer.as_ptr().addr(), place_of_first);
        assert!(buffer.iter().all(|&byte| byte == 7));
    }
}

#[test]
fn who_had_the_memory_before_it_was_taken_back_counts_no_more() {
    let pool = pool();
    let way = Way::new(&pool);
    let (first, _) = shared(&pool, 1);
    let before = inode(&way.parcel(&first).descriptors[0]);
    let mut buffer = take_back(first);
    buffer.fill(2);
    let part = buffer.share().slice(..10).expect("inside");
    assert_ne!(inode(&way.parcel(&part).descriptors[0]), before);
}

/// Moves a page of `file` into a pipe, which keeps it after the file is closed.
fn splice(file: BorrowedFd<'_>, pipe: BorrowedFd<'_>) {
    let none = std::ptr::null_mut();
    // SAFETY: open descriptors, and no offsets.
    let moved = unsafe { libc::splice(file.as_raw_fd(), none, pipe.as_raw_fd(), none, 4096, 0) };
    assert_eq!(moved, 4096, "{}", std::io::Error::last_os_error());
}

#[test]
fn pages_that_a_peer_took_aside_never_show_what_comes_later() {
    let stranger = own_uid() + 1;
    let cases = [
        ("single use", single_use_pool(), own_uid(), u32::MAX),
        ("a stranger", pool(), stranger, u32::MAX),
        ("sealed", pool(), own_uid(), 0),
    ];
    for (name, pool, uid, seal_from) in cases {
        let way = Way::with(&pool, uid, Keeping::Copy, seal_from);
        let (first, _) = shared(&pool, 1);
        let parcel = way.parcel(&first);
        let (mut out, into) = std::io::pipe().expect("a pipe");
        splice(parcel.descriptors[0].as_fd(), into.as_fd());
        drop((first, parcel));
        for _ in 0..20 {
            let (next, _) = shared(&pool, 2);
            drop(way.parcel(&next));
        }
        let mut kept = [0; 4096];
        out.read_exact(&mut kept).expect("a page");
        assert_eq!(kept, [1; 4096], "{name}");
    }
}

#[test]
fn memory_that_is_not_used_again_counts_until_the_peer_lets_go() {
    let stranger = own_uid() + 1;
    let cases = [
        ("single use", single_use_pool(), own_uid(), u32::MAX),
        ("a stranger", pool(), stranger, u32::MAX),
        ("sealed", pool(), own_uid(), 0),
    ];
    for (name, pool, uid, seal_from) in cases {
        let way = Way::with(&pool, uid, Keeping::Copy, seal_from);
        let (first, _) = shared(&pool, 1);
        let parcel = way.parcel(&first);
        drop(first);
        assert_eq!(pool.reclaim(), 0, "{name}");
        assert_eq!(pool.usage().live_bytes, LEN, "{name}");
        drop(parcel);
        let given_back = eventually(|| Some(pool.reclaim()).filter(|&bytes| bytes > 0));
        assert_eq!(given_back, LEN, "{name}");
        assert_eq!(pool.usage().live_bytes, 0, "{name}");
        assert_eq!(pool.usage().segments, 0, "{name}");
    }
}

#[test]
fn a_stranger_that_takes_its_mark_away_still_counts() {
    let pool = pool();
    let way = Way::with(&pool, own_uid() + 1, Keeping::Copy, u32::MAX);
    let (first, _) = shared(&pool, 1);
    let parcel = way.parcel(&first);
    let nothing = libc::flock {
        l_type: libc::F_UNLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    let file = parcel.descriptors[0].as_raw_fd();
    // SAFETY: an open file, and a lock that lives until the call returns.
    let done = unsafe { libc::fcntl(file, libc::F_OFD_SETLK, &raw const nothing) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    drop(first);
    assert_eq!(pool.reclaim(), 0);
    assert_eq!(pool.usage().live_bytes, LEN);
    drop(parcel);
    eventually(|| {
        pool.reclaim();
        (pool.usage().live_bytes == 0).then_some(())
    });
}

#[test]
fn a_full_pool_says_how_full_and_serves_again_when_something_goes() {
    let pool = pool_with(|options| options.quota_bytes = 4 * LEN);
    let mut held: Vec<_> = (0..4).map(|_| pool.alloc(LEN).expect("room")).collect();
    let full = pool.alloc(LEN).expect_err("no room");
    assert!(
        matches!(
            full,
            PoolError::Full { asked_bytes: LEN, live_bytes, quota_bytes }
                if live_bytes == 4 * LEN && quota_bytes == 4 * LEN
        ),
        "{full}"
    );
    held.pop();
    held.push(pool.alloc(LEN).expect("room again"));
    // What was kept in one size makes room for another.
    held.clear();
    drop(pool.alloc(4 * LEN).expect("all of it"));
    let usage = pool.usage();
    assert!(usage.live_bytes + usage.kept_bytes <= usage.quota_bytes);
    assert!(matches!(
        pool.alloc(4 * LEN + 1),
        Err(PoolError::Full { live_bytes: 0, .. })
    ));
    assert!(matches!(
        pool.alloc(usize::MAX),
        Err(PoolError::Size {
            asked_bytes: usize::MAX
        })
    ));
}

#[test]
fn what_peers_let_go_of_is_found_when_the_quota_needs_it() {
    let pool = pool_with(|options| options.quota_bytes = 8 * LEN);
    let way = Way::new(&pool);
    let mut parcels: Vec<_> = (0..8).map(|n| way.parcel(&shared(&pool, n).0)).collect();
    assert_eq!(pool.usage().waiting_bytes, 8 * LEN);
    // Of another size, so that nothing fits by itself.
    assert!(matches!(pool.alloc(3 * LEN), Err(PoolError::Full { .. })));
    drop(parcels.split_off(4));
    let buffer = eventually(|| pool.alloc(3 * LEN).ok());
    assert!(pool.usage().waiting_bytes >= 4 * LEN);
    drop((buffer, parcels));
}

#[test]
fn an_edit_without_memory_fails_and_stays_as_it_was() {
    let pool = pool_with(|options| options.quota_bytes = LEN);
    let (base, _) = shared(&pool, 1);
    let mut edit = base.edit(&pool).expect("an edit");
    for error in [
        edit.write(5, b"x").expect_err("no memory"),
        edit.bytes_mut(5..6).map(drop).expect_err("no memory"),
    ] {
        assert!(matches!(
            error,
            nowire_memory::refs::RefError::Pool(PoolError::Full { .. })
        ));
    }
    assert_eq!((edit.own_pages(), edit.copied_pages()), (0, 0));
    assert!(edit.map().expect("a view").iter().all(|&byte| byte == 1));
}

#[test]
fn no_more_is_kept_than_was_allowed_and_all_of_it_is_given_back() {
    let pool = pool_with(|options| options.keep_bytes = 3 * LEN);
    let held: Vec<_> = (0..8).map(|n| shared(&pool, n)).collect();
    drop(held);
    assert_eq!(pool.usage().kept_bytes, 3 * LEN);
    assert_eq!(pool.usage().live_bytes, 0);
    assert_eq!(pool.reclaim(), 3 * LEN);
    assert_eq!(pool.usage().kept_bytes, 0);
    assert_eq!(pool.reclaim(), 0);

    let none = pool_with(|options| options.keep_bytes = 0);
    drop(shared(&none, 1));
    assert_eq!(none.usage().kept_bytes, 0);
}

/// Sets how many descriptors this process may have.
fn limit_descriptors(limit: u64) {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = Rlimit {
        current: Some(limit),
        maximum: Some(limit),
    };
    setrlimit(Resource::Nofile, limit).expect("a lower limit");
}

#[test]
fn free_memory_leaves_descriptors_to_others() {
    alone("free_memory_leaves_descriptors_to_others", || {
        limit_descriptors(256);
        let pool = pool();
        let all: Vec<_> = (0..100).map(|_| pool.alloc(1).expect("memory")).collect();
        drop(all);
        assert!(descriptors_and_mappings().0 <= 256 / 8);
    });
}

#[test]
fn what_waits_does_not_pile_up_behind_what_is_kept() {
    alone("what_waits_does_not_pile_up_behind_what_is_kept", || {
        let pool = pool_with(|options| options.keep_bytes = 2 * LEN);
        let way = Way::new(&pool);
        for round in 0..50 {
            // Of different sizes: no allocation looks for one that was used before.
            let buffer = pool.alloc(LEN + round * 8192).expect("memory");
            drop(way.carry(&buffer.share()));
        }
        let usage = pool.usage();
        let bound = 2 * LEN + 4 * (LEN + 50 * 8192);
        assert!(usage.kept_bytes + usage.waiting_bytes <= bound, "{usage:?}");
    });
}

/// How many descriptors and mappings of refs this process has.
fn descriptors_and_mappings() -> (usize, usize) {
    let links = std::fs::read_dir("/proc/self/fd").expect("/proc");
    let links = links.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let is_ref = |link: &std::path::PathBuf| link.to_string_lossy().contains("nowire-ref");
    let maps = std::fs::read_to_string("/proc/self/maps").expect("/proc");
    let maps = maps.lines().filter(|line| line.contains("nowire-ref"));
    (links.filter(is_ref).count(), maps.count())
}

#[test]
fn dropping_everything_closes_everything() {
    alone("dropping_everything_closes_everything", || {
        for reuse in [Reuse::Proven, Reuse::Never] {
            let pool = pool_with(|options| options.reuse = reuse);
            let way = Way::with(&pool, own_uid(), Keeping::Seal, 1 << 20);
            let mut made = Vec::new();
            for len in [10, 5000, 300_000, 2 << 20] {
                let base = pool.copy_of(&pattern(len, 1)).expect("memory");
                let mut edit = base.edit(&pool).expect("an edit");
                edit.write(len / 2, b"x").expect("memory");
                let edited = edit.share();
                let arrived = way.carry(&edited.slice(1..).expect("inside"));
                made.push((base, arrived.map().expect("a view"), arrived, edited));
            }
            assert!(descriptors_and_mappings().0 > 0);
            drop(made);
            pool.reclaim();
            assert_eq!(descriptors_and_mappings(), (0, 0), "{reuse:?}");
        }

        let pool = pool();
        let (kept, _) = shared(&pool, 1);
        let parcel = Way::new(&pool).parcel(&kept);
        drop((kept, pool));
        assert_eq!(descriptors_and_mappings(), (1, 0), "only what the peer has");
        drop(parcel);
        assert_eq!(descriptors_and_mappings(), (0, 0));
    });
}

#[test]
fn a_forked_child_has_no_mapping_of_a_ref() {
    alone("a_forked_child_has_no_mapping_of_a_ref", || {
        let pool = pool();
        let way = Way::with(&pool, own_uid(), Keeping::Seal, 400_000);
        let base = pool.copy_of(&pattern(1 << 20, 1)).expect("memory");
        let mut edit = base.edit(&pool).expect("an edit");
        edit.write(400_000, b"x").expect("memory");
        let edited = edit.share();
        let side_by_side = edited.map().expect("a view");
        let arrived = way.carry(&base);
        let foreign = arrived.map().expect("a view");
        assert!(side_by_side.in_place() && foreign.in_place());

        let maps = std::fs::read_to_string("/proc/self/smaps").expect("/proc");
        let mut found = 0;
        let mut is_ref = false;
        for line in maps.lines() {
            if let Some(flags) = line.strip_prefix("VmFlags:") {
                if is_ref {
                    assert!(flags.contains(" dc"), "{line}");
                    found += 1;
                }
            } else if !line
                .split_whitespace()
                .next()
                .is_some_and(|w| w.ends_with(':'))
            {
                is_ref = line.contains("nowire-ref");
            }
        }
        // The base, sealed; the new page; the three pieces; the peer's.
        assert!(found >= 6, "{found}");
    });
}

/// Puts something else in the place of /proc, for this thread.
fn hide_proc() -> Result<(), std::io::Error> {
    let done = |result| match result {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    };
    // SAFETY: takes flags only.
    done(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    let mount = |from: Option<&CStr>, into: &CStr, flags| {
        let from = from.map_or(std::ptr::null(), CStr::as_ptr);
        // SAFETY: strings that end, and no options.
        unsafe { libc::mount(from, into.as_ptr(), from, flags, std::ptr::null()) }
    };
    done(mount(None, c"/", libc::MS_REC | libc::MS_PRIVATE))?;
    done(mount(Some(c"tmpfs"), c"/proc", 0))
}

#[test]
fn without_proc_refs_work_and_their_memory_is_used_once() {
    alone(
        "without_proc_refs_work_and_their_memory_is_used_once",
        || {
            if let Err(error) = hide_proc() {
                println!("not tried, as /proc cannot be hidden here: {error}");
                return;
            }
            let pool = pool();
            for seal_from in [u32::MAX, 0] {
                let way = Way::with(&pool, own_uid(), Keeping::Seal, seal_from);
                let (first, _) = shared(&pool, 1);
                let arrived = way.carry(&first);
                assert!(arrived.map().expect("a view").iter().all(|&b| b == 1));
                drop(first);
                assert_eq!(pool.usage().live_bytes, 0, "nobody can tell");
                let (second, _) = shared(&pool, 2);
                assert!(arrived.map().expect("a view").iter().all(|&b| b == 1));
                let second = second.try_into_buffer().expect("it never left");
                drop(second);
                assert_eq!(pool.usage().kept_bytes, LEN);
                pool.reclaim();
            }
        },
    );
}

#[test]
fn memory_made_before_proc_went_away_is_not_used_again_while_a_peer_has_it() {
    alone(
        "memory_made_before_proc_went_away_is_not_used_again_while_a_peer_has_it",
        || {
            let pool = pool();
            let way = Way::new(&pool);
            let (first, second) = (shared(&pool, 1).0, shared(&pool, 1).0);
            if let Err(error) = hide_proc() {
                println!("skipped: needs a right to hide /proc: {error}");
                return;
            }
            let kept = way.parcel(&first);
            let taken = inode(&kept.descriptors[0]);
            drop(first);
            // Who reads it has no /proc either.
            for _ in 0..3 {
                let arrived = way.carry(&second);
                assert!(arrived.map().expect("a view").iter().all(|&b| b == 1));
            }
            let arrived = way.carry(&second);
            let second = second
                .try_into_buffer()
                .expect_err("nobody can tell whether a peer has it");
            drop(second);
            for _ in 0..20 {
                let next = way.parcel(&shared(&pool, 2).0);
                assert_ne!(inode(&next.descriptors[0]), taken);
            }
            assert!(arrived.map().expect("a view").iter().all(|&b| b == 1));
            let kept = way.open(kept).expect("a ref");
            assert!(kept.map().expect("a view").iter().all(|&b| b == 1));
        },
    );
}

/// Makes the kernel refuse `fcntl` with `command` to this thread from now on.
fn refuse_fcntl(command: libc::c_int) -> Result<(), std::io::Error> {
    const NUMBER: u32 = 0;
    // The lower half of the second argument, on machines of either kind.
    const COMMAND: u32 = 24 + 4 * cfg!(target_endian = "big") as u32;
    let load = |offset| libc::sock_filter {
        code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16,
        jt: 0,
        jf: 0,
        k: offset,
    };
    let unless = |value: i64, skip| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt: 0,
        jf: skip,
        k: value as u32,
    };
    let end = |answer| libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: answer,
    };
    let mut filter = [
        load(NUMBER),
        unless(libc::SYS_fcntl, 3),
        load(COMMAND),
        unless(command.into(), 1),
        end(libc::SECCOMP_RET_ERRNO | libc::EINVAL as u32),
        end(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: takes numbers only.
    let kept_down = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the program lives until the call returns.
    let filtered = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    match (kept_down, filtered) {
        (0, 0) => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[test]
fn where_nothing_can_be_marked_or_asked_for_memory_is_used_once() {
    const NAME: &str = "where_nothing_can_be_marked_or_asked_for_memory_is_used_once";
    const COMMAND: &str = "NOWIRE_REFS_REFUSED";
    if let Ok(command) = std::env::var(COMMAND) {
        let pool = pool();
        let way = Way::new(&pool);
        let (first, _) = shared(&pool, 1);
        if let Err(error) = refuse_fcntl(command.parse().expect("a number")) {
            println!("skipped: needs a kernel that refuses calls: {error}");
            return;
        }
        let parcel = way.parcel(&first);
        let taken = inode(&parcel.descriptors[0]);
        let arrived = way.open(parcel).expect("a ref");
        let first = first.try_into_buffer().expect_err("nobody can tell");
        drop(first);
        for _ in 0..20 {
            let next = way.parcel(&shared(&pool, 2).0);
            assert_ne!(inode(&next.descriptors[0]), taken);
        }
        pool.reclaim();
        assert_eq!(pool.usage().live_bytes, 0, "it would count for ever");
        assert!(arrived.map().expect("a view").iter().all(|&b| b == 1));
        return;
    }
    for command in [libc::F_OFD_SETLK, libc::F_OFD_GETLK] {
        let status = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
            .env(COMMAND, command.to_string())
            .status()
            .expect("a process for this test");
        assert!(status.success(), "{command}: {status}");
    }
}

#[test]
fn a_process_out_of_descriptors_is_told_so_and_recovers() {
    alone(
        "a_process_out_of_descriptors_is_told_so_and_recovers",
        || {
            limit_descriptors(64);
            let pool = pool();
            let mut held = Vec::new();
            let error = loop {
                match pool.alloc(4096) {
                    Ok(buffer) => held.push(buffer),
                    Err(error) => break error,
                }
                assert!(held.len() < 64);
            };
            assert!(
                matches!(error, PoolError::Descriptors { segments, .. } if segments == held.len()),
                "{error}"
            );
            assert_eq!(pool.usage().segments, held.len());

            // One more for passing is not there either.
            let buffer = held.pop().expect("some");
            let shared = buffer.share();
            let blocked = std::fs::File::open("/dev/null");
            let blocked = (blocked, std::fs::File::open("/dev/null"));
            let passed = shared.pass(&Way::detached_audience(), &pool);
            assert!(
                matches!(
                    &passed,
                    Err(nowire_memory::refs::RefError::Os { call: "open", .. })
                ),
                "{passed:?}"
            );
            drop(blocked);
            // Free memory that is kept gives way, by its descriptors.
            held.truncate(held.len() - 3);
            let filler: Vec<_> =
                std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
            assert!(pool.usage().kept_bytes > 0);
            shared
                .pass(&Way::detached_audience(), &pool)
                .expect("a descriptor");
            pool.alloc(5000).expect("and two more");
            drop(filler);
        },
    );
}

#[test]
fn threads_that_do_everything_at_once_see_their_own_bytes() {
    let pool = pool_with(|options| {
        options.quota_bytes = 64 << 20;
        options.keep_bytes = 1 << 20;
    });
    let common = pool.copy_of(&pattern(200_000, 99)).expect("memory");
    let deadline = Instant::now() + Duration::from_secs(30);
    std::thread::scope(|threads| {
        for thread in 0..4 {
            let (pool, common) = (&pool, &common);
            threads.spawn(move || {
                let plain = Way::new(pool);
                let sealing = Way::with(pool, own_uid(), Keeping::Seal, 100_000);
                for round in 0..150 {
                    assert!(Instant::now() < deadline, "it hangs");
                    let len = 1 + (round * 7919 + thread * 131) % 150_000;
                    let data = pattern(len, round + thread);
                    let mut buffer = pool.with_capacity(len).expect("memory");
                    buffer.write_all(&data).expect("room");
                    let shared = buffer.share();
                    let way = if round % 3 == 0 { &sealing } else { &plain };
                    let arrived = way.carry(&shared);
                    let mut edit = arrived.edit(pool).expect("an edit");
                    edit.write(len / 2, &data[..len / 3]).expect("memory");
                    let edited = way.carry(&edit.share());
                    drop(shared);
                    assert_eq!(*arrived.map().expect("a view"), data);
                    let view = edited.map().expect("a view");
                    assert_eq!(view[len / 2..][..len / 3], data[..len / 3]);
                    // One ref that all pass, slice and seal.
                    let part = common.slice(round..150_000 + round).expect("inside");
                    let part = way.carry(if round % 2 == 0 { &part } else { common });
                    assert_eq!(part.map().expect("a view").len(), part.len());
                    if round % 50 == 0 {
                        pool.reclaim();
                    }
                }
            });
        }
    });
    assert_eq!(*common.map().expect("a view"), pattern(200_000, 99));
    drop(common);
    eventually(|| {
        pool.reclaim();
        (pool.usage().live_bytes == 0).then_some(())
    });
    assert_eq!(pool.usage().segments, 0);
}

#[test]
fn what_peers_read_of_memory_in_use_again_and_again_is_always_the_newest() {
    let pool = pool();
    let way = Way::new(&pool);
    let mut places = std::collections::HashSet::new();
    for round in 0..500_u32 {
        let mut buffer = pool.with_capacity(LEN).expect("memory");
        places.insert(buffer.as_ptr().addr());
        let text = format!("round {round}").repeat(round as usize % 90 + 1);
        buffer.write_all(text.as_bytes()).expect("room");
        let arrived = way.carry(&buffer.share());
        assert_eq!(&*arrived.map().expect("a view"), text.as_bytes());
    }
    assert!(places.len() < 100, "memory is used again: {}", places.len());
}
