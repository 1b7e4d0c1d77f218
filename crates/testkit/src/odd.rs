//! Requests and answers that the protocol allows and no client or server of good
//! sense would send: what is above the protocol has to bear them.

use std::sync::atomic::{AtomicUsize, Ordering};

use nowire_protocol::frame::{Frame, StreamId};
use nowire_protocol::ring::Outgoing;

use crate::blocks::{field, literal, message, ok_trailers, request_to, response_block};
use crate::hostile::{Failure, HostilePeer};

/// What one odd request or answer consists of.
#[derive(Clone, Debug, Default)]
struct Odd {
    head: Vec<u8>,
    data: Vec<u8>,
    tail: Vec<u8>,
}

const UNARY: &[u8] = b"/grpc.testing.TestService/UnaryCall";

fn with(mut block: Vec<u8>, fields: &[(&str, &[u8])]) -> Vec<u8> {
    for (name, value) in fields {
        if name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || b"-:".contains(&byte))
        {
            field(&mut block, name, value);
        } else {
            literal(&mut block, name.as_bytes(), value);
        }
    }
    block
}

/// Bytes that are no gRPC message, or not a good one.
fn odd_data() -> Vec<Vec<u8>> {
    let mut compressed = message(b"not compressed at all");
    compressed[0] = 1;
    let mut unknown = message(b"x");
    unknown[0] = 255;
    vec![
        Vec::new(),
        b"\0".to_vec(),
        b"\0\0\0\0".to_vec(),
        b"\0\xff\xff\xff\xff".to_vec(),
        b"\0\0\xff\xff\xffshort".to_vec(),
        compressed,
        unknown,
        message(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        message(b"\x0a\xff\xff\xff\xff\x0f"),
        [message(b""), message(b"")].concat(),
        [message(b""), b"\0\0".to_vec()].concat(),
        vec![0x5a; 3000],
    ]
}

fn odd_requests() -> Vec<Odd> {
    let paths: &[&[u8]] = &[
        b"",
        b"*",
        b"/",
        b"//",
        b"/a",
        b"a/b",
        b"?",
        b"/?x=/y",
        b"/%zz/%",
        b"/a/b#c",
        b"/\xc3\xa9/b",
        b"/{x}/{*y}",
        b"/../..",
        b"http://elsewhere/a/b",
        &[b'/'; 9000],
    ];
    let fields: &[&[(&str, &[u8])]] = &[
        &[(":authority", b"")],
        &[(":authority", b"user:pass@host:99999")],
        &[(":authority", b"[::1")],
        &[(":authority", b":0")],
        &[("grpc-timeout", b"0n")],
        &[("grpc-timeout", b"99999999H")],
        &[("grpc-timeout", b"\xff")],
        &[("grpc-encoding", b"gzip")],
        &[("grpc-encoding", b"\xff\xfe")],
        &[("grpc-accept-encoding", b",,gzip,\xff")],
        &[("content-type", b"text/html"), ("content-type", b"")],
        &[("x-data-bin", b"*** not base64 ***")],
        &[("interop-echo-bin", b"!")],
        &[("connection", b"close"), ("transfer-encoding", b"chunked")],
        &[("content-length", b"99999999999999999999")],
        &[("host", b"\xff"), ("cookie", b"")],
        &[("a!#$%&'*+.^`|~9", b"\t\xff")],
    ];
    let data = message(b"");
    let mut all = Vec::new();
    for path in paths {
        all.push(Odd {
            head: request_to(path),
            data: data.clone(),
            ..Odd::default()
        });
    }
    for fields in fields {
        all.push(Odd {
            head: with(request_to(UNARY), fields),
            data: data.clone(),
            ..Odd::default()
        });
    }
    for data in odd_data() {
        let head = request_to(UNARY);
        all.push(Odd {
            head: with(head.clone(), &[("grpc-encoding", b"gzip")]),
            data: data.clone(),
            ..Odd::default()
        });
        all.push(Odd {
            head,
            data,
            ..Odd::default()
        });
    }
    let many: Vec<(&str, &[u8])> = vec![("x-same", b""); 1020];
    all.push(Odd {
        head: with(request_to(UNARY), &many),
        data,
        ..Odd::default()
    });
    all
}

fn odd_answers() -> Vec<Odd> {
    let tails: &[&[(&str, &[u8])]] = &[
        &[],
        &[("grpc-status", b"")],
        &[("grpc-status", b"99")],
        &[("grpc-status", b"-1")],
        &[("grpc-status", b"\xff\xff")],
        &[("grpc-status", b"0"), ("grpc-status", b"13")],
        &[("grpc-status", b"13"), ("grpc-message", b"%zz%\xff")],
        &[("grpc-status", b"13"), ("grpc-message", b"%ff%fe%00")],
        &[("grpc-status", b"13"), ("grpc-status-details-bin", b"")],
        &[("grpc-status", b"13"), ("grpc-status-details-bin", b"/w")],
        &[("grpc-status", b"13"), ("x-data-bin", b"***")],
        &[("grpc-message", b"no status")],
    ];
    let heads: &[&[(&str, &[u8])]] = &[
        &[(":status", b"100")],
        &[(":status", b"204")],
        &[(":status", b"404")],
        &[(":status", b"999")],
        &[("content-type", b"text/html")],
        &[("grpc-encoding", b"gzip")],
        &[("grpc-encoding", b"\xff")],
        &[("grpc-status", b"0")],
        &[("grpc-status", b"x"), ("grpc-message", b"\xff")],
        &[("x-data-bin", b"***")],
        &[("content-length", b"-1")],
    ];
    let data = message(b"");
    let mut all = vec![Odd {
        tail: ok_trailers(),
        ..Odd::default()
    }];
    for tail in tails {
        all.push(Odd {
            head: response_block(),
            data: data.clone(),
            tail: with(Vec::new(), tail),
        });
    }
    for head in heads {
        all.push(Odd {
            head: with(response_block(), head),
            data: data.clone(),
            tail: ok_trailers(),
        });
    }
    for data in odd_data() {
        for head in [&[][..], &[("grpc-encoding", &b"gzip"[..])]] {
            all.push(Odd {
                head: with(response_block(), head),
                data: data.clone(),
                tail: ok_trailers(),
            });
        }
    }
    all
}

/// Sends the odd request of this number and takes what comes of it.
pub(crate) fn request(peer: &mut HostilePeer, number: u64) -> Result<(), Failure> {
    let requests = odd_requests();
    let odd = &requests[number as usize % requests.len()];
    let stream = StreamId { index: 0, call: 1 };
    let parts = Outgoing {
        head: Some(&odd.head),
        data: (!odd.data.is_empty()).then_some(&odd.data),
        end: true,
        ..Outgoing::default()
    };
    peer.send(stream, &parts)?;
    peer.take_until(|frame| match frame {
        Frame::Parts(parts) => parts.stream == stream && parts.end,
        Frame::Reset { stream: reset, .. } => *reset == stream,
        _ => false,
    })
    .map(drop)
}

/// Gives a call the next odd answer; some of them cost the connection.
pub(crate) fn answer(peer: &mut HostilePeer, stream: StreamId) -> Result<(), Failure> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let answers = odd_answers();
    let odd = &answers[NEXT.fetch_add(1, Ordering::Relaxed) % answers.len()];
    let parts = Outgoing {
        head: Some(&odd.head),
        data: (!odd.data.is_empty()).then_some(&odd.data),
        tail: Some(&odd.tail),
        end: true,
    };
    peer.send(stream, &parts)
}
