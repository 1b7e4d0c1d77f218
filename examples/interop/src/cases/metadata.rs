//! Metadata there and back.

use tonic::{
    Request,
    metadata::{AsciiMetadataValue, BinaryMetadataValue},
};

use super::{
    ECHO_INITIAL, ECHO_TRAILING, LARGE_REQUEST, LARGE_RESPONSE, answer, ask, client, expect_zeros,
    large_request, next, wire_of,
};
use crate::{Channel, Failure, Settings, failure::expect_eq, wire::Wire};

const INITIAL: &str = "test_initial_metadata_value";
const TRAILING: &[u8] = &[0xab, 0xab, 0xab];

pub(crate) async fn custom<C: Channel>(channel: C, settings: &Settings) -> Result<(), Failure> {
    let mut client = client(channel);

    let call = client.unary_call(with_metadata(large_request()));
    let response = answer("UnaryCall", settings, call).await?;
    expect_echo("UnaryCall", &wire_of(&response)?)?;
    let payload = response.into_inner().payload;
    expect_zeros("UnaryCall", LARGE_RESPONSE, payload.as_ref())?;

    let requests = tokio_stream::once(ask(LARGE_REQUEST, LARGE_RESPONSE));
    let call = client.full_duplex_call(with_metadata(requests));
    let response = answer("FullDuplexCall", settings, call).await?;
    let wire = wire_of(&response)?;
    let mut responses = response.into_inner();
    let first = next("FullDuplexCall", settings, &mut responses).await?;
    let payload = first.and_then(|response| response.payload);
    expect_zeros("FullDuplexCall", LARGE_RESPONSE, payload.as_ref())?;
    let second = next("FullDuplexCall", settings, &mut responses).await?;
    expect_eq("FullDuplexCall: a second response", None, second)?;
    expect_echo("FullDuplexCall", &wire)
}

fn with_metadata<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert(ECHO_INITIAL, AsciiMetadataValue::from_static(INITIAL));
    metadata.insert_bin(ECHO_TRAILING, BinaryMetadataValue::from_bytes(TRAILING));
    request
}

fn expect_echo(call: &str, wire: &Wire) -> Result<(), Failure> {
    let initial = wire.initial();
    let initial = initial.get(ECHO_INITIAL).map(AsciiMetadataValue::as_bytes);
    expect_eq(
        format!("{call}: first metadata {ECHO_INITIAL}"),
        Some(INITIAL.as_bytes()),
        initial,
    )?;
    let trailing = wire.trailing();
    let trailing = trailing
        .get_bin(ECHO_TRAILING)
        .and_then(|value| value.to_bytes().ok());
    expect_eq(
        format!("{call}: last metadata {ECHO_TRAILING}"),
        Some(TRAILING),
        trailing.as_deref(),
    )
}
