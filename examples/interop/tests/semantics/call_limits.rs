//! Limits on calls at once.

use futures_util::FutureExt;
use nowire_interop::proto::testing::test_service_client::TestServiceClient;
use tonic::Code;

use crate::support::{
    carrier::{On, serve, soon},
    handlers::{expect_event, gated},
    payload::request,
    script::Event,
};

on_each_carrier! {
    the_concurrency_limit_lets_one_call_wait
    a_server_that_sheds_load_refuses_what_is_too_much
}

async fn the_concurrency_limit_lets_one_call_wait(on: On) {
    let (script, mut events, permits) = gated();
    let server = serve!(on, server => server
        .concurrency_limit_per_connection(1)
        .add_service(script.service()));
    let client = TestServiceClient::new(server.channel().await);
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { client.unary_call(request("x")).await })
        })
        .collect();
    for _ in 0..3 {
        // Never a second start before the first has ended.
        expect_event(&mut events, Event::Started).await;
        assert!(events.recv().now_or_never().is_none(), "one call runs");
        permits.add_permits(1);
        expect_event(&mut events, Event::Dropped).await;
    }
    for call in calls {
        soon("an answer", call).await.unwrap().unwrap();
    }
}

async fn a_server_that_sheds_load_refuses_what_is_too_much(on: On) {
    let (script, mut events, permits) = gated();
    let server = serve!(on, server => server
        .concurrency_limit_per_connection(1)
        .load_shed(true)
        .add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let mut first = client.clone();
    let first = tokio::spawn(async move { first.unary_call(request("x")).await });
    expect_event(&mut events, Event::Started).await;
    let second = soon("a refusal", client.unary_call(request("x"))).await;
    assert_eq!(second.unwrap_err().code(), Code::ResourceExhausted);
    permits.add_permits(2);
    soon("the first answer", first).await.unwrap().unwrap();
    soon("a later answer", client.unary_call(request("x")))
        .await
        .unwrap();
}
