//! What two processes can and cannot do with one segment.

use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nowire_memory::socket::{self, Received};
use nowire_memory::{OwnedSegment, PeerSegment, SegmentError};
use nowire_protocol::memory::{ReadMemory, WriteMemory};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, FallocateFlags, MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mprotect, munmap};

const PAGES: usize = 4;
const SIZE_BYTES: usize = PAGES * 4096;
const CHILD: &str = "NOWIRE_SEGMENT_CHILD";

fn receive(socket: BorrowedFd<'_>) -> Received {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match socket::recv_with_descriptors(socket, &mut [0; 16], 1) {
            Err(Errno::AGAIN) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            result => return result.expect("a message from the other process"),
        }
    }
}

fn map_raw(file: BorrowedFd<'_>, access: ProtFlags, flags: MapFlags) -> Result<(), Errno> {
    // SAFETY: a fresh range, which is unmapped untouched.
    let base = unsafe { mmap(std::ptr::null_mut(), SIZE_BYTES, access, flags, file, 0) }?;
    // SAFETY: the range just mapped.
    unsafe { munmap(base, SIZE_BYTES) }.expect("unmap what was mapped");
    Ok(())
}

fn make_read_only_mapping_writable(file: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: a fresh range, which is unmapped untouched.
    let base = unsafe {
        mmap(
            std::ptr::null_mut(),
            SIZE_BYTES,
            ProtFlags::READ,
            MapFlags::SHARED,
            file,
            0,
        )
    }?;
    // SAFETY: the range just mapped; nothing points into it.
    let changed = unsafe { mprotect(base, SIZE_BYTES, MprotectFlags::READ | MprotectFlags::WRITE) };
    // SAFETY: the range just mapped.
    unsafe { munmap(base, SIZE_BYTES) }.expect("unmap what was mapped");
    changed
}

/// Runs in the other process: tries to write in every way, then reads.
fn attack_and_read(control: BorrowedFd<'_>) {
    let mut received = receive(control);
    let descriptor = received
        .descriptors
        .pop()
        .expect("the owner sent its descriptor");
    let file = descriptor.as_fd();
    let write = ProtFlags::READ | ProtFlags::WRITE;
    assert_eq!(map_raw(file, write, MapFlags::SHARED), Err(Errno::PERM));
    assert_eq!(make_read_only_mapping_writable(file), Err(Errno::ACCESS));
    assert_eq!(rustix::io::pwrite(file, b"mine", 0), Err(Errno::PERM));
    assert_eq!(fs::ftruncate(file, 0), Err(Errno::PERM));
    assert_eq!(fs::ftruncate(file, 2 * SIZE_BYTES as u64), Err(Errno::PERM));
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    assert_eq!(fs::fallocate(file, punch, 0, 4096), Err(Errno::PERM));
    assert_eq!(
        fs::fcntl_add_seals(file, SealFlags::WRITE),
        Err(Errno::PERM)
    );
    let reopened = fs::open(
        format!("/proc/self/fd/{}", rustix::fd::AsRawFd::as_raw_fd(&file)),
        fs::OFlags::RDWR | fs::OFlags::CLOEXEC,
        fs::Mode::empty(),
    )
    .expect("a memfd can be opened again");
    assert_eq!(rustix::io::pwrite(&reopened, b"mine", 0), Err(Errno::PERM));
    assert_eq!(
        map_raw(reopened.as_fd(), write, MapFlags::SHARED),
        Err(Errno::PERM)
    );
    drop(reopened);

    let segment = PeerSegment::map(descriptor, SIZE_BYTES).expect("the segment is as it should be");
    assert_eq!(segment.load(8, Ordering::Acquire), 42);
    let mut text = [0; 5];
    segment.copy_out(4094, &mut text);
    assert_eq!(&text, b"hello");
    assert_eq!(socket::send_with_descriptors(control, b"read", &[]), Ok(4));
    receive(control);
    assert_eq!(segment.load(8, Ordering::Acquire), 43);
    assert_eq!(socket::send_with_descriptors(control, b"done", &[]), Ok(4));
}

