//! What honest calls consist of: header blocks and messages.

use nowire_protocol::head;
use nowire_protocol::ring::Outgoing;
use nowire_protocol::stream::Side;

/// A method of the interoperability service whose calls stay open.
const OPEN_METHOD: &[u8] = b"/grpc.testing.TestService/FullDuplexCall";

pub(crate) fn field(block: &mut Vec<u8>, name: &str, value: &[u8]) {
    let mut written = head::Block::new();
    head::write_field(&mut written, name, value).expect("short enough");
    block.extend_from_slice(&written);
}

/// The header block of a request to `path`.
pub fn request_to(path: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    field(&mut block, ":path", path);
    field(&mut block, "content-type", b"application/grpc");
    field(&mut block, "te", b"trailers");
    block
}

pub(crate) fn response_block() -> Vec<u8> {
    let mut block = Vec::new();
    field(&mut block, "content-type", b"application/grpc");
    block
}

pub(crate) fn ok_trailers() -> Vec<u8> {
    let mut block = Vec::new();
    field(&mut block, "grpc-status", b"0");
    block
}

/// The header block and the trailer block of an answer that went well.
pub fn answer_blocks() -> (Vec<u8>, Vec<u8>) {
    (response_block(), ok_trailers())
}

pub(crate) fn literal(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    block.extend_from_slice(&[0xff, name.len() as u8]);
    block.extend_from_slice(name);
    block.extend_from_slice(&(value.len() as u16).to_le_bytes());
    block.extend_from_slice(value);
}

pub(crate) fn head_only(head: &[u8]) -> Outgoing<'_> {
    Outgoing {
        head: Some(head),
        ..Outgoing::default()
    }
}

/// A request for one byte after a minute: its call is open until then.
pub(crate) fn late_answer() -> Vec<u8> {
    answers(1, 1, 60_000_000)
}

/// A request for so many answers of so many bytes.
pub(crate) fn many_answers(count: usize, bytes: i32) -> Vec<u8> {
    answers(count, bytes, 0)
}

fn answers(count: usize, bytes: i32, interval_us: i32) -> Vec<u8> {
    use nowire_interop::proto::testing::{ResponseParameters, StreamingOutputCallRequest};
    let one = ResponseParameters {
        size: bytes,
        interval_us,
        ..ResponseParameters::default()
    };
    let request = StreamingOutputCallRequest {
        response_parameters: vec![one; count],
        ..StreamingOutputCallRequest::default()
    };
    message(&prost::Message::encode_to_vec(&request))
}

/// A gRPC message: not compressed, its length, its bytes.
pub fn message(bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![0];
    message.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    message.extend_from_slice(bytes);
    message
}

/// The header block of a call that stays open.
pub(crate) fn request_block() -> Vec<u8> {
    request_to(OPEN_METHOD)
}

/// The header block with which this side begins.
pub(crate) fn own_block(side: Side) -> Vec<u8> {
    match side {
        Side::Client => request_block(),
        Side::Server => response_block(),
    }
}
