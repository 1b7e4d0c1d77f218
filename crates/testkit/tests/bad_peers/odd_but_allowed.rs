//! Peers that do what is odd and harms nobody: calls are answered all the same.

use nowire_interop::proto::testing::Empty;
use nowire_interop::proto::testing::test_service_client::TestServiceClient;
use nowire_testkit::{Deed, House, warnings};
use tonic::Code;

use crate::scene::{HONEST, LIAR, PATIENCE, doer};

/// An odd client is served to its end, and so are the others.
fn client_is_served(deed: Deed, calls: &str) {
    let house = House::new();
    house.serve(HONEST);
    let steady = house.steady(HONEST);
    let peer = doer("client", HONEST, &house, deed, 1);
    assert_eq!(peer.line("did"), calls);
    assert_eq!(warnings(&format!("(pid {},", peer.pid())), [""; 0]);
    steady.assert_served();
    house.assert_no_panic();
}

#[test]
fn a_client_whose_words_are_restless_is_served() {
    client_is_served(Deed::RestlessWords, "200");
}

#[test]
fn a_call_goes_on_after_its_client_has_said_go_away() {
    client_is_served(Deed::GoAways, "1");
}

/// So many calls of an odd server, one after another; the codes of those that
/// were not answered rightly.
fn calls_to_a_server(deed: Deed, calls: u32) -> Vec<Code> {
    let house = House::new();
    let peer = doer("server", LIAR, &house, deed, calls);
    let mut client = TestServiceClient::new(house.channel(LIAR));
    let failed = house.runtime().block_on(async {
        let mut failed = Vec::new();
        for _ in 0..calls {
            let call = tokio::time::timeout(PATIENCE, client.empty_call(Empty {}));
            if let Err(status) = call.await.expect("the call does not hang") {
                failed.push(status.code());
            }
        }
        failed
    });
    assert_eq!(warnings(&format!("(pid {},", peer.pid())), [""; 0]);
    house.assert_no_panic();
    failed
}

#[test]
fn a_server_whose_words_are_restless_is_believed() {
    assert_eq!(calls_to_a_server(Deed::RestlessWords, 200), []);
}

#[test]
fn what_a_server_sends_after_its_trailers_is_ignored() {
    assert_eq!(calls_to_a_server(Deed::Afterthoughts, 200), []);
}

#[test]
fn a_call_is_answered_after_its_server_has_said_go_away() {
    // Each go-away ends its connection, and the next call makes another.
    assert_eq!(calls_to_a_server(Deed::GoAways, 20), []);
}

#[test]
fn odd_requests_are_answered_or_refused() {
    const REQUESTS: u32 = 80;
    let house = House::new();
    house.serve(HONEST);
    let steady = house.steady(HONEST);
    let peer = doer("client", HONEST, &house, Deed::Odd, REQUESTS);
    peer.line("done");
    steady.assert_served();
    house.assert_no_panic();
}

#[test]
fn odd_answers_end_their_calls() {
    const CALLS: u32 = 80;
    let house = House::new();
    let _peer = doer("server", LIAR, &house, Deed::Odd, CALLS);
    let mut client = TestServiceClient::new(house.channel(LIAR));
    house.runtime().block_on(async {
        let mut codes = Vec::new();
        for _ in 0..CALLS {
            let call = tokio::time::timeout(PATIENCE, client.empty_call(Empty {}));
            let code = match call.await.expect("the call does not hang") {
                Ok(_) => Code::Ok,
                Err(status) => status.code(),
            };
            if !codes.contains(&code) {
                codes.push(code);
            }
        }
        // Whatever each of them is: the answers did come.
        assert!(codes.len() > 4, "{codes:?}");
    });
    house.assert_no_panic();
}
