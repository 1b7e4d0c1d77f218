//! Heaps that nobody can have, offered in the handshake.

use std::time::{Duration, Instant};

use nowire::{ConnectError, Keeping};
use nowire_memory::OwnedSegment;
use nowire_memory::socket;
use nowire_protocol::geometry::Geometry;
use nowire_protocol::handshake::{
    HEADER_BYTES, Header, HeapOffer, Hello, Kind, NATIVE, Refusal, VERSION, VERSIONS, Welcome,
};
use nowire_protocol::stream::Side;
use nowire_testkit::native::{NativeLie, NativeServer, NativeSteady, channel_options};
use nowire_testkit::{Failure, HostilePeer, House, warnings};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

use crate::scene::{HONEST, LIAR, PATIENCE};

const GOOD: HeapOffer = HeapOffer {
    base: 0x1000_0000_0000,
    window_bytes: 1 << 30,
    seal_from_bytes: u32::MAX,
};

/// Bytes from the end of a message at which the fields of a heap begin.
const THERE: usize = 28;
const WINDOW: usize = 24;
const BASE: usize = 16;

/// What is said instead of a good offer, and what the other side says of it.
const OFFERS: &[(usize, u64, &str)] = &[
    (WINDOW, 0, "power of two"),
    (WINDOW, 3 << 20, "power of two"),
    (WINDOW, 1 << 19, "power of two"),
    (WINDOW, 1 << 41, "power of two"),
    (WINDOW, u64::MAX, "power of two"),
    (WINDOW, 1 << 35, "peer_window_limit_bytes"),
    (BASE, 0, "multiple of the window and not 0"),
    (BASE, 0x1000_0000_1000, "multiple of the window and not 0"),
    (BASE, u64::MAX, "multiple of the window and not 0"),
    (BASE, 1 << 47, "end before address"),
    (BASE, (1 << 47) - (1 << 30), "end before address"),
    (BASE, 0xffff_ffff_c000_0000, "end before address"),
    // An address, but not one of those that heaps use.
    (BASE, 1 << 30, "not an address a heap can have"),
    (BASE, 0x5000_0000_0000, "not an address a heap can have"),
    (BASE, 0x7fff_0000_0000, "not an address a heap can have"),
];

fn hello(target: &str) -> Vec<u8> {
    let hello = Hello {
        versions: VERSIONS,
        features: NATIVE,
        outbox: Geometry::SMALLEST,
        streams: 1,
        window_bytes: 1,
        authority: String::new(),
        user_agent: String::new(),
        target: target.to_owned(),
        heap: Some(GOOD),
        references: None,
    };
    hello.encode().expect("a hello")
}

fn worse(mut message: Vec<u8>, from_end: usize, value: u64) -> Vec<u8> {
    let at = message.len() - from_end;
    message[at..at + 8].copy_from_slice(&value.to_le_bytes());
    message
}

/// Neither none nor one.
fn two_heaps(mut message: Vec<u8>) -> Vec<u8> {
    let at = message.len() - THERE;
    message[at] = 2;
    message
}

