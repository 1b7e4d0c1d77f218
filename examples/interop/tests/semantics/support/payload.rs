//! Messages and what is in them.

use bytes::Bytes;
use nowire_interop::proto::testing::{
    Payload, SimpleRequest, StreamingInputCallRequest, StreamingInputCallResponse,
    StreamingOutputCallResponse,
};
use tonic::Response;

pub(crate) const LARGE: usize = 64 << 20;

/// One piece of a long stream.
pub(crate) const PIECE: usize = 16 << 10;

pub(crate) fn payload(body: impl Into<Bytes>) -> Option<Payload> {
    Some(Payload {
        body: body.into(),
        ..Payload::default()
    })
}

pub(crate) fn request(body: impl Into<Bytes>) -> SimpleRequest {
    SimpleRequest {
        payload: payload(body),
        ..SimpleRequest::default()
    }
}

pub(crate) fn body(payload: Option<Payload>) -> Bytes {
    payload.unwrap_or_default().body
}

pub(crate) fn down(body: impl Into<Bytes>) -> StreamingOutputCallResponse {
    StreamingOutputCallResponse {
        payload: payload(body),
    }
}

pub(crate) fn up(body: impl Into<Bytes>) -> StreamingInputCallRequest {
    StreamingInputCallRequest {
        payload: payload(body),
        ..StreamingInputCallRequest::default()
    }
}

pub(crate) fn summed(bytes: usize) -> Response<StreamingInputCallResponse> {
    Response::new(StreamingInputCallResponse {
        aggregated_payload_size: bytes.try_into().expect("tests stay below 2 GiB"),
    })
}

/// Bytes without a period that a piece boundary could hide in.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}
