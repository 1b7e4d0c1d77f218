//! Peers that change what they have passed while it is copied and checked. There
//! is no telling what comes of a call; that no handler sees a value that is none,
//! or one that changes, is.

use nowire::Keeping;
use nowire_testkit::House;
use nowire_testkit::native::{
    NativeDeed, NativeServer, NativeSteady, amount, call_on, survey_client,
};

use super::scene::doer;
use crate::scene::{HONEST, LIAR};

const CONNECTIONS: u32 = 15;

fn a_changing_client(keeping: Keeping) {
    let house = House::new();
    let server = NativeServer::start(house.dir(), HONEST, keeping);
    let steady = NativeSteady::start(&house, HONEST);
    let peer = doer(
        "client",
        HONEST,
        &house,
        NativeDeed::ChangingBytes,
        CONNECTIONS,
    );
    peer.line("done");
    assert_eq!(server.surveyor.wrong(), 0);
    assert!(server.surveyor.right() > 0);
    steady.assert_served();
    house.assert_no_panic();
}

#[test]
fn what_a_client_changes_while_it_is_copied_harms_nobody() {
    a_changing_client(Keeping::Copy);
}

#[test]
fn what_a_client_has_not_sealed_is_copied() {
    a_changing_client(Keeping::Seal);
}

fn a_changing_server(keeping: Keeping) {
    let house = House::new();
    let _peer = doer(
        "server",
        LIAR,
        &house,
        NativeDeed::ChangingBytes,
        CONNECTIONS,
    );
    for _ in 0..CONNECTIONS {
        let client = survey_client(house.dir(), LIAR, keeping);
        // It goes on until a change is noticed, or the server has had enough.
        let mut replies = 0;
        while let Ok(thing) = client.draw(1) {
            let seen = amount(thing.get());
            assert!(seen.is_some(), "a value of its type");
            assert_eq!(seen, amount(thing.get()), "it does not change");
            replies += 1;
            if replies == 1000 {
                break;
            }
        }
    }
    house.assert_no_panic();
}

#[test]
fn what_a_server_changes_while_it_is_copied_harms_nobody() {
    a_changing_server(Keeping::Copy);
}

#[test]
fn what_a_server_has_not_sealed_is_copied() {
    a_changing_server(Keeping::Seal);
}

#[test]
fn a_thing_that_is_forged_without_a_fault_is_served() {
    let house = House::new();
    let server = NativeServer::start(house.dir(), HONEST, Keeping::Copy);
    let peer = doer("client", HONEST, &house, NativeDeed::Honest, 1);
    assert_eq!(peer.line("did"), "2000");
    assert_eq!(
        (server.surveyor.right(), server.surveyor.wrong()),
        (2000, 0)
    );
}

#[test]
fn a_reply_that_is_forged_without_a_fault_is_believed() {
    let house = House::new();
    let peer = doer("server", LIAR, &house, NativeDeed::Honest, 1);
    let client = survey_client(house.dir(), LIAR, Keeping::Copy);
    for _ in 0..2000 {
        let thing = client.draw(1).expect("no fault");
        assert_eq!(&*thing.get().text, "hello");
    }
    assert_eq!(peer.line("did"), "2000");
    drop(peer);
    let error = call_on(&client, "draw").expect_err("it is gone");
    assert!(error.to_string().contains("is gone"), "{error}");
}
