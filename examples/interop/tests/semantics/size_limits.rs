//! Limits on the size of a message.

use nowire_interop::proto::testing::test_service_client::TestServiceClient;
use tonic::{Code, Status};

use crate::support::{
    carrier::{On, serve, soon},
    handlers::echo,
    payload::request,
};

on_each_carrier! {
    a_request_above_the_limit_is_refused_and_the_channel_lives
    a_response_above_the_limit_is_refused_and_the_channel_lives
}

async fn a_request_above_the_limit_is_refused_and_the_channel_lives(on: On) {
    const LIMIT: usize = 1 << 20;
    let service = echo().service().max_decoding_message_size(LIMIT);
    let server = serve!(on, server => server.add_service(service));
    let mut client = TestServiceClient::new(server.channel().await);
    for bytes in [LIMIT + 1, 16 * LIMIT] {
        let result = soon("a refusal", client.unary_call(request(vec![1; bytes]))).await;
        assert_too_large(&result.unwrap_err(), LIMIT);
    }
    let call = client.unary_call(request(vec![1; LIMIT / 2]));
    soon("a call within the limit", call).await.unwrap();
}

async fn a_response_above_the_limit_is_refused_and_the_channel_lives(on: On) {
    const LIMIT: usize = 1 << 20;
    let service = echo().service().max_decoding_message_size(64 * LIMIT);
    let server = serve!(on, server => server.add_service(service));
    let mut client =
        TestServiceClient::new(server.channel().await).max_decoding_message_size(LIMIT);
    for bytes in [LIMIT + 1, 16 * LIMIT] {
        let result = soon("a refusal", client.unary_call(request(vec![1; bytes]))).await;
        assert_too_large(&result.unwrap_err(), LIMIT);
    }
    let call = client.unary_call(request(vec![1; LIMIT / 2]));
    soon("a call within the limit", call).await.unwrap();
}

fn assert_too_large(status: &Status, limit: usize) {
    assert_eq!(status.code(), Code::OutOfRange);
    let message = status.message();
    assert!(message.contains("message length too large"), "{message}");
    assert!(
        message.contains(&format!("the limit is: {limit} bytes")),
        "{message}"
    );
}
