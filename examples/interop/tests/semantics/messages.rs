//! Messages of any size and compression.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use nowire_interop::proto::testing::{
    Empty, SimpleResponse, StreamingInputCallRequest, StreamingOutputCallRequest,
    StreamingOutputCallResponse, test_service_client::TestServiceClient,
};
use tonic::{Response, codec::CompressionEncoding::Gzip};

use crate::support::{
    carrier::{On, serve, soon},
    handlers::echo,
    payload::{LARGE, body, noise, request, summed},
    script::{Down, Script},
};

on_each_carrier! {
    messages_of_64_mebibytes_pass_both_ways
    empty_messages_arrive_each_by_itself
    gzip_is_used_both_ways_when_both_sides_offer_it
}

async fn messages_of_64_mebibytes_pass_both_ways(on: On) {
    let service = echo().service().max_decoding_message_size(LARGE + 1024);
    let server = serve!(on, server => server.add_service(service));
    let mut client =
        TestServiceClient::new(server.channel().await).max_decoding_message_size(LARGE + 1024);
    let sent = Bytes::from(noise(LARGE));
    let call = client.unary_call(request(sent.clone()));
    let response = soon("the large response", call).await.unwrap();
    let got = body(response.into_inner().payload);
    assert_eq!(got.len(), sent.len());
    assert!(got == sent, "the bytes changed on the way");
}

async fn empty_messages_arrive_each_by_itself(on: On) {
    let script = Script::default()
        .up(|request| async move {
            let mut messages = request.into_inner();
            let mut count = 0;
            while let Some(message) = messages.message().await? {
                assert_eq!(message, StreamingInputCallRequest::default());
                count += 1;
            }
            Ok(summed(count))
        })
        .down(|_| async {
            let empty = || Ok(StreamingOutputCallResponse::default());
            let messages = stream::iter((0..1000).map(move |_| empty()));
            Ok(Response::new(Box::pin(messages) as Down))
        });
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);

    soon("EmptyCall", client.empty_call(Empty {}))
        .await
        .unwrap();
    let messages = stream::iter((0..1000).map(|_| StreamingInputCallRequest::default()));
    let response = soon("the count", client.streaming_input_call(messages)).await;
    assert_eq!(response.unwrap().into_inner().aggregated_payload_size, 1000);
    let call = client.streaming_output_call(StreamingOutputCallRequest::default());
    let responses = soon("the stream", call).await.unwrap().into_inner();
    let all = responses.map(Result::unwrap).collect::<Vec<_>>();
    let all = soon("the stream's end", all).await;
    assert_eq!(all, vec![StreamingOutputCallResponse::default(); 1000]);
}

async fn gzip_is_used_both_ways_when_both_sides_offer_it(on: On) {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let script = Script::default().unary(move |request| {
        if request
            .metadata()
            .get("grpc-encoding")
            .is_some_and(|value| value == "gzip")
        {
            count.fetch_add(1, SeqCst);
        }
        async move {
            Ok(Response::new(SimpleResponse {
                payload: request.into_inner().payload,
                ..SimpleResponse::default()
            }))
        }
    });
    let service = script
        .service()
        .accept_compressed(Gzip)
        .send_compressed(Gzip);
    let server = serve!(on, server => server.add_service(service));
    let plain = TestServiceClient::new(server.channel().await);
    let mut gzip = plain.clone().accept_compressed(Gzip).send_compressed(Gzip);
    let mut plain = plain;
    let sent = Bytes::from(vec![7; 1 << 20]);

    let response = soon("a response", gzip.unary_call(request(sent.clone())))
        .await
        .unwrap();
    let encoding = response.metadata().get("grpc-encoding");
    assert_eq!(encoding.map(|value| value.as_bytes()), Some(&b"gzip"[..]));
    assert_eq!(seen.load(SeqCst), 1);
    assert!(body(response.into_inner().payload) == sent);

    let response = soon("a response", plain.unary_call(request(sent.clone())))
        .await
        .unwrap();
    assert_eq!(response.metadata().get("grpc-encoding"), None);
    assert_eq!(seen.load(SeqCst), 1);
    assert!(body(response.into_inner().payload) == sent);
}
