//! A server that is full says so, and serves those it has.

use nowire_grpc::{Carrier, CarrierPolicy, Channel, ListenOptions};
use nowire_interop::proto::testing::Empty;
use nowire_interop::proto::testing::test_service_client::TestServiceClient;
use nowire_testkit::{House, connect, serve};

use crate::scene::PATIENCE;

async fn assert_served(channel: &Channel, carrier: Carrier) {
    assert_eq!(channel.carrier(), Some(carrier));
    let mut client = TestServiceClient::new(channel.clone());
    let call = tokio::time::timeout(PATIENCE, client.empty_call(Empty {}));
    call.await
        .expect("the call does not hang")
        .expect("an answer");
    assert_eq!(channel.carrier(), Some(carrier));
}

/// A server with room for two: the third client is told of `limit`, or takes
/// HTTP/2; the two are served, and when one leaves there is room again.
fn two_have_room(limit: &str, set: impl Fn(&mut ListenOptions)) {
    let house = House::new();
    let dir = house.dir().to_owned();
    house.runtime().block_on(async {
        let address = serve("127.0.0.1:0", |server| {
            server.memory_options(|options| {
                options.runtime_dir = Some(dir.clone());
                set(options);
            })
        })
        .await
        .expect("a free port");
        let required = || connect(&address, &dir, CarrierPolicy::Require);
        let first = required().await.expect("room");
        let second = required().await.expect("room");

        let refusal = required().await.expect_err("no room").to_string();
        assert!(refusal.contains(limit), "{refusal}");
        let third = connect(&address, &dir, CarrierPolicy::Prefer).await;
        assert_served(&third.expect("HTTP/2"), Carrier::Http2).await;
        assert_served(&first, Carrier::Memory).await;
        assert_served(&second, Carrier::Memory).await;

        drop(first);
        let fourth = tokio::time::timeout(PATIENCE, async {
            loop {
                match required().await {
                    Ok(channel) => return channel,
                    // The server has not seen yet that one is gone.
                    Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
                }
            }
        });
        assert_served(&fourth.await.expect("room again"), Carrier::Memory).await;
        assert_served(&second, Carrier::Memory).await;
    });
    house.assert_no_panic();
}

#[test]
fn a_client_beyond_the_connection_limit_is_told_or_takes_http2() {
    two_have_room("max_connections", |options| options.max_connections = 2);
}

#[test]
fn a_client_beyond_the_memory_limit_is_told_or_takes_http2() {
    two_have_room("max_shared_bytes", |options| {
        options.max_shared_bytes = 5 * options.outbox.outbox_bytes();
    });
}

#[test]
fn a_client_with_too_large_an_outbox_is_told_or_takes_http2() {
    let house = House::new();
    let dir = house.dir().to_owned();
    house.runtime().block_on(async {
        let address = serve("127.0.0.1:0", |server| {
            server.memory_options(|options| {
                options.runtime_dir = Some(dir.clone());
                options.client_outbox_limit_bytes = 4096;
            })
        })
        .await
        .expect("a free port");
        let refusal = connect(&address, &dir, CarrierPolicy::Require).await;
        let refusal = refusal.expect_err("too large").to_string();
        assert!(refusal.contains("client_outbox_limit_bytes"), "{refusal}");
        let other = connect(&address, &dir, CarrierPolicy::Prefer).await;
        assert_served(&other.expect("HTTP/2"), Carrier::Http2).await;
    });
}
