//! Compressed and plain messages, seen by the flag on each.

use tonic::{Code, Request, codec::CompressionEncoding::Gzip};

use super::{
    LARGE_RESPONSE, answer, client, expect_zeros, large_request, next, wire_of, within, zeros,
};
use crate::{
    Channel, Failure, Settings,
    compression::Wishes,
    failure::{expect_code, expect_eq},
    proto::testing::{
        BoolValue, ResponseParameters, SimpleRequest, StreamingInputCallRequest,
        StreamingOutputCallRequest,
    },
};

pub(crate) async fn client_unary<C: Channel>(
    channel: C,
    settings: &Settings,
) -> Result<(), Failure> {
    let request = |expect_compressed| SimpleRequest {
        expect_compressed: Some(BoolValue {
            value: expect_compressed,
        }),
        ..large_request()
    };
    let mut plain = client(channel);
    let mut compressing = plain.clone().send_compressed(Gzip);

    let probe = within(
        "UnaryCall (probe)",
        settings,
        plain.unary_call(request(true)),
    )
    .await?;
    expect_code("UnaryCall (probe)", Code::InvalidArgument, probe)?;

    let call = compressing.unary_call(request(true));
    let response = answer("UnaryCall (compressed)", settings, call).await?;
    let payload = response.into_inner().payload;
    expect_zeros("UnaryCall (compressed)", LARGE_RESPONSE, payload.as_ref())?;

    let call = plain.unary_call(request(false));
    let response = answer("UnaryCall (plain)", settings, call).await?;
    let payload = response.into_inner().payload;
    expect_zeros("UnaryCall (plain)", LARGE_RESPONSE, payload.as_ref())
}

pub(crate) async fn server_unary<C: Channel>(
    channel: C,
    settings: &Settings,
) -> Result<(), Failure> {
    let mut client = client(channel).accept_compressed(Gzip);
    for wish in [true, false] {
        let call = client.unary_call(SimpleRequest {
            response_compressed: Some(BoolValue { value: wish }),
            ..large_request()
        });
        let response = answer("UnaryCall", settings, call).await?;
        let compressed = wire_of(&response)?.take_compressed();
        expect_eq(
            format!("UnaryCall: compressed flag with response_compressed {wish}"),
            Some(wish),
            compressed,
        )?;
        let payload = response.into_inner().payload;
        expect_zeros("UnaryCall", LARGE_RESPONSE, payload.as_ref())?;
    }
    Ok(())
}

pub(crate) async fn client_streaming<C: Channel>(
    channel: C,
    settings: &Settings,
) -> Result<(), Failure> {
    const AGGREGATED: i32 = 73_086;
    let message = |expect_compressed, bytes| StreamingInputCallRequest {
        payload: zeros(bytes),
        expect_compressed: Some(BoolValue {
            value: expect_compressed,
        }),
    };
    let mut plain = client(channel);
    let mut compressing = plain.clone().send_compressed(Gzip);

    let probe = plain.streaming_input_call(tokio_stream::once(message(true, 27_182)));
    let probe = within("StreamingInputCall (probe)", settings, probe).await?;
    expect_code("StreamingInputCall (probe)", Code::InvalidArgument, probe)?;

    let messages = [message(true, 27_182), message(false, 45_904)];
    let mut request = Request::new(tokio_stream::iter(messages));
    request.extensions_mut().insert(Wishes::new([true, false]));
    let call = compressing.streaming_input_call(request);
    let response = answer("StreamingInputCall", settings, call).await?;
    expect_eq(
        "StreamingInputCall: aggregated_payload_size",
        AGGREGATED,
        response.into_inner().aggregated_payload_size,
    )
}

pub(crate) async fn server_streaming<C: Channel>(
    channel: C,
    settings: &Settings,
) -> Result<(), Failure> {
    const CALL: &str = "StreamingOutputCall";
    const WISHES: [(bool, i32); 2] = [(true, 31_415), (false, 92_653)];
    let mut client = client(channel).accept_compressed(Gzip);
    let parameters = WISHES.map(|(wish, size)| ResponseParameters {
        size,
        compressed: Some(BoolValue { value: wish }),
        ..ResponseParameters::default()
    });
    let call = client.streaming_output_call(StreamingOutputCallRequest {
        response_parameters: parameters.into(),
        ..StreamingOutputCallRequest::default()
    });
    let response = answer(CALL, settings, call).await?;
    let wire = wire_of(&response)?;
    let mut responses = response.into_inner();
    for (wish, bytes) in WISHES {
        let response = next(CALL, settings, &mut responses)
            .await?
            .unwrap_or_default();
        expect_zeros(CALL, bytes, response.payload.as_ref())?;
        expect_eq(
            format!("{CALL}: compressed flag with compressed {wish}"),
            Some(wish),
            wire.take_compressed(),
        )?;
    }
    let more = next(CALL, settings, &mut responses).await?;
    expect_eq(format!("{CALL}: a third response"), None, more)
}
