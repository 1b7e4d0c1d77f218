use nowire_protocol::handshake::{
    HEADER_BYTES, Header, HeapOffer, Hello, Kind, MESSAGE_LIMIT_BYTES, NATIVE, Refusal, STREAMS,
    TEXT_LIMIT_BYTES, VERSIONS, WINDOW_BYTES, Welcome,
};

use crate::seeds;

/// A header and a body as somebody may have sent them, the body read as each of
/// the messages it could be. What can be read keeps to the limits of the
/// protocol and to what was asked for, and means the same after it was written
/// by us.
pub fn handshake_reader(input: &[u8]) {
    let Some((header, body)) = input.split_first_chunk::<HEADER_BYTES>() else {
        return;
    };
    if let Ok(header) = Header::decode(header) {
        assert!(HEADER_BYTES + header.body_bytes <= MESSAGE_LIMIT_BYTES);
    }
    hello(body);
    welcome(body);
    refusal(body);
}

fn hello(body: &[u8]) {
    let Ok(hello) = Hello::decode(body) else {
        return;
    };
    assert!(
        VERSIONS
            .into_iter()
            .any(|version| hello.versions.contains(&version))
    );
    assert!(STREAMS.contains(&hello.streams));
    assert!(WINDOW_BYTES.contains(&hello.window_bytes));
    for text in [&hello.authority, &hello.user_agent, &hello.target] {
        assert_plain(text);
    }
    assert_heap(hello.heap, hello.features);
    let again = hello.encode().expect("what was read can be written");
    assert_eq!(Hello::decode(body_of(&again, Kind::Hello)), Ok(hello));
}

fn welcome(body: &[u8]) {
    let asked = seeds::hello();
    let Ok(welcome) = Welcome::decode(body, &asked) else {
        return;
    };
    assert!(asked.versions.contains(&welcome.version));
    assert_eq!(welcome.features & !asked.features, 0);
    assert!((1..=asked.streams).contains(&welcome.streams));
    assert!(WINDOW_BYTES.contains(&welcome.window_bytes));
    assert_heap(welcome.heap, welcome.features);
    let again = welcome.encode().expect("what was read can be written");
    let read = Welcome::decode(body_of(&again, Kind::Welcome), &asked);
    assert_eq!(read, Ok(welcome));
}

fn refusal(body: &[u8]) {
    let Ok(refusal) = Refusal::decode(body) else {
        return;
    };
    assert_plain(&refusal.reason);
    let again = refusal.encode();
    assert_eq!(Refusal::decode(body_of(&again, Kind::Refusal)), Ok(refusal));
}

/// The body of a message of ours, whose header is right.
fn body_of(message: &[u8], kind: Kind) -> &[u8] {
    let (header, body) = message
        .split_first_chunk::<HEADER_BYTES>()
        .expect("a message begins with a header");
    let body_bytes = body.len();
    assert_eq!(Header::decode(header), Ok(Header { kind, body_bytes }));
    body
}

/// A heap that some process can have, in a message that may name one.
fn assert_heap(heap: Option<HeapOffer>, features: u64) {
    let Some(heap) = heap else {
        return;
    };
    assert_ne!(features & NATIVE, 0);
    assert!(heap.window_bytes.is_power_of_two());
    assert!(HeapOffer::WINDOW_BYTES.contains(&heap.window_bytes));
    assert!(heap.base != 0 && heap.base.is_multiple_of(heap.window_bytes));
    let end = heap.base.checked_add(heap.window_bytes);
    assert!(end.is_some_and(|end| end < HeapOffer::ADDRESS_LIMIT));
}

/// Fit for a log and for a terminal.
fn assert_plain(text: &str) {
    assert!(text.len() <= TEXT_LIMIT_BYTES);
    assert!(!text.contains(char::is_control), "{text:?}");
}
