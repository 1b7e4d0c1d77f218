//! A heap and the process that reads it.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nowire_memory::data::{CheckBuffers, Slice, Str, inline};
use nowire_memory::heap::{Grown, Heap, Keeping, PeerHeap, Taken};
use nowire_memory::socket;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

const MIB: u64 = 1 << 20;
const CHILD: &str = "NOWIRE_HEAP_CHILD";

type Texts = Slice<'static, Str<'static>>;

/// What the parent tells the child: base, window, first page and pages of the
/// segment, the page and the bytes passed, and the value itself.
type Message = [u64; 10];

fn receive(socket: BorrowedFd<'_>) -> (Message, Option<OwnedFd>) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut bytes = [0; size_of::<Message>()];
    loop {
        match socket::recv_with_descriptors(socket, &mut bytes, 1) {
            Err(Errno::AGAIN) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            received => {
                let mut received = received.expect("a message from the other process");
                assert_eq!(received.bytes, bytes.len(), "the other process failed");
                let (words, _) = bytes.as_chunks::<8>();
                let words = std::array::from_fn(|at| u64::from_ne_bytes(words[at]));
                return (words, received.descriptors.pop());
            }
        }
    }
}

fn send(socket: BorrowedFd<'_>, message: Message, descriptors: &[BorrowedFd<'_>]) {
    let bytes: Vec<u8> = message.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let sent = socket::send_with_descriptors(socket, &bytes, descriptors);
    assert_eq!(sent, Ok(bytes.len()));
}

fn spawn(role: &str, socket: OwnedFd) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "child_process", "--nocapture"])
        .env(CHILD, role)
        .stdin(Stdio::from(socket))
        .spawn()
        .expect("a child process")
}

/// The other process: reads what it is passed, in the way its role asks for.
fn read_heap(role: &str, control: BorrowedFd<'_>) {
    let (message, descriptor) = receive(control);
    let [base, window_bytes, first, pages, page, bytes, words @ ..] = message;
    if role == "occupied" {
        let wanted = std::ptr::without_provenance_mut((base + 4096) as usize);
        let flags = MapFlags::PRIVATE | MapFlags::FIXED_NOREPLACE;
        // SAFETY: FIXED_NOREPLACE replaces no mapping.
        let occupied = unsafe { mmap_anonymous(wanted, 4096, ProtFlags::READ, flags) };
        assert_eq!(occupied, Ok(wanted), "nothing is there in a fresh process");
    }
    let peer = PeerHeap::reserve(base, window_bytes).expect("a window");
    assert_eq!(peer.is_displaced(), role == "occupied");
    let descriptor = descriptor.expect("the owner sent its descriptor");
    peer.add(first as u32, pages as u32, descriptor)
        .expect("a good segment");
    let take = |keeping| -> Taken<Texts> {
        let mut buffers = CheckBuffers::default();
        peer.take(&words, page as u32, bytes as u32, keeping, &mut buffers)
            .expect("texts")
    };
    let check = |taken: &Taken<Texts>, in_place| {
        assert_eq!(taken.in_place(), in_place);
        let texts: Vec<&str> = taken.get().iter().map(|text| &**text).collect();
        assert_eq!(texts, ["one", "two", "three"]);
    };
    let trusted = take(Keeping::Trust);
    check(&trusted, role != "occupied");
    check(&take(Keeping::Copy), false);
    let sealed = take(Keeping::Seal);
    check(&sealed, role == "sealed");

    send(control, [1; 10], &[]);
    // The parent ends, and with it the heap.
    let gone = Instant::now() + Duration::from_secs(20);
    while !matches!(socket::recv_with_descriptors(control, &mut [0; 8], 0), Ok(end) if end.bytes == 0)
    {
        assert!(Instant::now() < gone, "the owner goes away");
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(peer);
    check(&trusted, role != "occupied");
    check(&sealed, role == "sealed");
    std::io::stdout().flush().expect("output");
}

#[test]
fn child_process() {
    if let Ok(role) = std::env::var(CHILD) {
        read_heap(&role, std::io::stdin().as_fd());
    }
}

/// What the peer is told of a segment, which is opened.
fn told(grown: Grown) -> (u32, u32, OwnedFd) {
    let descriptor = grown.descriptor.try_clone().expect("a descriptor");
    let told = (grown.page, grown.pages, descriptor);
    grown.open();
    told
}

/// Builds texts in a heap, passes them to a process of that role, and goes away.
fn pass_to(role: &str) {
    let heap = Heap::reserve(64 * MIB, 64 * MIB, "passed").expect("a window");
    let (run, grown) = if role == "trusted" || role == "occupied" {
        let grown = told(heap.grow(1).expect("memory"));
        (heap.allocate(3).expect("room"), grown)
    } else {
        let (run, grown) = heap.grow_sealable(3).expect("memory");
        (run, told(grown))
    };
    let (first, pages, descriptor) = grown;
    let page = run.page();
    let scope = Arc::clone(&run).scope();
    let texts = ["one", "two", "three"].map(|text| scope.str(text).expect("room"));
    let words = inline(&scope.slice_of(texts).expect("room"));
    let bytes = run.used_bytes();
    let mut message = [
        heap.base(),
        heap.window_bytes(),
        first.into(),
        pages.into(),
        page.into(),
        bytes.into(),
        0,
        0,
        0,
        0,
    ];
    message[6..].copy_from_slice(&words);
    if role == "sealed" {
        run.seal().expect("nobody else writes");
    }

    let (control, for_child) = socket::pair().expect("a pair of sockets");
    let mut child = spawn(role, for_child);
    send(control.as_fd(), message, &[descriptor.as_fd()]);
    let answered = receive(control.as_fd());
    assert_eq!(answered.0, [1; 10]);
    drop((descriptor, run, scope, heap));
    drop(control);
    assert!(child.wait().expect("the child ends").success());
}

#[test]
fn a_trusting_process_reads_at_the_same_addresses_without_a_copy() {
    pass_to("trusted");
}

#[test]
fn a_process_that_has_something_else_at_these_addresses_reads_copies() {
    pass_to("occupied");
}

#[test]
fn a_process_reads_sealed_memory_in_place_and_unsealed_memory_not() {
    pass_to("sealed");
    pass_to("unsealed");
}
