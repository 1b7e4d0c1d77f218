//! What a caller drops is cancelled.

use futures_util::FutureExt;
use nowire_interop::proto::testing::{
    Empty, SimpleRequest, StreamingOutputCallRequest, test_service_client::TestServiceClient,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::support::{
    carrier::{On, serve, soon},
    handlers::{expect_event, murmur, sleeper},
    script::Event,
};

on_each_carrier! {
    a_dropped_call_cancels_its_handler
    a_dropped_stream_cancels_its_handler
    a_dropped_conversation_cancels_its_handler
}

async fn a_dropped_call_cancels_its_handler(on: On) {
    let (script, mut events) = sleeper();
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let mut other = client.clone();
    let call = tokio::spawn(async move { client.unary_call(SimpleRequest::default()).await });
    expect_event(&mut events, Event::Started).await;
    assert!(
        events.recv().now_or_never().is_none(),
        "nobody cancelled yet"
    );
    call.abort();
    expect_event(&mut events, Event::Dropped).await;
    soon("EmptyCall", other.empty_call(Empty {})).await.unwrap();
}

async fn a_dropped_stream_cancels_its_handler(on: On) {
    let (script, mut events) = murmur();
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let call = client.streaming_output_call(StreamingOutputCallRequest::default());
    let mut responses = soon("the stream", call).await.unwrap().into_inner();
    soon("a message", responses.message())
        .await
        .unwrap()
        .unwrap();
    expect_event(&mut events, Event::Started).await;
    assert!(
        events.recv().now_or_never().is_none(),
        "nobody cancelled yet"
    );
    drop(responses);
    expect_event(&mut events, Event::Dropped).await;
    soon("EmptyCall", client.empty_call(Empty {}))
        .await
        .unwrap();
}

/// As long as its own half is open, HTTP/2 keeps a stream that only the other half was dropped
/// of; so both are dropped.
async fn a_dropped_conversation_cancels_its_handler(on: On) {
    let (script, mut events) = murmur();
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let (sender, receiver) = mpsc::channel(4);
    let call = client.full_duplex_call(ReceiverStream::new(receiver));
    sender
        .send(StreamingOutputCallRequest::default())
        .await
        .unwrap();
    let mut responses = soon("the stream", call).await.unwrap().into_inner();
    soon("a message", responses.message())
        .await
        .unwrap()
        .unwrap();
    expect_event(&mut events, Event::Started).await;
    assert!(
        events.recv().now_or_never().is_none(),
        "nobody cancelled yet"
    );
    drop((responses, sender));
    expect_event(&mut events, Event::Dropped).await;
    soon("EmptyCall", client.empty_call(Empty {}))
        .await
        .unwrap();
}
