//! Peers that pass what is no good memory, or too much, or nothing.

use std::time::Duration;

use nowire_memory::OwnedSegment;
use nowire_protocol::memory::WriteMemory;
use nowire_testkit::Vitals;
use nowire_testkit::depot::{Nothing, Parcel, contents};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::SealFlags;

use crate::liar::{Liar, SEALABLE, memory, parcel, whole};
use crate::scene::{
    DEPOT, Yard, assert_lets_go, client, depot, descriptors, reference, wait_until,
};

const BYTES: usize = 20_480;
const WINDOW: u32 = 256 << 10;

fn good(seed: u64) -> OwnedFd {
    memory(&contents(seed, BYTES), SEALABLE)
}

/// Everything that is no memory as it must be, and what is said of it.
fn bad() -> Vec<(&'static str, OwnedFd)> {
    let bytes = contents(1, BYTES);
    let file = tempfile::tempfile().expect("a temporary file");
    file.set_len(BYTES as u64).expect("room");
    let null = std::fs::File::open("/dev/null").expect("there is one");
    let folder = std::fs::File::open("/").expect("there is one");
    let (one, _other) = std::os::unix::net::UnixStream::pair().expect("sockets");
    let (pipe, _) = rustix::pipe::pipe().expect("a pipe");
    let sparse = memory(&bytes[..4096], SealFlags::empty());
    rustix::fs::ftruncate(&sparse, BYTES as u64).expect("room");
    rustix::fs::fcntl_add_seals(&sparse, SEALABLE).expect("it can be sealed");
    vec![
        ("a file", file.into()),
        ("/dev/null", null.into()),
        ("a directory", folder.into()),
        ("a socket", one.into()),
        ("a pipe", pipe),
        ("not sealed", memory(&bytes, SealFlags::empty())),
        (
            "can shrink",
            memory(&bytes, SealFlags::FUTURE_WRITE | SealFlags::GROW),
        ),
        (
            "can grow",
            memory(&bytes, SealFlags::FUTURE_WRITE | SealFlags::SHRINK),
        ),
        (
            "can be written",
            memory(&bytes, SealFlags::GROW | SealFlags::SHRINK),
        ),
        (
            "shorter than said",
            memory(&bytes[..BYTES - 4096], SEALABLE),
        ),
        (
            "longer than said",
            memory(&contents(1, BYTES + 4096), SEALABLE),
        ),
        ("of no bytes", memory(&[], SEALABLE)),
        ("with holes", sparse),
    ]
}

#[test]
fn memory_that_is_not_as_it_must_be_fails_its_blob_and_nothing_else() {
    for words in ["", "keeping=trust", "keeping=seal seal=0"] {
        let house = Yard::new();
        let mut program = depot(&house, &format!("at={DEPOT} {words}"));
        let mut steady = client(&house, DEPOT, "");
        let mut liar = Liar::connect(&house, WINDOW);
        for (what, file) in bad() {
            let receipt = liar.store(1, &file, BYTES as u64);
            assert_eq!(
                (receipt.blobs, receipt.failed),
                (1, 1),
                "{what}: {receipt:?}"
            );
            assert!(
                receipt.failure.contains("memory of a reference"),
                "{what}: {receipt:?}"
            );
            let receipt = liar.store(2, &good(2), BYTES as u64);
            assert_eq!(
                (receipt.wrong, receipt.failed),
                (0, 0),
                "after {what}: {receipt:?}"
            );
            let call = steady.store(Parcel::of(3, reference(3, BYTES)));
            let receipt = house.runtime().block_on(call).expect("served");
            assert_eq!(receipt.into_inner().wrong, 0);
        }
        assert_lets_go(&program);
        assert_eq!(descriptors_of_hostile(program.pid()), 0);
        assert_eq!(program.ask("panics"), "0");
    }
}

/// How many descriptors a process has of what the liar made.
fn descriptors_of_hostile(pid: u32) -> usize {
    let listed = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives");
    let links = listed.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links
        .filter(|link| link.to_string_lossy().contains("memfd:hostile"))
        .count()
}

