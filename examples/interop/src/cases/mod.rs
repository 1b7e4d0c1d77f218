//! The cases, a file a subject, and what they have in common.

pub(crate) mod compression;
pub(crate) mod ending;
pub(crate) mod load;
pub(crate) mod metadata;
pub(crate) mod soak;
pub(crate) mod streaming;
pub(crate) mod unary;

use std::future::Future;

use bytes::Bytes;
use tonic::{Response, Status, Streaming};

use crate::{
    Channel, Failure, Settings,
    failure::{expect_eq, expect_ok},
    proto::testing::{
        Payload, ResponseParameters, SimpleRequest, StreamingOutputCallRequest,
        StreamingOutputCallResponse, test_service_client::TestServiceClient,
    },
    wire::{Watched, Wire},
};

/// Comes back with a call's first metadata.
pub(crate) const ECHO_INITIAL: &str = "x-grpc-test-echo-initial";
/// Comes back with a call's last metadata.
pub(crate) const ECHO_TRAILING: &str = "x-grpc-test-echo-trailing-bin";
/// Carries a call's load report.
pub(crate) const LOAD_TRAILER: &str = "endpoint-load-metrics-bin";

/// Payload of a large request, in bytes.
pub(crate) const LARGE_REQUEST: usize = 271_828;
/// Payload of a large response, in bytes.
pub(crate) const LARGE_RESPONSE: i32 = 314_159;
/// Payloads of the requests of a stream, in bytes.
pub(crate) const REQUESTS: [usize; 4] = [27_182, 8, 1_828, 45_904];
/// Payloads of the responses of a stream, in bytes.
pub(crate) const RESPONSES: [i32; 4] = [31_415, 9, 2_653, 58_979];

/// A client whose responses tell what was on the wire.
pub(crate) type Client<C> = TestServiceClient<Watched<C>>;

pub(crate) fn client<C: Channel>(channel: C) -> Client<C> {
    TestServiceClient::new(Watched(channel))
}

pub(crate) fn zeros(bytes: usize) -> Option<Payload> {
    Some(Payload {
        body: Bytes::from(vec![0; bytes]),
        ..Payload::default()
    })
}

pub(crate) fn large_request() -> SimpleRequest {
    SimpleRequest {
        response_size: LARGE_RESPONSE,
        payload: zeros(LARGE_REQUEST),
        ..SimpleRequest::default()
    }
}

/// Asks for one response.
pub(crate) fn ask(request_bytes: usize, response_bytes: i32) -> StreamingOutputCallRequest {
    StreamingOutputCallRequest {
        response_parameters: vec![ResponseParameters {
            size: response_bytes,
            ..ResponseParameters::default()
        }],
        payload: zeros(request_bytes),
        ..StreamingOutputCallRequest::default()
    }
}

/// Waits no longer than the settings allow.
pub(crate) async fn within<T>(
    call: &'static str,
    settings: &Settings,
    future: impl Future<Output = T>,
) -> Result<T, Failure> {
    tokio::time::timeout(settings.patience, future)
        .await
        .map_err(|_| Failure::Silent {
            call,
            waited: settings.patience,
        })
}

/// The answer of a call that must succeed.
pub(crate) async fn answer<T>(
    call: &'static str,
    settings: &Settings,
    future: impl Future<Output = Result<T, Status>>,
) -> Result<T, Failure> {
    expect_ok(call, within(call, settings, future).await?)
}

/// The next response of a stream that must not fail.
pub(crate) async fn next(
    call: &'static str,
    settings: &Settings,
    responses: &mut Streaming<StreamingOutputCallResponse>,
) -> Result<Option<StreamingOutputCallResponse>, Failure> {
    answer(call, settings, responses.message()).await
}

/// A payload has to be zeros, this many.
pub(crate) fn expect_zeros(
    what: &'static str,
    bytes: i32,
    payload: Option<&Payload>,
) -> Result<(), Failure> {
    let body = payload.map(|payload| &payload.body[..]).unwrap_or_default();
    let expected = usize::try_from(bytes).unwrap_or(0);
    expect_eq(format!("{what}: payload bytes"), expected, body.len())?;
    let first_other = body.iter().position(|byte| *byte != 0);
    expect_eq(
        format!("{what}: first byte that is not zero"),
        None,
        first_other,
    )
}

/// What was on the wire for this response.
pub(crate) fn wire_of<T>(response: &Response<T>) -> Result<Wire, Failure> {
    response
        .extensions()
        .get()
        .cloned()
        .ok_or_else(|| Failure::Mismatch {
            what: "extensions of the response".into(),
            expected: "a record of the wire".into(),
            got: "none".into(),
        })
}
