//! Peers that know nothing of references.

use std::time::{Duration, Instant};

use nowire_memory::{OwnedSegment, PeerSegment, socket};
use nowire_protocol::frame::Frame;
use nowire_protocol::geometry::Geometry;
use nowire_protocol::handshake::{
    HEADER_BYTES, Header, Hello, Kind, REFERENCES, VERSION, VERSIONS, Welcome,
};
use nowire_protocol::ring::Outgoing;
use nowire_protocol::stream::Side;
use nowire_testkit::depot::{Order, Parcel, Receipt, is_made_of};
use nowire_testkit::{HostilePeer, message};
use prost::Message;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

use crate::liar::Liar;
use crate::messages::PlainParcel;
use crate::scene::{DEPOT, PATIENCE, Yard, client, depot, reference};

const BYTES: usize = 50_000;

/// So many bytes, and the descriptor that may come with them.
fn read(socket: BorrowedFd<'_>, bytes: usize) -> (Vec<u8>, Option<OwnedFd>) {
    let deadline = Instant::now() + PATIENCE;
    let mut buffer = vec![0; bytes];
    let mut descriptor = None;
    let mut filled = 0;
    while filled < bytes {
        match socket::recv_with_descriptors(socket, &mut buffer[filled..], 1) {
            Ok(received) => {
                assert!(received.bytes > 0, "it hung up");
                filled += received.bytes;
                descriptor = received.descriptors.into_iter().next().or(descriptor);
            }
            Err(Errno::AGAIN) => {
                assert!(Instant::now() < deadline, "no answer");
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => panic!("{error}"),
        }
    }
    (buffer, descriptor)
}

/// A message of the handshake, and the outbox that came with it.
fn read_message(socket: BorrowedFd<'_>, kind: Kind) -> (Vec<u8>, OwnedFd) {
    let (header, descriptor) = read(socket, HEADER_BYTES);
    let header = Header::decode(header.first_chunk().expect("a header")).expect("a header");
    assert_eq!(header.kind, kind);
    let (body, _) = read(socket, header.body_bytes);
    (body, descriptor.expect("an outbox"))
}

fn hello() -> Hello {
    Hello {
        versions: VERSIONS,
        features: 0,
        outbox: Geometry::DEFAULT,
        streams: 64,
        window_bytes: 256 << 10,
        authority: String::new(),
        user_agent: "old".to_owned(),
        target: "name-depot".to_owned(),
        heap: None,
        references: None,
    }
}

fn outbox() -> OwnedSegment {
    OwnedSegment::create("old", Geometry::DEFAULT.outbox_bytes()).expect("room")
}

#[test]
fn a_client_that_knows_no_references_gets_and_sends_plain_bytes() {
    let house = Yard::new();
    let mut program = depot(&house, &format!("at={DEPOT}"));
    let socket = socket::connect(&house.dir().join("name-depot.sock")).expect("it listens");
    let (hello, outbox) = (hello(), outbox());
    let said = hello.encode().expect("a hello");
    let sent = socket::send_with_descriptors(socket.as_fd(), &said, &[outbox.descriptor()]);
    assert_eq!(sent, Ok(said.len()));
    let (welcome, inbox) = read_message(socket.as_fd(), Kind::Welcome);
    let welcome = Welcome::decode(&welcome, &hello).expect("a welcome");
    assert_eq!((welcome.features, welcome.references), (0, None));
    let inbox = PeerSegment::map(inbox, welcome.outbox.outbox_bytes()).expect("an outbox");
    let mut old = Liar::new(HostilePeer::by_hand(
        Side::Client,
        socket,
        (outbox, hello.outbox),
        (inbox, welcome.outbox),
        (welcome.streams, welcome.window_bytes),
    ));

    let order = Order {
        seed: 1,
        count: 2,
        bytes: BYTES as u64,
        ..Order::default()
    };
    let stream = old.stream();
    old.begin(stream, "Unload", &order.encode_to_vec())
        .expect("it is well");
    let answer = old.answer(stream);
    assert!(answer.extents.is_empty(), "{:?}", answer.extents);
    let mut rest = &answer.data[..];
    for seed in 1..=2 {
        let length = u32::from_be_bytes(*rest[1..].first_chunk().expect("a message"));
        let (one, after) = rest[5..].split_at(length as usize);
        rest = after;
        let plain = PlainParcel::decode(one).expect("a parcel");
        assert_eq!(plain.seed, seed);
        assert!(is_made_of(seed, &plain.content.expect("made").data));
    }
    assert!(rest.is_empty());
    assert_eq!(program.ask("misbehaved"), "0");
}

#[test]
fn a_server_that_knows_no_references_is_sent_plain_bytes() {
    let house = Yard::new();
    let path = house.dir().join("name-depot.sock");
    let listener = socket::bind(&path).expect("a socket file");
    socket::listen(listener.as_fd(), 8).expect("listening");
    let mut client = client(&house, DEPOT, "");
    let calling = house
        .runtime()
        .spawn(async move { client.store(Parcel::of(1, reference(1, BYTES))).await });
    let deadline = Instant::now() + PATIENCE;
    let socket = loop {
        match socket::accept(listener.as_fd()) {
            Ok(socket) => break socket,
            Err(_) => assert!(Instant::now() < deadline, "no client"),
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let (said, inbox) = read_message(socket.as_fd(), Kind::Hello);
    let hello = Hello::decode(&said).expect("a hello");
    assert_ne!(hello.features & REFERENCES, 0, "it would take some");
    let inbox = PeerSegment::map(inbox, hello.outbox.outbox_bytes()).expect("an outbox");
    let outbox = outbox();
    let welcome = Welcome {
        version: VERSION,
        features: 0,
        outbox: Geometry::DEFAULT,
        streams: 64,
        window_bytes: 256 << 10,
        heap: None,
        references: None,
    };
    let said = welcome.encode().expect("a welcome");
    let sent = socket::send_with_descriptors(socket.as_fd(), &said, &[outbox.descriptor()]);
    assert_eq!(sent, Ok(said.len()));
    let mut old = HostilePeer::by_hand(
        Side::Server,
        socket,
        (outbox, welcome.outbox),
        (inbox, hello.outbox),
        (welcome.streams, hello.window_bytes),
    );

    let mut data = Vec::new();
    let stream = loop {
        let taken = old.take_until(|_| true).expect("a call");
        match taken.frame {
            Frame::Parts(parts) => {
                let head = parts.head_bytes.unwrap_or(0) as usize;
                data.extend(&taken.payload[head..]);
                if parts.end {
                    break parts.stream;
                }
            }
            other => panic!("{other:?}"),
        }
    };
    assert!(old.take_descriptors().is_empty());
    let plain = PlainParcel::decode(&data[5..]).expect("a parcel");
    assert!(is_made_of(1, &plain.content.expect("sent").data));
    let receipt = Receipt {
        blobs: 1,
        ..Receipt::default()
    };
    let (head, tail) = nowire_testkit::answer_blocks();
    let answer = message(&receipt.encode_to_vec());
    let parts = Outgoing {
        head: Some(&head),
        data: Some(&answer),
        tail: Some(&tail),
        end: true,
    };
    old.send(stream, &parts).expect("it is well");
    let answered = house.runtime().block_on(calling).expect("no panic");
    assert_eq!(answered.expect("served").into_inner().blobs, 1);
}