#[test]
fn child_process() {
    if std::env::var_os(CHILD).is_some() {
        attack_and_read(std::io::stdin().as_fd());
    }
}

#[test]
fn another_process_reads_what_the_owner_stores_and_can_write_nothing() {
    let segment = OwnedSegment::create("test", SIZE_BYTES).expect("a small segment");
    segment.store(8, 42, Ordering::Release);
    segment.copy_in(4094, b"hello");
    let (control, for_child) = socket::pair().expect("a pair of sockets");
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "child_process", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::from(for_child))
        .spawn()
        .expect("a child process");
    let sent = socket::send_with_descriptors(control.as_fd(), b"here", &[segment.descriptor()]);
    assert_eq!(sent, Ok(4));
    let answer = receive(control.as_fd());
    assert_eq!(answer.bytes, 4, "the child failed: see its output");
    segment.store(8, 43, Ordering::Release);
    assert_eq!(
        socket::send_with_descriptors(control.as_fd(), b"more", &[]),
        Ok(4)
    );
    assert!(child.wait().expect("the child ends").success());
}

#[test]
fn the_owner_itself_cannot_write_by_descriptor_any_more() {
    let segment = OwnedSegment::create("test", SIZE_BYTES).expect("a small segment");
    let write = ProtFlags::READ | ProtFlags::WRITE;
    assert_eq!(
        map_raw(segment.descriptor(), write, MapFlags::SHARED),
        Err(Errno::PERM)
    );
    assert_eq!(
        rustix::io::pwrite(segment.descriptor(), b"mine", 0),
        Err(Errno::PERM)
    );
}

fn memfd(size_bytes: u64, flags: MemfdFlags) -> OwnedFd {
    let file = fs::memfd_create("test", MemfdFlags::CLOEXEC | flags).expect("a memfd");
    fs::ftruncate(&file, size_bytes).expect("room");
    file
}

fn fill(file: &OwnedFd) {
    let written = rustix::io::pwrite(file, &vec![1; SIZE_BYTES], 0);
    assert_eq!(written, Ok(SIZE_BYTES));
}

const ALL: SealFlags = SealFlags::FUTURE_WRITE
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW)
    .union(SealFlags::SEAL);

#[test]
fn a_descriptor_that_lacks_any_seal_is_refused() {
    for missing in [
        SealFlags::FUTURE_WRITE,
        SealFlags::SHRINK,
        SealFlags::GROW,
        SealFlags::SEAL,
    ] {
        let file = memfd(SIZE_BYTES as u64, MemfdFlags::ALLOW_SEALING);
        fill(&file);
        fs::fcntl_add_seals(&file, ALL.difference(missing)).expect("sealing");
        match PeerSegment::map(file, SIZE_BYTES) {
            Err(SegmentError::Unsealed { found, needed }) => {
                assert_eq!(needed & !found, missing.bits())
            }
            other => panic!("without {missing:?}: {other:?}"),
        }
    }
}

