//! What holds for any sequence of sends and takes, any header block, any stream.
#![cfg(not(loom))]

use std::collections::VecDeque;

use nowire_protocol::frame::{Frame, StreamId};
use nowire_protocol::geometry::Geometry;
use nowire_protocol::head::{self, Block, Field, Fields, TABLE};
use nowire_protocol::memory::PrivateMemory;
use nowire_protocol::ring::{Consumer, Control, Outgoing, Producer};
use nowire_protocol::stream::{Inbound, Outbound, Side};
use proptest::collection::vec;
use proptest::prelude::*;

const STREAM: StreamId = StreamId { index: 3, call: 9 };

#[derive(Clone, Debug)]
enum Step {
    Parts {
        head: Option<usize>,
        data: Option<usize>,
        tail: Option<usize>,
        end: bool,
    },
    Ping(u64),
    Take,
    Publish,
}

fn step() -> impl Strategy<Value = Step> {
    let length = || proptest::option::of(0..340_usize);
    prop_oneof![
        3 => (length(), length(), length(), any::<bool>()).prop_map(|(head, data, tail, end)| {
            // A frame carries something, and trailers end a stream.
            Step::Parts { head, data, tail, end: end || tail.is_some() || (head, data) == (None, None) }
        }),
        1 => any::<u64>().prop_map(Step::Ping),
        4 => Just(Step::Take),
        1 => Just(Step::Publish),
    ]
}

type Sent = (Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>, bool);

/// What was sent and not taken yet.
enum Expected {
    Parts(Sent),
    Ping(u64),
}

