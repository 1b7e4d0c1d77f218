//! The example as its reader runs it.

use nowire_testkit::ExampleServer;

#[test]
fn a_slow_mill_holds_the_farmer_back_on_both_carriers() {
    let server = ExampleServer::start(env!("CARGO_BIN_EXE_streaming-server"), &[]);
    for (nowire, carrier) in [(None, "memory"), (Some("off"), "http2")] {
        let output = server.ask(env!("CARGO_BIN_EXE_streaming-client"), nowire, carrier);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("200 of 200 sacks ground"), "{said}");
        let (_, most_waiting) = said.split_once("never more than ").unwrap();
        let most_waiting: u32 = most_waiting.split(' ').next().unwrap().parse().unwrap();
        // Without back-pressure nearly all of them would.
        assert!(most_waiting < 100, "{said}");
    }
}
