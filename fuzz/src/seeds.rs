//! Inputs that the fuzzer starts from, made from the code rather than kept as
//! files, so that they follow the layouts.

use nowire_protocol::frame::{
    FLAG_ANSWER, FLAG_DATA, FLAG_END, FLAG_HEAD, FLAG_INLINE, FLAG_MORE, FLAG_TAIL, FLAG_WHOLE,
    KIND_CALL, KIND_CREDIT, KIND_EXTENT, KIND_GO_AWAY, KIND_PARTS, KIND_PING, KIND_RELEASE,
    KIND_REPLY, KIND_RESET, KIND_RETIRE, KIND_SEGMENT, Message,
};
use nowire_protocol::geometry::Geometry;
use nowire_protocol::handshake::{
    HeapOffer, Hello, ReferenceOffer, Refusal, RefusalCode, VERSION, VERSIONS, Welcome,
};
use nowire_protocol::head::{TABLE, write_field};

/// Each target with its first inputs.
pub fn all() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let mut all = vec![
        ("handshake_reader", handshakes()),
        ("head_reader", heads()),
        ("native_client", crate::native::client::seeds()),
        ("native_server", crate::native::server::seeds()),
        ("references", crate::references::seeds()),
        ("ring_reader", rings()),
        ("stream_frames", streams()),
    ];
    all.extend(crate::typed::seeds::all());
    all
}

/// A hello that has everything.
pub(crate) fn hello() -> Hello {
    Hello {
        versions: VERSIONS,
        features: 0b111,
        outbox: Geometry::DEFAULT,
        streams: 100,
        window_bytes: 65_536,
        authority: "127.0.0.1:50051".to_owned(),
        user_agent: "client/1.0".to_owned(),
        target: "http://127.0.0.1:50051".to_owned(),
        heap: Some(HeapOffer {
            base: 0x1000_0000_0000,
            window_bytes: 1 << 30,
            seal_from_bytes: 65_536,
        }),
        references: Some(ReferenceOffer {
            key: *b"0123456789abcdef",
            seal_from_bytes: 65_536,
            held_limit: 256,
        }),
    }
}

/// One message of each kind.
fn handshakes() -> Vec<Vec<u8>> {
    let welcome = Welcome {
        version: VERSION,
        features: 0b111,
        outbox: Geometry::SMALLEST,
        streams: 10,
        window_bytes: 4096,
        heap: hello().heap,
        references: hello().references,
    };
    let refusal = Refusal {
        code: RefusalCode::ConnectionLimit,
        reason: "1000 connections are open".to_owned(),
    };
    vec![
        hello().encode().expect("every field is in range"),
        welcome.encode().expect("every field is in range"),
        refusal.encode(),
    ]
}

/// A request, an answer, trailers, and every entry of the table.
fn heads() -> Vec<Vec<u8>> {
    let request = [
        (":path", "/routeguide.RouteGuide/GetFeature"),
        (":authority", "127.0.0.1:50051"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", "100m"),
        ("x-trace-bin", "AAEC"),
    ];
    let answer = [(":status", "200"), ("content-type", "application/grpc")];
    let trailers = [("grpc-status", "5"), ("grpc-message", "not%20found")];
    let entries: Vec<(&str, &str)> = TABLE
        .iter()
        .map(|(name, usual)| (*name, usual.unwrap_or("value")))
        .collect();
    [&request[..], &answer, &trailers, &entries]
        .map(block)
        .into()
}

fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = nowire_protocol::head::Block::new();
    for (name, value) in fields {
        write_field(&mut block, name, value.as_bytes()).expect("short names and values");
    }
    block.into_vec()
}