proptest! {
    #[test]
    fn frames_come_out_as_they_went_in(steps in vec(step(), 0..400)) {
        let geometry = Geometry::SMALLEST;
        let ours = PrivateMemory::zeroed(geometry.outbox_bytes());
        let theirs = PrivateMemory::zeroed(geometry.outbox_bytes());
        let mut producer = Producer::new(geometry);
        let mut consumer = Consumer::new(geometry);
        let mut expected = VecDeque::new();
        let mut byte = 0_u8;
        for step in steps {
            match step {
                Step::Parts { head, data, tail, end } => {
                    let mut bytes = |length: Option<usize>| length.map(|length| {
                        byte = byte.wrapping_add(1);
                        vec![byte; length]
                    });
                    let sent = (bytes(head), bytes(data), bytes(tail), end);
                    let parts = Outgoing {
                        head: sent.0.as_deref(),
                        data: sent.1.as_deref(),
                        tail: sent.2.as_deref(),
                        end,
                    };
                    if producer.push_parts(&ours, &theirs, STREAM, &parts).expect("an honest peer") {
                        expected.push_back(Expected::Parts(sent));
                    } else {
                        prop_assert!(!expected.is_empty(), "no room in an empty ring");
                    }
                }
                Step::Ping(token) => {
                    let ping = Control::Ping { token, answer: false };
                    if producer.push_control(&ours, &theirs, ping).expect("an honest peer") {
                        expected.push_back(Expected::Ping(token));
                    }
                }
                Step::Take => match (consumer.peek(&ours).expect("an honest peer"), expected.pop_front()) {
                    (None, None) => {
                        consumer.publish(&theirs);
                    }
                    (Some(Frame::Ping { token, answer: false }), Some(Expected::Ping(sent))) => {
                        prop_assert_eq!(token, sent);
                        consumer.advance(&theirs, 0);
                    }
                    (Some(Frame::Parts(parts)), Some(Expected::Parts((head, data, tail, end)))) => {
                        let mut payload = vec![0; parts.payload_bytes()];
                        consumer.copy_payload(&ours, &parts, &mut payload);
                        let lengths = [parts.head_bytes, parts.data_bytes, parts.tail_bytes];
                        let sent = [head, data, tail];
                        prop_assert_eq!(lengths, sent.each_ref().map(|part| part.as_ref().map(|p| p.len() as u32)));
                        prop_assert_eq!(&payload, &sent.into_iter().flatten().flatten().collect::<Vec<u8>>());
                        prop_assert_eq!((parts.stream, parts.end), (STREAM, end));
                        consumer.advance(&theirs, payload.len());
                    }
                    (frame, _) => prop_assert!(false, "not what was sent: {frame:?}"),
                },
                Step::Publish => {
                    consumer.publish(&theirs);
                }
            }
        }
        while consumer.peek(&ours).expect("an honest peer").is_some() {
            consumer.advance(&theirs, 0);
            prop_assert!(expected.pop_front().is_some(), "a frame too many");
        }
        prop_assert!(expected.is_empty(), "{} frames lost", expected.len());
        consumer.publish(&theirs);
        prop_assert!(producer.is_drained(&theirs).expect("an honest peer"));
        prop_assert!(producer.has_room_for_piece(&theirs).expect("an honest peer"));
    }

    #[test]
    fn fields_come_out_as_they_went_in(
        fields in vec((prop_oneof![0..TABLE.len(), Just(usize::MAX)], "[a-z-]{1,40}", vec(any::<u8>(), 0..90)), 0..40),
    ) {
        let mut block = Block::new();
        let mut written = Vec::new();
        for (entry, name, value) in fields {
            let name = TABLE.get(entry).map_or(name, |(name, _)| (*name).to_owned());
            // Half of the entries with a usual value get it.
            let usual = TABLE.get(entry).and_then(|(_, usual)| *usual).filter(|_| value.len() % 2 == 0);
            let value = usual.map_or(value, |usual| usual.as_bytes().to_vec());
            head::write_field(&mut block, &name, &value).expect("short enough");
            written.push((name, value));
        }
        let read: Vec<_> = Fields::new(&block)
            .map(|field| match field.expect("well formed") {
                Field::Entry(tag, value) => (TABLE[usize::from(tag) - 1].0.to_owned(), value.to_vec()),
                Field::Literal(name, value) => (String::from_utf8_lossy(name).into_owned(), value.to_vec()),
            })
            .collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn a_receiver_never_holds_more_than_its_window(
        window in 4_u32..5000,
        steps in vec((any::<bool>(), 1_u32..3000), 0..200),
    ) {
        let mut inbound = Inbound::new(STREAM, Side::Client, window);
        let mut outbound = Outbound::new(STREAM, window);
        let geometry = Geometry::SMALLEST;
        let (ours, theirs) = (PrivateMemory::zeroed(geometry.outbox_bytes()), PrivateMemory::zeroed(geometry.outbox_bytes()));
        let mut producer = Producer::new(geometry);
        let mut consumer = Consumer::new(geometry);
        let mut held = 0_u32;
        let mut first = true;
        for (sends, bytes) in steps {
            if sends {
                let bytes = bytes.min(outbound.credit_bytes() as u32).min(geometry.piece_bytes() as u32);
                outbound.spend(bytes as usize);
                let data = vec![0; bytes as usize];
                let parts = Outgoing { head: first.then_some(&[]), data: Some(&data), ..Outgoing::default() };
                first = false;
                prop_assert!(producer.push_parts(&ours, &theirs, STREAM, &parts).expect("an honest peer"));
                let Some(Frame::Parts(parts)) = consumer.peek(&ours).expect("an honest peer") else {
                    return Err(TestCaseError::fail("nothing came"));
                };
                prop_assert_eq!(inbound.accept(&parts), Ok(()));
                consumer.advance(&theirs, parts.payload_bytes());
                consumer.publish(&theirs);
                held += bytes;
            } else {
                let bytes = bytes.min(held);
                held -= bytes;
                if let Some(credit) = inbound.consume(bytes) {
                    prop_assert_eq!(outbound.grant(credit), Ok(()));
                }
            }
            prop_assert!(held <= window, "{held} bytes held of a window of {window}");
            // Whatever was consumed and not granted again is less than a quarter.
            prop_assert!(held as usize + outbound.credit_bytes() > (window - window / 4) as usize - 1);
        }
    }
}
