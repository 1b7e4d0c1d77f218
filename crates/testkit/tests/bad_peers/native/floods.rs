//! Peers that send too much, or take too little.

use std::time::{Duration, Instant};

use nowire::Keeping;
use nowire_protocol::stream::Side;
use nowire_testkit::native::{NativeDeed, NativeLie, NativeServer, NativeSteady};
use nowire_testkit::{House, Program, Vitals};

use super::scene::{doer, liar};
use crate::scene::{HONEST, PATIENCE, assert_said};

#[test]
fn a_flood_on_the_control_socket_holds_nobody_up() {
    let house = House::new();
    let _server = NativeServer::start(house.dir(), HONEST, Keeping::Copy);
    let steady = NativeSteady::start(&house, HONEST);
    let peer = doer("client", HONEST, &house, NativeDeed::SocketFlood, 1);
    steady.assert_served();
    peer.line("done");
    assert_said("with nothing sent", peer.pid());
    steady.assert_served();
    house.assert_no_panic();
}

#[test]
fn calls_opened_in_the_place_of_others_take_no_thread_for_good() {
    const MORE_THAN_THREADS: u32 = 12;
    let house = House::new();
    let _server = NativeServer::start(house.dir(), HONEST, Keeping::Copy);
    let steady = NativeSteady::start(&house, HONEST);
    let peer = doer(
        "client",
        HONEST,
        &house,
        NativeDeed::SamePlace,
        MORE_THAN_THREADS,
    );
    peer.line("done");
    // One of its methods runs in the pool.
    steady.assert_served();
    house.assert_no_panic();
}

#[test]
fn a_client_that_never_reads_its_replies_is_cut_off() {
    let house = House::new();
    let _server = NativeServer::start(house.dir(), HONEST, Keeping::Copy);
    let steady = NativeSteady::start(&house, HONEST);
    let peer = doer("client", HONEST, &house, NativeDeed::NeverReads, 1);
    let calls: u64 = peer.line("did").parse().expect("a number");
    assert!(calls < 1_000_000, "it was let go on for ever");
    steady.assert_served();
    house.assert_no_panic();
}

#[test]
fn a_client_that_gives_no_reply_back_is_refused_more_and_nobody_else_is() {
    let house = House::new();
    let _server = NativeServer::start(house.dir(), HONEST, Keeping::Copy);
    let steady = NativeSteady::start(&house, HONEST);
    let peer = doer("client", HONEST, &house, NativeDeed::NeverReleases, 1);
    let calls: u64 = peer.line("did").parse().expect("a number");
    // 16 MiB in pieces of 64 KiB and a header.
    assert!((200..256).contains(&calls), "{calls}");
    steady.assert_served();
    house.assert_no_panic();
}

#[test]
fn lies_leave_nothing_behind() {
    let house = House::new();
    let dir = house.dir().to_str().expect("a readable path");
    let arguments = ["--runtime-dir", dir, "serve-native", HONEST];
    let mut subject = Program::start(env!("CARGO_BIN_EXE_nowire-honest"), arguments);
    subject.line("serving");
    let steady = NativeSteady::start(&house, HONEST);
    steady.assert_served();
    let before = subject.vitals();
    let mut told = 0;
    for lie in NativeLie::ALL {
        let by_client = lie.told_by.contains(&Side::Client);
        if by_client && !lie.in_place {
            liar("client", HONEST, &house, lie).line("cut off");
            told += 1;
        }
    }
    steady.assert_served();
    assert_eq!(subject.ask("misbehaved"), told.to_string());
    assert_eq!(subject.ask("panics"), "0");
    assert_back_at(&subject, before);
}

#[test]
fn lies_of_servers_leave_nothing_behind() {
    let house = House::new();
    let dir = house.dir().to_str().expect("a readable path");
    let arguments = ["--runtime-dir", dir, "call-native"];
    let mut subject = Program::start(env!("CARGO_BIN_EXE_nowire-honest"), arguments);
    // A first call starts what stays: threads, and buffers that are kept.
    let lies = NativeLie::ALL
        .iter()
        .filter(|lie| lie.told_by.contains(&Side::Server) && !lie.in_place);
    let mut before = None;
    let mut told = 0;
    for lie in lies {
        let address = format!("nowire:liar-{told}");
        let liar = liar("server", &address, &house, lie);
        let failed = subject.ask(&format!("call {} {address}", lie.during));
        assert!(failed.contains(lie.noticed_as), "{}: {failed}", lie.name);
        told += 1;
        drop(liar);
        before.get_or_insert_with(|| subject.vitals());
    }
    assert_eq!(subject.ask("misbehaved"), told.to_string());
    assert_eq!(subject.ask("panics"), "0");
    assert_back_at(&subject, before.expect("there are lies"));
}

fn assert_back_at(subject: &Program, before: Vitals) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = subject.vitals();
        let back = now.descriptors <= before.descriptors
            && now.shared_mappings <= before.shared_mappings
            && now.private_bytes < before.private_bytes + (32 << 20);
        if back {
            return;
        }
        assert!(Instant::now() < deadline, "{now:?} where it was {before:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