#[test]
fn a_memfd_that_cannot_be_sealed_is_refused() {
    let file = memfd(SIZE_BYTES as u64, MemfdFlags::empty());
    fill(&file);
    let refused = PeerSegment::map(file, SIZE_BYTES);
    assert!(
        matches!(refused, Err(SegmentError::Unsealed { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_segment_of_another_size_than_announced_is_refused() {
    for announced in [
        SIZE_BYTES - 1,
        SIZE_BYTES + 1,
        SIZE_BYTES + 4096,
        0,
        usize::MAX,
    ] {
        let file = memfd(SIZE_BYTES as u64, MemfdFlags::ALLOW_SEALING);
        fill(&file);
        fs::fcntl_add_seals(&file, ALL).expect("sealing");
        match PeerSegment::map(file, announced) {
            Err(SegmentError::WrongSize {
                found_bytes,
                expected_bytes,
            }) => {
                assert_eq!(
                    (found_bytes, expected_bytes),
                    (SIZE_BYTES as u64, announced)
                );
            }
            other => panic!("announced as {announced}: {other:?}"),
        }
    }
}

#[test]
fn a_segment_with_a_hole_is_refused() {
    let file = memfd(SIZE_BYTES as u64, MemfdFlags::ALLOW_SEALING);
    assert_eq!(rustix::io::pwrite(&file, &[1; 2 * 4096], 0), Ok(2 * 4096));
    fs::fcntl_add_seals(&file, ALL).expect("sealing");
    let refused = PeerSegment::map(file, SIZE_BYTES);
    assert!(
        matches!(
            refused,
            Err(SegmentError::Sparse {
                hole_offset: 8192,
                ..
            })
        ),
        "{refused:?}"
    );
}

#[test]
fn blocks_reserved_beyond_the_end_do_not_hide_a_hole() {
    let file = memfd(SIZE_BYTES as u64, MemfdFlags::ALLOW_SEALING);
    let beyond = SIZE_BYTES as u64;
    fs::fallocate(&file, FallocateFlags::KEEP_SIZE, beyond, beyond).expect("reserving");
    fs::fcntl_add_seals(&file, ALL).expect("sealing");
    let blocks = fs::fstat(&file).expect("a file").st_blocks;
    assert_eq!(
        blocks as usize * 512,
        SIZE_BYTES,
        "as many blocks as a full segment has"
    );
    let refused = PeerSegment::map(file, SIZE_BYTES);
    assert!(
        matches!(refused, Err(SegmentError::Sparse { hole_offset: 0, .. })),
        "{refused:?}"
    );
}

#[test]
fn descriptors_of_other_things_are_refused() {
    let exe = std::fs::File::open("/proc/self/exe").expect("this program");
    let null = std::fs::File::open("/dev/null").expect("the null device");
    let (end, _other) = socket::pair().expect("a pair of sockets");
    let path = fs::open("/", fs::OFlags::PATH, fs::Mode::empty()).expect("the root directory");
    for descriptor in [OwnedFd::from(exe), OwnedFd::from(null), end, path] {
        let refused = PeerSegment::map(descriptor, SIZE_BYTES);
        assert!(
            matches!(refused, Err(SegmentError::NotMemory)),
            "{refused:?}"
        );
    }
}

#[test]
fn sizes_no_segment_can_have_are_refused() {
    for size_bytes in [0, usize::MAX] {
        let refused = OwnedSegment::create("test", size_bytes);
        assert!(matches!(refused, Err(SegmentError::Size(_))), "{refused:?}");
    }
    let refused = OwnedSegment::create("test", 1 << 60);
    assert!(
        matches!(refused, Err(SegmentError::Os { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_label_of_any_length_or_content_will_do() {
    for label in ["", "a\0b", &"long ".repeat(100)] {
        OwnedSegment::create(label, 4096).expect("the label does not matter");
    }
}

#[test]
#[should_panic(expected = "at 4092 of a segment of 4096")]
fn a_copy_across_the_end_panics() {
    let segment = OwnedSegment::create("test", 4096).expect("a small segment");
    segment.copy_out(4092, &mut [0; 5]);
}

#[test]
#[should_panic(expected = "odd offset")]
fn a_word_that_is_not_aligned_panics() {
    let segment = OwnedSegment::create("test", 4096).expect("a small segment");
    segment.load(12, Ordering::Relaxed);
}

#[test]
fn a_dropped_segment_leaves_neither_descriptor_nor_mapping() {
    let count = || {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("own mappings");
        maps.lines()
            .filter(|line| line.contains("memfd:leak-probe"))
            .count()
    };
    let segment = OwnedSegment::create("leak-probe", SIZE_BYTES).expect("a small segment");
    let peer = segment
        .descriptor()
        .try_clone_to_owned()
        .expect("another descriptor");
    let mapped = PeerSegment::map(peer, SIZE_BYTES).expect("mapped a second time");
    assert_eq!(count(), 2);
    drop(segment);
    assert_eq!(count(), 1);
    assert_eq!(
        mapped.load(0, Ordering::Relaxed),
        0,
        "a peer that lives longer can still read"
    );
    drop(mapped);
    assert_eq!(count(), 0);
}
