//! A server of native calls without descriptors left.

use nowire::{CallError, Keeping};
use nowire_testkit::native::{SurveyClient, amount, build, survey_client};
use nowire_testkit::{House, Program};

const ADDRESS: &str = "nowire:starved";

/// Passes something in memory that the server has not seen.
fn call(client: &SurveyClient) -> Result<(), CallError> {
    let scope = client.scope_of(8 << 20).expect("room");
    let thing = build(&scope, 5).expect("room");
    let measured = client.measure(&thing)?;
    assert_eq!(Some(*measured), amount(&thing));
    Ok(())
}

#[test]
fn a_server_without_descriptors_loses_those_who_bring_memory_and_blames_nobody() {
    let house = House::new();
    let dir = house.dir().to_str().expect("a readable path");
    let arguments = ["--runtime-dir", dir, "serve-native", ADDRESS];
    let mut server = Program::start(env!("CARGO_BIN_EXE_nowire-honest"), arguments);
    server.line("serving");
    let steady = survey_client(house.dir(), ADDRESS, Keeping::Copy);
    let unlucky = survey_client(house.dir(), ADDRESS, Keeping::Copy);
    let turned = || steady.turn([1, 2, 3, 4, 5, 6, 7, 8]).map(|turned| *turned);
    call(&steady).expect("served");
    unlucky.turn([0; 8]).expect("served");

    server.ask("starve");
    let error = call(&unlucky).expect_err("it cannot be taken");
    assert!(matches!(error, CallError::Connection(_)), "{error}");
    assert_eq!(turned().expect("served"), [8, 7, 6, 5, 4, 3, 2, 1]);

    server.ask("feed");
    let lucky = survey_client(house.dir(), ADDRESS, Keeping::Copy);
    call(&lucky).expect("served again");
    call(&steady).expect("served");
    assert_eq!(server.ask("misbehaved"), "0");
    assert_eq!(server.ask("panics"), "0");
    house.assert_no_panic();
}
