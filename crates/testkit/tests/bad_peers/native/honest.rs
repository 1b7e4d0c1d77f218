//! What honest peers may do, and are not blamed for.

use nowire::Keeping;
use nowire_testkit::native::{build, survey_client};
use nowire_testkit::{House, Program};

use crate::scene::HONEST;

#[test]
fn memory_may_go_as_soon_as_its_call_is_answered() {
    const CALLS: u32 = 3000;
    let house = House::new();
    let dir = house.dir().to_str().expect("a readable path");
    let arguments = [
        "--runtime-dir",
        dir,
        "serve-native",
        HONEST,
        "--keeping",
        "trust",
    ];
    let mut subject = Program::start(env!("CARGO_BIN_EXE_nowire-honest"), arguments);
    subject.line("serving");
    let client = survey_client(&house, HONEST, Keeping::Trust);
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