/// So many bytes, or `None` when the peer hung up.
fn read(socket: BorrowedFd<'_>, bytes: usize) -> Option<Vec<u8>> {
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = vec![0; bytes];
    let mut filled = 0;
    while filled < bytes {
        match socket::recv_with_descriptors(socket, &mut buffer[filled..], 1) {
            Ok(received) if received.bytes == 0 => return None,
            Ok(received) => filled += received.bytes,
            Err(Errno::AGAIN) => {
                assert!(Instant::now() < deadline, "no answer");
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(_) => return None,
        }
    }
    Some(buffer)
}

fn read_message(socket: BorrowedFd<'_>) -> Option<(Kind, Vec<u8>)> {
    let header = read(socket, HEADER_BYTES)?;
    let header = Header::decode(header.first_chunk()?).expect("a header");
    Some((header.kind, read(socket, header.body_bytes)?))
}

#[test]
fn a_client_with_a_heap_that_cannot_be_is_refused_with_the_reason() {
    let house = House::new();
    let _server = NativeServer::start(house.dir(), HONEST, Keeping::Copy);
    let steady = NativeSteady::start(&house, HONEST);
    let outbox = OwnedSegment::create("hostile", Geometry::SMALLEST.outbox_bytes());
    let outbox = outbox.expect("a small segment");
    let good = hello("name-honest");
    let mut messages: Vec<_> = OFFERS
        .iter()
        .map(|(at, value, reason)| (worse(good.clone(), *at, *value), *reason))
        .collect();
    messages.push((two_heaps(good.clone()), "must be 0 or 1"));
    for (message, reason) in messages {
        let socket = socket::connect(&house.dir().join("name-honest.sock")).expect("it listens");
        let sent = socket::send_with_descriptors(socket.as_fd(), &message, &[outbox.descriptor()]);
        assert_eq!(sent, Ok(message.len()));
        let (kind, body) = read_message(socket.as_fd()).expect("an answer");
        assert_eq!(kind, Kind::Refusal, "where it should say: {reason}");
        let refusal = Refusal::decode(&body).expect("a refusal");
        assert!(refusal.reason.contains(reason), "{}", refusal.reason);
    }
    steady.assert_served();
    house.assert_no_panic();
}

/// Takes the next client and answers its hello.
fn answer(listener: &OwnedFd, message: &[u8], outbox: &OwnedSegment) -> OwnedFd {
    let deadline = Instant::now() + PATIENCE;
    let socket = loop {
        match socket::accept(listener.as_fd()) {
            Ok(socket) => break socket,
            Err(_) => assert!(Instant::now() < deadline, "no client"),
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let (kind, _) = read_message(socket.as_fd()).expect("a hello");
    assert_eq!(kind, Kind::Hello);
    let sent = socket::send_with_descriptors(socket.as_fd(), message, &[outbox.descriptor()]);
    assert_eq!(sent, Ok(message.len()));
    socket
}

#[test]
fn a_server_with_a_heap_that_cannot_be_is_not_connected_to() {
    let house = House::new();
    let listener = socket::bind(&house.dir().join("name-liar.sock")).expect("a socket file");
    socket::listen(listener.as_fd(), 8).expect("listening");
    let outbox = OwnedSegment::create("hostile", Geometry::SMALLEST.outbox_bytes());
    let outbox = outbox.expect("a small segment");
    let good = Welcome {
        version: VERSION,
        features: NATIVE,
        outbox: Geometry::SMALLEST,
        streams: 1,
        window_bytes: 1,
        heap: Some(GOOD),
        references: None,
    };
    let good = good.encode().expect("a welcome");
    let mut messages: Vec<_> = OFFERS
        .iter()
        .map(|(at, value, reason)| (worse(good.clone(), *at, *value), *reason))
        .collect();
    messages.push((two_heaps(good.clone()), "must be 0 or 1"));
    for (message, reason) in messages {
        let error = std::thread::scope(|threads| {
            threads.spawn(|| answer(&listener, &message, &outbox));
            nowire::connect_with(LIAR, channel_options(house.dir(), Keeping::Copy))
                .expect_err("such a heap cannot be")
        });
        let text = error.to_string();
        assert!(text.contains(reason), "{text}");
        assert!(
            text.contains(&format!("(pid {},", std::process::id())),
            "{text}"
        );
        assert!(
            matches!(
                error,
                ConnectError::Handshake { .. }
                    | ConnectError::PeerHeap { .. }
                    | ConnectError::ServerHeap { .. }
            ),
            "{error:?}"
        );
    }
    house.assert_no_panic();
}

#[test]
fn a_server_whose_place_for_the_heap_is_taken_is_not_fooled_either() {
    let house = House::new();
    // The client's own heap is where the server would have it.
    let server = NativeServer::start(house.dir(), HONEST, Keeping::Trust);
    let steady = NativeSteady::start(&house, HONEST);
    let address = HONEST.parse().expect("an address");
    let lies = NativeLie::ALL
        .iter()
        .filter(|lie| lie.told_by.contains(&Side::Client) && !lie.in_place);
    for lie in lies {
        let before = warnings(lie.noticed_as).len();
        let peer = HostilePeer::connect_native(&address, house.dir());
        let mut peer = house.runtime().block_on(peer).expect("it takes clients");
        match lie.tell(&mut peer) {
            Ok(()) | Err(Failure::HungUp) => {}
            Err(failure) => panic!("{}: {failure}", lie.name),
        }
        let cut_off = peer.wait_for_cut_off();
        assert!(cut_off.is_ok(), "{} is not noticed", lie.name);
        let deadline = Instant::now() + PATIENCE;
        while warnings(lie.noticed_as).len() == before {
            assert!(Instant::now() < deadline, "{} is not said", lie.name);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    assert_eq!(server.surveyor.wrong(), 0);
    steady.assert_served();
    house.assert_no_panic();
}
