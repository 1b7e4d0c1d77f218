//! Graceful shutdown.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use nowire_interop::proto::testing::{
    StreamingOutputCallRequest, test_service_client::TestServiceClient,
};
use tokio::sync::Notify;
use tonic::Response;

use crate::support::{
    carrier::{On, serve, soon},
    handlers::{expect_event, gated},
    payload::{body, down, request},
    script::{Down, Event},
};

on_each_carrier! {
    a_graceful_shutdown_finishes_calls_in_flight
}

async fn a_graceful_shutdown_finishes_calls_in_flight(on: On) {
    let (script, mut events, permits) = gated();
    let go_on = Arc::new(Notify::new());
    let gate = go_on.clone();
    let script = script.down(move |_| {
        let gate = gate.clone();
        async move {
            let first = stream::once(async { Ok(down("first")) });
            let second = stream::once(async move {
                gate.notified().await;
                Ok(down("second"))
            });
            Ok(Response::new(Box::pin(first.chain(second)) as Down))
        }
    });
    let mut server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let call = client.streaming_output_call(StreamingOutputCallRequest::default());
    let mut responses = soon("the stream", call).await.unwrap().into_inner();
    soon("the first", responses.message())
        .await
        .unwrap()
        .unwrap();
    let unary = tokio::spawn(async move { client.unary_call(request("x")).await });
    expect_event(&mut events, Event::Started).await;

    server.shut_down();
    let refused = async { while server.try_channel().await.is_ok() {} };
    soon("a refusal of new channels", refused).await;
    permits.add_permits(1);
    go_on.notify_one();
    let response = soon("the answer", unary).await.unwrap().unwrap();
    assert_eq!(body(response.into_inner().payload), "x");
    let second = soon("the second", responses.message()).await.unwrap();
    assert_eq!(body(second.unwrap().payload), "second");
    assert_eq!(soon("the end", responses.message()).await.unwrap(), None);
    server.stopped().await;
}
