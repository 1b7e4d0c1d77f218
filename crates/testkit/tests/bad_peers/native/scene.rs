//! What the tests share.

use nowire::{CallError, ConnectionError, Keeping};
use nowire_testkit::native::{
    NativeDeed, NativeLie, NativeServer, NativeSteady, call_on, survey_client,
};
use nowire_testkit::{House, Program};

use crate::scene::{HONEST, LIAR, assert_said, hostile};

/// The ways to keep still what a peer may change: a lie in what it passes is found
/// where it lies, and in a copy.
fn tiers(lie: &NativeLie) -> &'static [Keeping] {
    if lie.in_place {
        &[Keeping::Trust]
    } else {
        &[Keeping::Copy, Keeping::Trust, Keeping::Seal]
    }
}

/// Starts a hostile process that tells a lie.
pub(crate) fn liar(side: &str, address: &str, house: &House, lie: &NativeLie) -> Program {
    hostile(side, address, house.dir(), &["--native", "--lie", lie.name])
}

/// Starts a hostile process that does a deed on so many connections.
pub(crate) fn doer(
    side: &str,
    address: &str,
    house: &House,
    deed: NativeDeed,
    rounds: u32,
) -> Program {
    let rounds = rounds.to_string();
    let more = ["--native", "--deed", deed.name(), "--rounds", &rounds];
    hostile(side, address, house.dir(), &more)
}

/// A hostile client lies to an honest server.
pub(crate) fn client_lies(lie: &str) {
    let lie = NativeLie::named(lie).expect("a lie");
    for &keeping in tiers(lie) {
        let house = House::new();
        let server = NativeServer::start(house.dir(), HONEST, keeping);
        let steady = NativeSteady::start(&house, HONEST);
        steady.assert_served();
        let liar = liar("client", HONEST, &house, lie);
        liar.line("cut off");
        assert_said(lie.noticed_as, liar.pid());
        steady.assert_served();
        assert_eq!(server.surveyor.wrong(), 0, "no lie came to a handler");
        house.assert_no_panic();
    }
}

/// A hostile server lies to an honest client.
pub(crate) fn server_lies(lie: &str) {
    let lie = NativeLie::named(lie).expect("a lie");
    for &keeping in tiers(lie) {
        let house = House::new();
        let _server = NativeServer::start(house.dir(), HONEST, Keeping::Copy);
        let steady = NativeSteady::start(&house, HONEST);
        let liar = liar("server", LIAR, &house, lie);
        let client = survey_client(house.dir(), LIAR, keeping);
        let error = call_on(&client, lie.during).expect_err("a lie ends the calls");
        assert!(
            matches!(
                error,
                CallError::Connection(ConnectionError::PeerMisbehaved { .. })
            ),
            "{error}"
        );
        let text = error.to_string();
        assert!(text.contains(&format!("(pid {},", liar.pid())), "{text}");
        assert!(text.contains(lie.noticed_as), "{text}");
        liar.line("cut off");
        assert_said(lie.noticed_as, liar.pid());
        let again = call_on(&client, lie.during).expect_err("the connection stays over");
        assert!(again.to_string().contains(lie.noticed_as), "{again}");
        steady.assert_served();
        house.assert_no_panic();
    }
}
