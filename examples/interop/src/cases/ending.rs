//! Calls that end with something else than success.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming};

use super::{REQUESTS, RESPONSES, answer, ask, client, expect_zeros, next, within, zeros};
use crate::{
    Channel, Failure, Settings,
    failure::{expect_code, expect_eq},
    proto::testing::{
        EchoStatus, Empty, SimpleRequest, StreamingInputCallRequest, StreamingOutputCallRequest,
        StreamingOutputCallResponse, unimplemented_service_client::UnimplementedServiceClient,
    },
};

pub(crate) async fn status<C: Channel>(channel: C, settings: &Settings) -> Result<(), Failure> {
    const MESSAGE: &str = "test status message";
    let mut client = client(channel);

    let call = client.unary_call(SimpleRequest {
        response_status: unknown(MESSAGE),
        ..SimpleRequest::default()
    });
    let result = within("UnaryCall", settings, call).await?;
    let status = expect_code("UnaryCall", Code::Unknown, result)?;
    expect_eq("UnaryCall: status message", MESSAGE, status.message())?;

    let requests = tokio_stream::once(StreamingOutputCallRequest {
        response_status: unknown(MESSAGE),
        ..StreamingOutputCallRequest::default()
    });
    let call = client.full_duplex_call(requests);
    let result = within("FullDuplexCall", settings, async {
        first(call.await?.into_inner()).await
    });
    let status = expect_code("FullDuplexCall", Code::Unknown, result.await?)?;
    expect_eq("FullDuplexCall: status message", MESSAGE, status.message())
}

pub(crate) async fn special_message<C: Channel>(
    channel: C,
    settings: &Settings,
) -> Result<(), Failure> {
    const MESSAGE: &str = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
    let mut client = client(channel);
    let call = client.unary_call(SimpleRequest {
        response_status: unknown(MESSAGE),
        ..SimpleRequest::default()
    });
    let result = within("UnaryCall", settings, call).await?;
    let status = expect_code("UnaryCall", Code::Unknown, result)?;
    expect_eq("UnaryCall: status message", MESSAGE, status.message())
}

pub(crate) async fn no_method<C: Channel>(channel: C, settings: &Settings) -> Result<(), Failure> {
    let mut client = client(channel);
    let result = within(
        "UnimplementedCall",
        settings,
        client.unimplemented_call(Empty {}),
    )
    .await?;
    expect_code("TestService/UnimplementedCall", Code::Unimplemented, result)?;
    Ok(())
}

pub(crate) async fn no_service<C: Channel>(channel: C, settings: &Settings) -> Result<(), Failure> {
    let mut client = UnimplementedServiceClient::new(channel);
    let result = within(
        "UnimplementedCall",
        settings,
        client.unimplemented_call(Empty {}),
    )
    .await?;
    expect_code(
        "UnimplementedService/UnimplementedCall",
        Code::Unimplemented,
        result,
    )?;
    Ok(())
}

pub(crate) async fn cancel_at_once<C: Channel>(
    channel: C,
    settings: &Settings,
) -> Result<(), Failure> {
    const CALL: &str = "StreamingInputCall";
    let mut client = client(channel);
    let silent = tokio_stream::pending::<StreamingInputCallRequest>();
    let mut request = Request::new(silent);
    let cancel = request.cancellation_handle();
    {
        let mut call = pin!(client.streaming_input_call(request));
        // The first poll starts the call.
        let early = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        if let Poll::Ready(result) = early {
            expect_code(CALL, Code::Cancelled, result)?;
        } else {
            cancel.cancel();
            let result = within(CALL, settings, call).await?;
            expect_code(CALL, Code::Cancelled, result)?;
        }
    }
    answer(
        "EmptyCall (after the cancelled call)",
        settings,
        client.empty_call(Empty {}),
    )
    .await?;
    Ok(())
}

pub(crate) async fn cancel_later<C: Channel>(
    channel: C,
    settings: &Settings,
) -> Result<(), Failure> {
    const CALL: &str = "FullDuplexCall";
    let mut client = client(channel);
    let (sender, receiver) = mpsc::channel(1);
    let mut request = Request::new(ReceiverStream::new(receiver));
    let cancel = request.cancellation_handle();
    sender
        .try_send(ask(REQUESTS[0], RESPONSES[0]))
        .map_err(|_| Failure::Mismatch {
            what: CALL.into(),
            expected: "room for the first request".into(),
            got: "none".into(),
        })?;
    let call = client.full_duplex_call(request);
    let mut responses = answer(CALL, settings, call).await?.into_inner();
    let response = next(CALL, settings, &mut responses)
        .await?
        .unwrap_or_default();
    expect_zeros(CALL, RESPONSES[0], response.payload.as_ref())?;

    cancel.cancel();
    let result = within(CALL, settings, responses.message()).await?;
    expect_code(CALL, Code::Cancelled, result)?;
    answer(
        "EmptyCall (after the cancelled call)",
        settings,
        client.empty_call(Empty {}),
    )
    .await?;
    Ok(())
}

pub(crate) async fn timeout<C: Channel>(channel: C, settings: &Settings) -> Result<(), Failure> {
    const CALL: &str = "FullDuplexCall";
    let mut client = client(channel);
    let (sender, receiver) = mpsc::channel(1);
    sender
        .try_send(StreamingOutputCallRequest {
            payload: zeros(REQUESTS[0]),
            ..StreamingOutputCallRequest::default()
        })
        .map_err(|_| Failure::Mismatch {
            what: CALL.into(),
            expected: "room for the first request".into(),
            got: "none".into(),
        })?;
    let mut request = Request::new(ReceiverStream::new(receiver));
    request.set_timeout(Duration::from_millis(1));
    let call = client.full_duplex_call(request);
    // The sender lives on: the server must wait for more, not see the end of the stream.
    let result = within(CALL, settings, async {
        first(call.await?.into_inner()).await
    })
    .await?;
    expect_code(CALL, Code::DeadlineExceeded, result)?;
    drop(sender);
    Ok(())
}

fn unknown(message: &str) -> Option<EchoStatus> {
    Some(EchoStatus {
        code: Code::Unknown.into(),
        message: message.into(),
    })
}

async fn first(
    mut responses: Streaming<StreamingOutputCallResponse>,
) -> Result<Option<StreamingOutputCallResponse>, Status> {
    responses.message().await
}
