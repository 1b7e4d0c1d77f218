//! What a failed call tells.

use bytes::Bytes;
use futures_util::stream;
use nowire_interop::proto::testing::{
    SimpleRequest, StreamingOutputCallRequest, test_service_client::TestServiceClient,
};
use tonic::{Code, Response, Status};

use crate::metadata::{assert_rich, rich_metadata};
use crate::support::{
    carrier::{On, serve, soon},
    payload::{body, down},
    script::{Down, Script},
};

on_each_carrier! {
    a_failed_call_carries_message_details_and_metadata
    a_stream_that_fails_after_messages_delivers_them_first
}

async fn a_failed_call_carries_message_details_and_metadata(on: On) {
    let script = Script::default().unary(|_| async { Err(rich_status()) });
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let result = soon("the status", client.unary_call(SimpleRequest::default())).await;
    assert_rich_status(&result.unwrap_err());
}

async fn a_stream_that_fails_after_messages_delivers_them_first(on: On) {
    let script = Script::default().down(|_| async {
        let messages = (0..100_u8).map(|index| Ok(down(vec![index])));
        let messages = stream::iter(messages.chain([Err(rich_status())]));
        Ok(Response::new(Box::pin(messages) as Down))
    });
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let call = client.streaming_output_call(StreamingOutputCallRequest::default());
    let mut responses = soon("the stream", call).await.unwrap().into_inner();
    for index in 0..100_u8 {
        let message = soon("a message", responses.message())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(body(message.payload), [index][..]);
    }
    let status = soon("the status", responses.message()).await.unwrap_err();
    assert_rich_status(&status);
}

const SPECIAL: &str = "100 % of «ünïcödé» 😈\r\n\tand %41 stays as it is";

fn rich_status() -> Status {
    Status::with_details_and_metadata(
        Code::FailedPrecondition,
        SPECIAL,
        Bytes::from_iter(0..=255),
        rich_metadata(),
    )
}

fn assert_rich_status(status: &Status) {
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.message(), SPECIAL);
    assert_eq!(status.details(), Bytes::from_iter(0..=255));
    assert_rich(status.metadata());
}
