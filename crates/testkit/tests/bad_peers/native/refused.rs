//! What is refused, and costs nobody the connection.

use nowire::{CallError, Keeping};
use nowire_testkit::native::{NativeDeed, NativeServer, NativeSteady, build, survey_client};
use nowire_testkit::{House, warnings};

use super::scene::doer;
use crate::scene::{HONEST, LIAR};

#[test]
fn methods_and_services_that_there_are_not_are_refused() {
    let house = House::new();
    let server = NativeServer::start(house.dir(), HONEST, Keeping::Copy);
    let steady = NativeSteady::start(&house, HONEST);
    let peer = doer("client", HONEST, &house, NativeDeed::Unknown, 1);
    assert_eq!(peer.line("did"), "9");
    assert_eq!(warnings(&format!("(pid {},", peer.pid())), [""; 0]);
    assert_eq!(server.surveyor.wrong(), 0);
    steady.assert_served();
    house.assert_no_panic();
}

#[test]
fn methods_that_a_server_lays_out_otherwise_are_refused_and_others_are_not() {
    let house = House::new();
    let peer = doer("server", LIAR, &house, NativeDeed::OtherLayouts, 1);
    let client = survey_client(house.dir(), LIAR, Keeping::Copy);
    for _ in 0..3 {
        let scope = client.scope().expect("memory");
        let thing = build(&scope, 1).expect("room");
        let refused = client.measure(&thing).expect_err("laid out otherwise");
        let CallError::Layout(mismatch) = refused else {
            panic!("{refused}");
        };
        assert!(mismatch.method.ends_with("measure"), "{mismatch}");
        assert!(mismatch.difference.contains("flag"), "{mismatch}");
        assert!(mismatch.ours.contains("flag: bool"), "{mismatch}");
        assert!(mismatch.theirs.contains("flag: u8"), "{mismatch}");
        let refused = client.draw(1).expect_err("not there");
        assert!(matches!(&refused, CallError::Layout(_)), "{refused}");
        let refused = client.fail(1).expect_err("described by nothing");
        assert!(matches!(&refused, CallError::Layout(_)), "{refused}");
        let turned = client
            .turn([1, 2, 3, 4, 5, 6, 7, 8])
            .expect("laid out alike");
        assert_eq!(*turned, [8, 7, 6, 5, 4, 3, 2, 1]);
    }
    assert_eq!(peer.line("did"), "3");
    house.assert_no_panic();
}

#[test]
fn a_server_that_describes_its_methods_by_garbage_is_cut_off() {
    let house = House::new();
    let peer = doer("server", LIAR, &house, NativeDeed::NoDescription, 1);
    let client = survey_client(house.dir(), LIAR, Keeping::Copy);
    let error = client.turn([1; 8]).expect_err("no such description");
    let text = error.to_string();
    assert!(text.contains("misbehaved and was cut off"), "{text}");
    assert!(text.contains(&format!("(pid {},", peer.pid())), "{text}");
    assert_eq!(peer.line("did"), "1");
    house.assert_no_panic();
}

#[test]
fn arguments_with_too_many_links_are_refused() {
    let house = House::new();
    let server = NativeServer::start(house.dir(), HONEST, Keeping::Copy);
    let peer = doer("client", HONEST, &house, NativeDeed::TooDeep, 1);
    assert_eq!(peer.line("did"), "2");
    assert_eq!(warnings(&format!("(pid {},", peer.pid())), [""; 0]);
    assert_eq!((server.surveyor.right(), server.surveyor.wrong()), (1, 0));
    house.assert_no_panic();
}

#[test]
fn replies_with_too_many_links_are_refused() {
    let house = House::new();
    let peer = doer("server", LIAR, &house, NativeDeed::TooDeep, 1);
    let client = survey_client(house.dir(), LIAR, Keeping::Copy);
    let refused = client.draw(1).expect_err("too deep");
    assert!(
        refused
            .to_string()
            .contains("lead here, one from the other"),
        "{refused}"
    );
    let thing = client.draw(1).expect("the connection lives on");
    assert_eq!(&*thing.get().text, "hello");
    assert_eq!(peer.line("did"), "2");
    house.assert_no_panic();
}
