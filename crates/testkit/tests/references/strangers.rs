//! What those see who are sent references, keep what they should not, or are sent
//! none.

use std::collections::HashSet;

use nowire_protocol::frame::Extent;
use nowire_testkit::depot::{Cut, Order, Parcel, contents, is_made_of};
use nowire_testkit::{HostilePeer, Program};
use prost::Message;
use rustix::fd::{AsFd, OwnedFd};
use rustix::pipe::SpliceFlags;

use crate::liar::Liar;
use crate::scene::{
    DEPOT, NOBODY, PATIENCE, Yard, client, command_as, depot, depot_as, descriptors,
};
use crate::setup::Setup;

const BYTES: usize = 20_480;
const WINDOW: u32 = 256 << 10;
/// What came of an order.
struct Delivery {
    extents: Vec<Extent>,
    segments: Vec<OwnedFd>,
}

/// Has the depot send what is ordered.
fn order(liar: &mut Liar, order: &Order) -> Delivery {
    let stream = liar.stream();
    liar.begin(stream, "Unload", &order.encode_to_vec())
        .expect("it is well");
    let extents = liar.answer(stream).extents;
    let mut segments = Vec::new();
    let count = extents
        .iter()
        .filter(|extent| extent.descriptor == 0)
        .count();
    while segments.len() < count {
        segments.extend(liar.peer.take_descriptors());
        if segments.len() < count {
            liar.peer.sync().expect("it is well");
        }
    }
    segments.extend(liar.peer.take_descriptors());
    Delivery { extents, segments }
}

fn one(seed: u64, bytes: usize, cut: Cut) -> Order {
    Order {
        seed,
        count: 1,
        bytes: bytes as u64,
        cut: cut.into(),
    }
}

/// All that a descriptor shows.
fn all_of(segment: &impl AsFd) -> Vec<u8> {
    let size = rustix::fs::fstat(segment).expect("a file").st_size as usize;
    let mut bytes = vec![0; size];
    let mut done = 0;
    while done < size {
        let read = rustix::io::pread(segment, &mut bytes[done..], done as u64);
        done += read.expect("readable");
    }
    bytes
}

/// The contents as the extents name them; asserts that there is nothing else but
/// zeros in the segments.
fn named(delivery: &Delivery) -> Vec<u8> {
    let mut shown: Vec<_> = delivery.segments.iter().map(all_of).collect();
    let mut contents = Vec::new();
    for extent in &delivery.extents {
        let segment = &shown[usize::from(extent.descriptor)];
        assert_eq!(segment.len() as u64, extent.segment_bytes);
        let from = extent.offset_bytes as usize;
        contents.extend(&segment[from..from + extent.bytes as usize]);
    }
    for extent in &delivery.extents {
        let from = extent.offset_bytes as usize;
        shown[usize::from(extent.descriptor)][from..from + extent.bytes as usize].fill(0);
    }
    for segment in shown {
        assert!(segment.iter().all(|byte| *byte == 0), "only what was named");
    }
    contents
}

#[test]
fn a_descriptor_shows_what_was_named_and_zeros() {
    let house = Yard::new();
    let program = depot(&house, &format!("at={DEPOT}"));
    let mut liar = Liar::connect(&house, WINDOW);
    let mut used_again = 0;
    let mut seen = Vec::new();
    for seed in 0..40_u64 {
        // Of one size of segment, the next often shorter than the last.
        let bytes = 24_576 - (seed as usize * 1237) % 8000;
        let delivery = order(&mut liar, &one(seed, bytes, Cut::Nothing));
        let inode = rustix::fs::fstat(&delivery.segments[0])
            .expect("a file")
            .st_ino;
        used_again += usize::from(seen.contains(&inode));
        seen.push(inode);
        assert!(is_made_of(seed, &named(&delivery)));
    }
    assert!(
        used_again > 0,
        "memory was used again, or this shows nothing"
    );
    drop(liar);
    assert_eq!(descriptors(program.pid()), 0);
}

#[test]
fn a_descriptor_of_a_slice_shows_nothing_else_of_what_it_was_cut_from() {
    let house = Yard::new();
    let _program = depot(&house, &format!("at={DEPOT}"));
    for bytes in [BYTES, 16_385, 100_000] {
        let mut liar = Liar::connect(&house, WINDOW);
        let delivery = order(&mut liar, &one(7, bytes, Cut::Slice));
        assert_eq!(delivery.segments.len(), 1);
        assert!(named(&delivery) == contents(7, bytes));
    }
}

#[test]
fn descriptors_of_something_edited_do_not_show_what_was_overwritten() {
    let house = Yard::new();
    let _program = depot(&house, &format!("at={DEPOT}"));
    for bytes in [BYTES, 100_000] {
        let mut liar = Liar::connect(&house, WINDOW);
        let delivery = order(&mut liar, &one(7, bytes, Cut::Edited));
        assert!(named(&delivery) == contents(7, bytes));
        let overwritten = contents(8, bytes);
        for segment in &delivery.segments {
            let shown = all_of(segment);
            let shown: HashSet<_> = shown.chunks(8).collect();
            let mut lost = overwritten[2 * 4096..4 * 4096].chunks(8);
            assert!(!lost.any(|word| shown.contains(word)));
        }
    }
}