#[test]
fn bad_memory_that_is_passed_on_fails_where_it_is_read() {
    let house = Yard::new();
    let mut last = depot(&house, &format!("at={}", crate::scene::LAST));
    let mut forwarder = depot(&house, &format!("at={DEPOT} next={}", crate::scene::LAST));
    let mut inspector = client(&house, crate::scene::LAST, "");
    let mut liar = Liar::connect(&house, WINDOW);
    let count = bad().len() as u32;
    for (_, file) in bad() {
        let stream = liar.pass("Forward", 1, &file, BYTES as u64);
        // The last one is told, or the one between: neither dies of it.
        liar.answer(stream);
    }
    let receipt = house.runtime().block_on(inspector.inspect(Nothing {}));
    let receipt = receipt.expect("served").into_inner();
    assert_eq!(receipt.wrong, 0, "{receipt:?}");
    assert_eq!(receipt.failed, receipt.blobs, "{receipt:?}");
    assert!(receipt.blobs <= count);
    for program in [&mut last, &mut forwarder] {
        assert_eq!(program.ask("panics"), "0");
    }
    let again = house
        .runtime()
        .block_on(inspector.store(Parcel::of(1, reference(1, BYTES))));
    assert_eq!(again.expect("served").into_inner().wrong, 0);
}

#[test]
fn what_was_read_once_stays_though_its_owner_writes_on() {
    // Below and above what would be mapped if it could not change.
    for bytes in [BYTES, 1 << 20] {
        for words in ["", "keeping=seal seal=0"] {
            let house = Yard::new();
            let _program = depot(&house, &format!("at={DEPOT} {words}"));
            let mut liar = Liar::connect(&house, WINDOW);
            // Sealed as a segment must be, and still written by who made it.
            let segment = OwnedSegment::create("hostile", bytes).expect("room");
            segment.copy_in(0, &contents(1, bytes));
            let stream = liar.pass("Keep", 1, &segment.descriptor(), bytes as u64);
            assert_eq!(liar.receipt(stream).by_reference, 1);
            let receipt = liar.ask("Inspect");
            assert_eq!((receipt.wrong, receipt.failed), (0, 0), "{receipt:?}");
            segment.copy_in(0, &contents(2, bytes));
            let receipt = liar.ask("Inspect");
            assert_eq!((receipt.wrong, receipt.failed), (0, 0), "{receipt:?}");
        }
    }
}

#[test]
fn tokens_that_nobody_was_given_open_nothing() {
    let house = Yard::new();
    let mut program = depot(&house, &format!("at={DEPOT}"));
    let mut owner = client(&house, DEPOT, "");
    // There is something to be had.
    let kept = owner.keep(Parcel::of(1, reference(1, BYTES)));
    assert_eq!(
        house
            .runtime()
            .block_on(kept)
            .expect("served")
            .into_inner()
            .by_reference,
        1
    );
    let mut other = Liar::connect(&house, WINDOW);
    let mut liar = Liar::connect(&house, WINDOW);
    let (own, depots) = liar.peer.references();
    let mut tokens = vec![
        Vec::new(),
        vec![0; 24],
        vec![7; 23],
        vec![7; 25],
        vec![0xff; 100],
    ];
    for number in [0_u64, 1, 2, 3, u64::MAX] {
        for key in [own.key, depots.key, [0; 16], [0xff; 16]] {
            tokens.push([&key[..], &number.to_le_bytes()].concat());
        }
        tokens.push(depots.key.to_vec());
    }
    for token in tokens {
        let receipt = liar.store_token(&token);
        assert_eq!(
            (receipt.blobs, receipt.failed),
            (1, 1),
            "{token:?}: {receipt:?}"
        );
        assert!(
            receipt.failure.contains("not valid any more"),
            "{receipt:?}"
        );
    }
    // One that was taken already.
    let stream = liar.pass("Store", 1, &good(1), BYTES as u64);
    assert_eq!(liar.receipt(stream).wrong, 0);
    let again = liar.token(1);
    assert_eq!(liar.store_token(&again).failed, 1);
    // One whose call is over.
    let (stream, number) = (liar.stream(), liar.number());
    assert!(liar.peer.hand_over(good(2).as_fd()));
    liar.peer
        .send_extent(whole(stream, number, BYTES as u64))
        .expect("it is well");
    liar.begin(stream, "Store", &[]).expect("it is well");
    liar.answer(stream);
    let late = liar.token(number);
    assert_eq!(liar.store_token(&late).failed, 1);
    assert_eq!(other.store(3, &good(3), BYTES as u64).wrong, 0);
    assert_eq!(program.ask("misbehaved"), "0");
    assert_eq!(program.ask("panics"), "0");
}

