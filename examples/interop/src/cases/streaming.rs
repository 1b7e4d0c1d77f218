//! Streams in either direction and in both.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{REQUESTS, RESPONSES, answer, ask, expect_zeros, next, zeros};
use crate::{
    Channel, Failure, Settings,
    failure::expect_eq,
    proto::testing::{
        ResponseParameters, StreamingInputCallRequest, StreamingOutputCallRequest,
        StreamingOutputCallResponse,
    },
};

const AGGREGATED: i32 = 74_922;

pub(crate) async fn client<C: Channel>(channel: C, settings: &Settings) -> Result<(), Failure> {
    let mut client = super::client(channel);
    let requests = REQUESTS.map(|bytes| StreamingInputCallRequest {
        payload: zeros(bytes),
        ..StreamingInputCallRequest::default()
    });
    let call = client.streaming_input_call(tokio_stream::iter(requests));
    let response = answer("StreamingInputCall", settings, call).await?;
    expect_eq(
        "StreamingInputCall: aggregated_payload_size",
        AGGREGATED,
        response.into_inner().aggregated_payload_size,
    )
}

pub(crate) async fn server<C: Channel>(channel: C, settings: &Settings) -> Result<(), Failure> {
    const CALL: &str = "StreamingOutputCall";
    let mut client = super::client(channel);
    let parameters = RESPONSES.map(|size| ResponseParameters {
        size,
        ..ResponseParameters::default()
    });
    let call = client.streaming_output_call(StreamingOutputCallRequest {
        response_parameters: parameters.into(),
        ..StreamingOutputCallRequest::default()
    });
    let mut responses = answer(CALL, settings, call).await?.into_inner();
    for bytes in RESPONSES {
        let response = next(CALL, settings, &mut responses).await?;
        expect_response(CALL, bytes, response)?;
    }
    expect_end(CALL, next(CALL, settings, &mut responses).await?)
}

pub(crate) async fn ping_pong<C: Channel>(channel: C, settings: &Settings) -> Result<(), Failure> {
    const CALL: &str = "FullDuplexCall";
    let mut client = super::client(channel);
    let (sender, receiver) = mpsc::channel(1);
    let mut turns = REQUESTS.into_iter().zip(RESPONSES);
    let mut asked = Vec::new();
    // A server may keep its headers until it has something to say, so the first question goes
    // out before anything is awaited.
    if let Some((request, response)) = turns.next() {
        send(CALL, &sender, ask(request, response)).await?;
        asked.push(response);
    }
    let call = client.full_duplex_call(ReceiverStream::new(receiver));
    let mut responses = answer(CALL, settings, call).await?.into_inner();
    while let Some(bytes) = asked.pop() {
        let response = next(CALL, settings, &mut responses).await?;
        expect_response(CALL, bytes, response)?;
        if let Some((request, response)) = turns.next() {
            send(CALL, &sender, ask(request, response)).await?;
            asked.push(response);
        }
    }
    drop(sender);
    expect_end(CALL, next(CALL, settings, &mut responses).await?)
}

pub(crate) async fn half_duplex<C: Channel>(
    channel: C,
    settings: &Settings,
) -> Result<(), Failure> {
    const CALL: &str = "HalfDuplexCall";
    let mut client = super::client(channel);
    let requests = RESPONSES.map(|response| ask(0, response));
    let call = client.half_duplex_call(tokio_stream::iter(requests));
    let mut responses = answer(CALL, settings, call).await?.into_inner();
    for bytes in RESPONSES {
        let response = next(CALL, settings, &mut responses).await?;
        expect_response(CALL, bytes, response)?;
    }
    expect_end(CALL, next(CALL, settings, &mut responses).await?)
}

pub(crate) async fn empty<C: Channel>(channel: C, settings: &Settings) -> Result<(), Failure> {
    const CALL: &str = "FullDuplexCall";
    let mut client = super::client(channel);
    let call = client.full_duplex_call(tokio_stream::empty());
    let mut responses = answer(CALL, settings, call).await?.into_inner();
    expect_end(CALL, next(CALL, settings, &mut responses).await?)
}

async fn send(
    call: &'static str,
    sender: &mpsc::Sender<StreamingOutputCallRequest>,
    request: StreamingOutputCallRequest,
) -> Result<(), Failure> {
    sender.send(request).await.map_err(|_| Failure::Mismatch {
        what: call.into(),
        expected: "a stream that takes requests".into(),
        got: "a stream that the channel gave up".into(),
    })
}

fn expect_response(
    call: &'static str,
    bytes: i32,
    response: Option<StreamingOutputCallResponse>,
) -> Result<(), Failure> {
    let Some(response) = response else {
        return Err(Failure::Mismatch {
            what: call.into(),
            expected: format!("a response of {bytes} bytes"),
            got: "the end of the stream".into(),
        });
    };
    expect_zeros(call, bytes, response.payload.as_ref())
}

fn expect_end(
    call: &'static str,
    response: Option<StreamingOutputCallResponse>,
) -> Result<(), Failure> {
    let bytes = response.map(|response| response.payload.unwrap_or_default().body.len());
    expect_eq(format!("{call}: bytes of a response too many"), None, bytes)
}