#[test]
fn who_keeps_a_descriptor_after_all_is_dropped_never_sees_later_data() {
    const LATER: u64 = 200;
    let house = Yard::new();
    for words in ["", "used-once"] {
        let mut program = depot(&house, &format!("at={DEPOT} {words}"));
        let mut honest = client(&house, DEPOT, "");
        let mut liar = Liar::connect(&house, WINDOW);
        let kept = order(&mut liar, &one(1, BYTES, Cut::Nothing)).segments;
        let parked = order(&mut liar, &one(2, BYTES, Cut::Nothing)).segments;
        // On its way through a socket, and nowhere else.
        let (from, to) = nowire_memory::socket::pair().expect("sockets");
        nowire_memory::socket::hand_over(from.as_fd(), parked[0].as_fd()).expect("room");
        drop(parked);
        // Its connection is gone as well.
        drop(liar);
        house.runtime().block_on(async {
            let later = Order {
                seed: 1000,
                count: LATER as u32,
                bytes: BYTES as u64,
                ..Order::default()
            };
            let mut later = honest.unload(later).await.expect("served").into_inner();
            while let Some(parcel) = later.message().await.expect("served") {
                let content = parcel.content.expect("made");
                assert!(is_made_of(parcel.seed, &content.open().expect("here")));
            }
        });
        assert!(is_made_of(1, &all_of(&kept[0])[..BYTES]));
        let came = nowire_memory::socket::answer_doorbell(to.as_fd()).expect("it is there");
        let parked = came.descriptor.expect("it was parked");
        assert!(is_made_of(2, &all_of(&parked)[..BYTES]));
        // Only this keeps memory of the depot from being free.
        let waiting: usize = program.ask("segments").parse().expect("a number");
        assert!(waiting <= 2, "{waiting}");
        drop((kept, parked));
        crate::scene::wait_until("its pool is free again", || program.ask("segments") == "0");
    }
}

#[test]
fn of_memory_that_is_used_once_nothing_later_is_seen_even_in_a_pipe() {
    let house = Yard::new();
    let _program = depot(&house, &format!("at={DEPOT} used-once"));
    let mut honest = client(&house, DEPOT, "");
    let mut liar = Liar::connect(&house, WINDOW);
    let segments = order(&mut liar, &one(1, BYTES, Cut::Nothing)).segments;
    let (from, to) = rustix::pipe::pipe().expect("a pipe");
    let mut offset = 0;
    let moved = rustix::pipe::splice(
        &segments[0],
        Some(&mut offset),
        &to,
        None,
        4096,
        SpliceFlags::empty(),
    );
    assert_eq!(moved, Ok(4096));
    // Now the kernel says that nobody has it.
    drop(segments);
    house.runtime().block_on(async {
        for seed in 1000..1100 {
            let parcel = honest.unload(one(seed, BYTES, Cut::Nothing)).await;
            let mut parcels = parcel.expect("served").into_inner();
            while let Some(parcel) = parcels.message().await.expect("served") {
                assert!(parcel.content.is_some());
            }
        }
    });
    let mut page = vec![0; 4096];
    assert_eq!(rustix::io::read(&from, &mut page), Ok(4096));
    assert!(is_made_of(1, &page), "what was sent, and nothing later");
}

/// What another user's process does: takes one delivery after another, and says
/// which files they were in.
pub(crate) fn be_another_user(setup: &Setup) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    let address = DEPOT.parse().expect("an address");
    let connecting = HostilePeer::connect_with(&address, setup.connect_options());
    let peer = runtime.block_on(connecting).expect("it takes clients");
    let mut liar = Liar::new(peer);
    let mut inodes = Vec::new();
    for seed in 0..40 {
        let delivery = order(&mut liar, &one(seed, BYTES, Cut::Nothing));
        assert!(is_made_of(seed, &named(&delivery)));
        let inode = rustix::fs::fstat(&delivery.segments[0])
            .expect("a file")
            .st_ino;
        inodes.push(inode.to_string());
    }
    println!("\ninodes {}", inodes.join(" "));
}

/// Into how many files the deliveries to a process of `uid` went.
fn files(house: &Yard, uid: u32) -> usize {
    let setup = format!("at={DEPOT} trusted=0");
    let stranger = Program::run(command_as(uid, house, "another-user", &setup));
    let said = stranger.line("inodes");
    let mut inodes: Vec<_> = said.split(' ').collect();
    assert_eq!(inodes.len(), 40);
    inodes.sort();
    inodes.dedup();
    inodes.len()
}

#[test]
fn memory_that_another_user_saw_is_never_used_again() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root, to run a program as another user");
        return;
    }
    let house = Yard::open_to_all();
    let mut program = depot(&house, &format!("at={DEPOT} trusted={NOBODY}"));
    assert_eq!(files(&house, NOBODY), 40, "each in memory of its own");
    assert!(files(&house, 0) < 40, "or the above shows nothing");
    crate::scene::wait_until("its pool is free again", || program.ask("segments") == "0");
    assert_eq!(program.ask("misbehaved"), "0");
}

#[test]
fn what_came_from_one_user_is_not_passed_to_another_as_it_is() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root, to run a program as another user");
        return;
    }
    let house = Yard::open_to_all();
    let last = crate::scene::LAST;
    let stranger = depot_as(NOBODY, &house, &format!("at={last} trusted=0"));
    let setup = format!("at={DEPOT} next={last} trusted={NOBODY}");
    let _forwarder = depot(&house, &setup);
    let mut client = client(&house, DEPOT, "");
    let sent = crate::scene::reference(1, 100_000);
    let receipt = house.runtime().block_on(async {
        let call = client.forward(Parcel::of(1, sent));
        tokio::time::timeout(PATIENCE, call).await.expect("no hang")
    });
    assert_eq!(receipt.expect("served").into_inner().by_reference, 1);
    // What the stranger has belongs to the one between, not to this process.
    crate::scene::assert_live(0);
    assert_eq!(descriptors(stranger.pid()), 1);
}