#[test]
fn a_flood_of_references_is_held_up_to_the_limit_and_others_are_served() {
    const LIMIT: usize = 32;
    let house = Yard::new();
    let mut program = depot(&house, &format!("at={DEPOT} held={LIMIT}"));
    let pid = program.pid();
    let mut steady = client(&house, DEPOT, "");
    let mut liar = Liar::connect(&house, WINDOW);
    let before = descriptors_of_hostile(pid);
    let mut refused = 0;
    for seed in 0..200 {
        let stream = liar.pass("Keep", seed, &good(seed), BYTES as u64);
        let receipt = liar.receipt(stream);
        refused += 1 - receipt.by_reference;
        assert!(descriptors_of_hostile(pid) - before <= LIMIT + 1);
    }
    assert_eq!(refused, 200 - LIMIT as u32);
    // Tokens for none of them: what comes is kept until the call is over.
    let stream = liar.stream();
    for _ in 0..40 {
        let number = liar.number();
        assert!(liar.peer.hand_over(good(1).as_fd()));
        liar.peer
            .send_extent(whole(stream, number, BYTES as u64))
            .expect("it is well");
    }
    liar.begin(stream, "Wait", &[]).expect("it is well");
    liar.peer.sync().expect("it is well");
    assert!(descriptors_of_hostile(pid) - before <= LIMIT + 1);
    let served = steady.store(Parcel::of(1, reference(1, BYTES)));
    assert_eq!(
        house
            .runtime()
            .block_on(served)
            .expect("served")
            .into_inner()
            .wrong,
        0
    );
    drop(liar);
    house
        .runtime()
        .block_on(steady.clear(Nothing {}))
        .expect("served");
    wait_until("all of it is let go", || descriptors_of_hostile(pid) == 0);
    assert_eq!(program.ask("misbehaved"), "0");
    assert_eq!(program.ask("panics"), "0");
}

#[test]
fn descriptors_without_references_are_not_hoarded() {
    let house = Yard::new();
    let program = depot(&house, &format!("at={DEPOT}"));
    let mut steady = client(&house, DEPOT, "");
    let liar = Liar::connect(&house, WINDOW);
    for _ in 0..2000 {
        if !liar.peer.hand_over(good(1).as_fd()) {
            break;
        }
        assert!(descriptors_of_hostile(program.pid()) <= 65);
    }
    let served = steady.store(Parcel::of(1, reference(1, BYTES)));
    assert_eq!(
        house
            .runtime()
            .block_on(served)
            .expect("served")
            .into_inner()
            .wrong,
        0
    );
    drop(liar);
    wait_until("all of it is let go", || {
        descriptors_of_hostile(program.pid()) == 0
    });
    assert_eq!(descriptors(program.pid()), 0);
}

#[test]
fn a_reference_whose_descriptor_does_not_come_holds_up_its_connection_alone() {
    let house = Yard::new();
    let mut program = depot(&house, &format!("at={DEPOT}"));
    let mut steady = client(&house, DEPOT, "");
    let mut liar = Liar::connect(&house, WINDOW);
    let (stream, number) = (liar.stream(), liar.number());
    liar.peer
        .send_extent(whole(stream, number, BYTES as u64))
        .expect("it is well");
    let parcel = parcel(1, &liar.token(number));
    liar.begin(stream, "Store", &parcel).expect("it is well");
    let served = steady.store(Parcel::of(1, reference(1, BYTES)));
    assert_eq!(
        house
            .runtime()
            .block_on(served)
            .expect("served")
            .into_inner()
            .wrong,
        0
    );
    // Nobody turns in circles over it.
    let before: Vitals = program.vitals();
    std::thread::sleep(Duration::from_millis(300));
    let used = program.vitals().cpu_ticks - before.cpu_ticks;
    assert!(
        used < 10,
        "{used} ticks of 10 ms while there was nothing to do"
    );
    // It comes late, and all goes on.
    assert!(liar.peer.hand_over(good(1).as_fd()));
    let receipt = liar.receipt(stream);
    assert_eq!(
        (receipt.by_reference, receipt.wrong, receipt.failed),
        (1, 0, 0)
    );
    assert_eq!(program.ask("panics"), "0");
}
