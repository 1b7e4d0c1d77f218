//! What holds for any sequence of sends and takes, any header block, any stream.
#![cfg(not(loom))]

use std::collections::VecDeque;

use nowire_protocol::frame::{Extent, Frame, Message, MessageKind, Pages, RELEASE_PAGES, StreamId};
use nowire_protocol::geometry::{Geometry, RING_OFFSET, SLOT_BYTES};
use nowire_protocol::head::{self, Block, Field, Fields, TABLE};
use nowire_protocol::memory::{PrivateMemory, ReadMemory, WriteMemory};
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
    Native(Native),
    Take,
    Publish,
}

#[derive(Clone, Copy, Debug)]
enum Native {
    Message(MessageKind, Message),
    Control(Control),
    Extent(Extent),
}

impl Native {
    fn push(self, producer: &mut Producer, ours: &PrivateMemory, theirs: &PrivateMemory) -> bool {
        match self {
            Self::Message(kind, message) => producer.push_message(ours, theirs, kind, &message),
            Self::Control(control) => producer.push_control(ours, theirs, control),
            Self::Extent(extent) => producer.push_extents(ours, theirs, [extent].into_iter()),
        }
        .expect("an honest peer")
    }

    /// As it comes out; nothing of a release without pages.
    fn frame(self) -> Option<Frame> {
        Some(match self {
            Self::Message(MessageKind::Call, message) => Frame::Call(message),
            Self::Message(MessageKind::Reply, message) => Frame::Reply(message),
            Self::Control(Control::Segment { page, pages }) => Frame::Segment { page, pages },
            Self::Control(Control::Retire { page }) => Frame::Retire { page },
            Self::Control(Control::Release(pages)) if pages.is_empty() => return None,
            Self::Control(Control::Release(pages)) => Frame::Release(pages),
            Self::Extent(extent) => Frame::Extent(extent),
            Self::Control(other) => panic!("not of native calls: {other:?}"),
        })
    }

    fn of(frame: Frame) -> Self {
        match frame {
            Frame::Call(message) => Self::Message(MessageKind::Call, message),
            Frame::Reply(message) => Self::Message(MessageKind::Reply, message),
            Frame::Segment { page, pages } => Self::Control(Control::Segment { page, pages }),
            Frame::Retire { page } => Self::Control(Control::Retire { page }),
            Frame::Release(pages) => Self::Control(Control::Release(pages)),
            Frame::Extent(extent) => Self::Extent(extent),
            other => panic!("not of native calls: {other:?}"),
        }
    }
}

fn native() -> impl Strategy<Value = Native> {
    let both = Message::AHEAD | Message::ITEM;
    let message = (
        any::<[u32; 5]>(),
        any::<u16>(),
        any::<u8>(),
        any::<[u64; 4]>(),
        any::<bool>(),
    );
    let message = message.prop_map(move |(words, code, flags, inline, calls)| {
        let [index, call, timeout_us, page, bytes] = words;
        let message = Message {
            stream: StreamId { index, call },
            flags,
            code,
            timeout_us,
            page,
            bytes,
            inline,
        };
        if calls {
            let flags = flags & (both | Message::END);
            Native::Message(MessageKind::Call, Message { flags, ..message })
        } else {
            let mut flags = flags & (both | Message::KEPT | Message::FAILED | Message::LENT);
            let lent = flags & Message::LENT != 0;
            if lent {
                flags &= !Message::FAILED;
            }
            let timeout_us = 0;
            let bytes = if lent { 0 } else { bytes };
            Native::Message(
                MessageKind::Reply,
                Message {
                    flags,
                    timeout_us,
                    bytes,
                    ..message
                },
            )
        }
    });
    let release = vec(any::<u32>(), 0..=RELEASE_PAGES).prop_map(|numbers| {
        let mut pages = Pages::new();
        assert!(numbers.into_iter().all(|number| pages.push(number)));
        Control::Release(pages)
    });
    let segment = (any::<u32>(), any::<u32>()).prop_map(|(page, pages)| Control::Segment {
        page: page.min(u32::MAX - 1),
        pages: pages.clamp(1, u32::MAX - page.min(u32::MAX - 1)),
    });
    let retire = any::<u32>().prop_map(|page| Control::Retire { page });
    let extent = (any::<[u32; 3]>(), any::<[u64; 4]>(), any::<[bool; 2]>()).prop_map(
        |([index, call, descriptor], [number, at, length, behind], [more, whole])| {
            let (offset_bytes, bytes) = (at >> 2, (length >> 2).max(1));
            Native::Extent(Extent {
                stream: StreamId { index, call },
                number,
                more,
                whole,
                descriptor: descriptor as u16,
                offset_bytes,
                bytes,
                segment_bytes: (offset_bytes + bytes).max(behind >> 1),
            })
        },
    );
    prop_oneof![
        4 => message,
        1 => extent,
        2 => prop_oneof![segment, retire, release].prop_map(Native::Control),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let length = || proptest::option::of(0..340_usize);
    prop_oneof![
        3 => (length(), length(), length(), any::<bool>()).prop_map(|(head, data, tail, end)| {
            // A frame carries something, and trailers end a stream.
            Step::Parts { head, data, tail, end: end || tail.is_some() || (head, data) == (None, None) }
        }),
        1 => any::<u64>().prop_map(Step::Ping),
        3 => native().prop_map(Step::Native),
        4 => Just(Step::Take),
        1 => Just(Step::Publish),
    ]
}

type Sent = (Option<Vec<u8>>, Option<Vec<u8>>, Option<Vec<u8>>, bool);

/// What was sent and not taken yet.
enum Expected {
    Parts(Sent),
    Frame(Frame),
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
                        expected.push_back(Expected::Frame(Frame::Ping { token, answer: false }));
                    }
                }
                Step::Native(native) => {
                    if native.push(&mut producer, &ours, &theirs) {
                        expected.extend(native.frame().map(Expected::Frame));
                    }
                }
                Step::Take => match (consumer.peek(&ours).expect("an honest peer"), expected.pop_front()) {
                    (None, None) => {
                        consumer.publish(&theirs);
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
                    (Some(frame), Some(Expected::Frame(sent))) => {
                        prop_assert_eq!(frame, sent);
                        consumer.advance(&theirs, 0);
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
    fn a_native_frame_changed_in_one_byte_is_refused_or_one_that_can_be_sent(
        native in native(),
        at in 5_usize..SLOT_BYTES,
        to: u8,
    ) {
        let geometry = Geometry::SMALLEST;
        let outbox = || PrivateMemory::zeroed(geometry.outbox_bytes());
        let slot = |memory: &PrivateMemory| {
            let mut slot = [0; SLOT_BYTES];
            memory.copy_out(RING_OFFSET, &mut slot);
            slot
        };
        let (ours, theirs) = (outbox(), outbox());
        prop_assert!(native.push(&mut Producer::new(geometry), &ours, &theirs));
        prop_assume!(native.frame().is_some());
        ours.copy_in(RING_OFFSET + at, &[to]);
        if let Ok(Some(frame)) = Consumer::new(geometry).peek(&ours) {
            // Segments and their retirement leave the second half as it was.
            let looked_at = match frame {
                Frame::Segment { .. } | Frame::Retire { .. } => 32,
                _ => SLOT_BYTES,
            };
            let again = outbox();
            prop_assert!(Native::of(frame).push(&mut Producer::new(geometry), &again, &theirs));
            prop_assert_eq!(&slot(&again)[..looked_at], &slot(&ours)[..looked_at]);
        }
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