/// Every kind of frame, each written by the peer and then taken.
fn rings() -> Vec<Vec<u8>> {
    const PEER: u8 = 0;
    const NEXT_SLOT: u8 = 1;
    const TAKE: u8 = 3;
    let quiet = vec![0, 0];
    let mut taken = quiet.clone();
    let others = reference_frames().into_iter().chain(native_frames());
    for frame in frames().into_iter().chain(others) {
        let has_payload = frame[0] == KIND_PARTS;
        taken.extend([PEER, NEXT_SLOT]);
        taken.extend(frame);
        taken.push(TAKE);
        if has_payload {
            // Where the payload is cut in two.
            taken.extend([7, 0]);
        }
    }
    let mut sent = quiet;
    for round in 0..12 {
        sent.extend([5, 3, 200, 1, 40]);
        sent.extend([6, 0, 1, 0, 0, 0]);
        sent.extend([5, 0x80 | round, 1, 0, 16, 0, 0, 0, 200, 0, 0, 0]);
        sent.extend([6, 3, 16, 0, 0, 0, 4, 0, 0, 0]);
        sent.extend([6, 5, 1, 16, 0, 0, 0]);
        sent.extend([
            5,
            0xe0 | round,
            1,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            16,
            0,
            0,
            0,
            200,
            0,
        ]);
        sent.extend([PEER, 2, 2 * round]);
        sent.push(7);
    }
    vec![taken, sent]
}

/// A whole call from a client, and one from a server.
fn streams() -> Vec<Vec<u8>> {
    [0, 1]
        .map(|side| {
            let mut input = vec![side];
            let mut call = frames();
            call.splice(3..3, reference_frames());
            for (number, frame) in call.into_iter().enumerate() {
                input.push(0);
                input.extend(frame);
                if number == 0 {
                    input.extend(4096u32.to_le_bytes());
                }
                input.extend([0xc0, 16, 0, 16, 0]);
            }
            input
        })
        .into()
}

/// Frames as `slot::write` reads them, in an order that is right for a server.
fn frames() -> Vec<Vec<u8>> {
    vec![
        frame(KIND_PARTS, FLAG_HEAD | FLAG_INLINE, [0, 20, 0, 0]),
        frame(KIND_CREDIT, 0, [1000, 0, 0, 0]),
        frame(KIND_PARTS, FLAG_DATA, [64, 0, 1024, 0]),
        frame(KIND_PING, FLAG_ANSWER, [7, 7, 0, 0]),
        frame(KIND_PARTS, FLAG_DATA | FLAG_INLINE, [0, 0, 32, 0]),
        frame(KIND_PARTS, FLAG_TAIL | FLAG_END, [4000, 0, 0, 90]),
        frame(KIND_GO_AWAY, 0, [0; 4]),
        frame(KIND_RESET, 0, [1, 0, 0, 0]),
    ]
}

/// Frames of references, likewise.
fn reference_frames() -> Vec<Vec<u8>> {
    let extent = |flags: u8, descriptor: u16| {
        let mut frame = frame(KIND_EXTENT, flags, [5, 0, 4096, 8192]);
        frame.extend(descriptor.to_le_bytes());
        frame.push(0);
        frame
    };
    vec![
        extent(FLAG_MORE | FLAG_WHOLE, 0),
        extent(FLAG_WHOLE, 1),
        extent(0, 0),
    ]
}

/// Frames of native calls, likewise.
fn native_frames() -> Vec<Vec<u8>> {
    let native = |mut frame: Vec<u8>, stream: u8, code: u16, half: [u64; 4]| {
        frame[3] = stream;
        frame.extend(code.to_le_bytes());
        frame.extend(half.into_iter().flat_map(u64::to_le_bytes));
        frame
    };
    let pointer = [0x1000_0000_1000, 0, 0, 0];
    let call = frame(KIND_CALL, Message::AHEAD | Message::ITEM, [250, 0, 16, 200]);
    let reply = frame(KIND_REPLY, Message::KEPT | Message::FAILED, [0, 0, 3, 90]);
    let lent = frame(KIND_REPLY, Message::LENT | Message::KEPT, [0, 0, 3, 0]);
    vec![
        native(lent, 1, 5, pointer),
        native(frame(KIND_SEGMENT, 0, [16, 16, 0, 0]), 0, 0, [0; 4]),
        native(call, 1, 2, pointer),
        native(frame(KIND_CALL, Message::END, [0; 4]), 1, 2, [0; 4]),
        native(reply, 1, 5, pointer),
        native(frame(KIND_RELEASE, 5, [1, 2, 3, 4]), 0, 0, [5, 0, 0, 0]),
        native(frame(KIND_RETIRE, 0, [16, 0, 0, 0]), 0, 0, [0; 4]),
    ]
}

fn frame(kind: u8, flags: u8, lengths: [u16; 4]) -> Vec<u8> {
    let mut bytes = vec![kind, flags, 0, 1];
    bytes.extend(lengths.into_iter().flat_map(u16::to_le_bytes));
    bytes
}
