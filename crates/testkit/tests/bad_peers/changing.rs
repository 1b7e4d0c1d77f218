//! Peers that change what they have sent while it is read. There is no telling
//! what comes of a call; that something comes of it, and of nothing else, is.

use std::time::Duration;

use nowire_interop::proto::testing::Empty;
use nowire_interop::proto::testing::test_service_client::TestServiceClient;
use nowire_testkit::{Deed, House};
use tonic::Request;

use crate::scene::{HONEST, LIAR, PATIENCE, doer};

fn a_changing_client(deed: Deed) {
    const CONNECTIONS: u32 = 40;
    let house = House::new();
    house.serve(HONEST);
    let steady = house.steady(HONEST);
    let peer = doer("client", HONEST, &house, deed, CONNECTIONS);
    peer.line("done");
    steady.assert_served();
    house.assert_no_panic();
}

#[test]
fn payloads_that_a_client_changes_harm_nobody() {
    a_changing_client(Deed::ChangingPayloads);
}

#[test]
fn slots_that_a_client_changes_harm_nobody() {
    a_changing_client(Deed::ChangingSlots);
}

fn a_changing_server(deed: Deed) {
    const CALLS: u32 = 500;
    let house = House::new();
    house.serve(HONEST);
    let steady = house.steady(HONEST);
    let peer = doer("server", LIAR, &house, deed, CALLS);
    let mut client = TestServiceClient::new(house.channel(LIAR));
    house.runtime().block_on(async {
        for _ in 0..CALLS {
            let mut request = Request::new(Empty {});
            request.set_timeout(Duration::from_millis(300));
            // Whatever comes of it.
            let _ = tokio::time::timeout(PATIENCE, client.empty_call(request))
                .await
                .expect("a call ends at its deadline");
        }
    });
    steady.assert_served();
    house.assert_no_panic();
    drop(peer);
}

#[test]
fn payloads_that_a_server_changes_harm_nobody() {
    a_changing_server(Deed::ChangingPayloads);
}

#[test]
fn slots_that_a_server_changes_harm_nobody() {
    a_changing_server(Deed::ChangingSlots);
}
