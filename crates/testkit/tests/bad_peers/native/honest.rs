//! What honest peers may do, and are not blamed for.

use nowire::Keeping;
use nowire_testkit::native::{build, survey_client};
use nowire_testkit::{House, Program};

use crate::scene::HONEST;

fn serve(house: &House, keeping: &str) -> Program {
    let dir = house.dir().to_str().expect("a readable path");
    let arguments = [
        "--runtime-dir",
        dir,
        "serve-native",
        HONEST,
        "--keeping",
        keeping,
    ];
    let subject = Program::start(env!("CARGO_BIN_EXE_nowire-honest"), arguments);
    subject.line("serving");
    subject
}

#[test]
fn memory_may_go_as_soon_as_its_call_is_answered() {
    const CALLS: u32 = 3000;
    let house = House::new();
    let mut subject = serve(&house, "trust");
    let client = survey_client(house.dir(), HONEST, Keeping::Trust);
    let _other = client.scope().expect("memory");
    for _ in 0..CALLS {
        let scope = client.scope_of(1 << 20).expect("memory");
        let thing = build(&scope, 1).expect("room");
        client.measure_aside(&thing).expect("an answer");
        drop(scope);
        // The server has answered, so nothing there reads it any more.
        client.channel().shrink();
    }
    assert_eq!(subject.ask("misbehaved"), "0");
}

#[test]
fn a_server_that_was_stopped_meanwhile_takes_many_segments_at_once() {
    let house = House::new();
    let mut subject = serve(&house, "seal");
    let client = survey_client(house.dir(), HONEST, Keeping::Copy);
    client.turn([1; 8]).expect("an answer");
    subject.stop();
    // As many as may wait to be sealed, and some more of the other kind.
    let large: Vec<_> = (0..64)
        .map(|_| client.scope_of(64 << 10).expect("memory"))
        .collect();
    let small: Vec<_> = (0..8)
        .map(|_| client.scope_of(32 << 10).expect("memory"))
        .collect();
    subject.resume();
    for scope in large.iter().chain(&small) {
        let thing = build(scope, 1).expect("room");
        client.measure(&thing).expect("an answer");
    }
    assert_eq!(subject.ask("misbehaved"), "0");
}
