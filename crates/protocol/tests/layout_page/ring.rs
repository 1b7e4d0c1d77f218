use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;

use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{
    FLAG_DATA, FLAG_END, FLAG_INLINE, FLAG_TAIL, Frame, INLINE_BYTES, KIND_EXTENT, KIND_PARTS,
    KIND_PING, StreamId,
};
use nowire_protocol::geometry::{CURSOR_OFFSET, Geometry, RING_OFFSET};
use nowire_protocol::head;
use nowire_protocol::memory::WriteMemory;
use nowire_protocol::ring::{Control, Outgoing, Producer};

use crate::pair::Pair;

pub(crate) fn example() -> String {
    let pair = Pair::new(Geometry::DEFAULT);
    let mut producer = Producer::new(pair.geometry);
    let mut block = head::Block::new();
    head::write_field(&mut block, "content-type", b"application/grpc").expect("a field");
    let mut trailers = head::Block::new();
    head::write_field(&mut trailers, "grpc-status", b"0").expect("a field");
    for _ in 0..2 {
        assert!(pair.push(&mut producer, Control::GoAway));
    }
    let parts = Outgoing {
        head: Some(&block),
        data: Some(b"\0\0\0\0\x04\x0a\x02hi"),
        tail: Some(&trailers),
        end: true,
    };
    let stream = StreamId { index: 5, call: 9 };
    let pushed = producer.push_parts(&pair.outbox, &pair.peer, stream, &parts);
    assert_eq!(pushed, Ok(true));
    dump(
        &pair.slot(2),
        [
            "stamp 1, kind 1, flags HEAD DATA TAIL END INLINE; index 5, call 9",
            "offset 0, head 1, data 9, tail 1",
            "content-type: application/grpc; the message; grpc-status: 0",
            "",
        ],
    )
}

/// A slot in lines of 16 bytes, and what each of them means.
pub(crate) fn dump(slot: &[u8], meanings: [&str; 4]) -> String {
    let mut dump = "```text\n".to_owned();
    for (number, (line, meaning)) in slot.chunks(16).zip(meanings).enumerate() {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("{:2}  {}   {meaning}", 16 * number, hex.join(" "));
        let _ = writeln!(dump, "{}", text.trim_end());
    }
    dump.push_str("```\n");
    dump
}

#[test]
fn stamps_count_the_turns_of_the_ring() {
    let pair = Pair::new(Geometry::SMALLEST);
    let mut producer = Producer::new(pair.geometry);
    let slots = pair.geometry.ring_slots();
    for frame in 0..3 * slots {
        assert!(pair.push(&mut producer, Control::GoAway));
        let stamp = pair.slot((frame % slots) as usize)[..4].to_vec();
        assert_eq!(stamp, (frame / slots + 1).to_le_bytes());
        pair.peer
            .store(CURSOR_OFFSET, u64::from(frame + 1), Relaxed);
    }
    let fresh = Pair::new(Geometry::SMALLEST);
    assert_eq!(fresh.first_frame(), Ok(None));
    fresh.outbox.store(RING_OFFSET, 2, Relaxed);
    assert!(matches!(
        fresh.first_frame(),
        Err(PeerMisbehaved::Stamp { .. })
    ));
}

#[test]
fn payloads_lie_one_after_another_and_begin_again_at_the_end() {
    let pair = Pair::new(Geometry::SMALLEST);
    let mut producer = Producer::new(pair.geometry);
    let area = pair.geometry.data_offset();
    let payload = |byte| vec![byte; 1000];
    let mut offsets = Vec::new();
    for frame in 0..5_u8 {
        let (head, data) = (payload(frame), vec![0xee; 24]);
        let parts = Outgoing {
            head: Some(&head),
            data: Some(&data),
            ..Outgoing::default()
        };
        assert!(pair.push_parts(&mut producer, parts));
        let slot = pair.slot(usize::from(frame));
        let offset = u32::from_le_bytes([slot[16], slot[17], slot[18], slot[19]]) as usize;
        let lies = pair.bytes(area + offset, 1024);
        assert_eq!(lies, [head, data].concat());
        offsets.push(offset);
        pair.peer
            .store(CURSOR_OFFSET, u64::from(frame) + 1, Relaxed);
    }
    assert_eq!(offsets, [0, 1024, 2048, 3072, 0]);
    let parts = |data| Outgoing {
        data: Some(data),
        ..Outgoing::default()
    };
    assert!(pair.push_parts(&mut producer, parts(&[7; 65])));
    pair.peer.store(CURSOR_OFFSET, 6, Relaxed);
    assert!(pair.push_parts(&mut producer, parts(&[8; 65])));
    assert_eq!(pair.slot(6)[16..20], (1024 + 128_u32).to_le_bytes());
}

#[test]
fn what_the_page_says_is_refused_is_refused() {
    let words = |kind: u8, flags: u8, rest: [u32; 4]| {
        let pair = Pair::new(Geometry::SMALLEST);
        let mut slot = vec![1, 0, 0, 0, kind, flags, 0, 0];
        for number in [0, 1].into_iter().chain(rest) {
            slot.extend_from_slice(&u32::to_le_bytes(number));
        }
        pair.outbox.copy_in(RING_OFFSET, &slot);
        pair.first_frame()
    };
    let piece = Geometry::SMALLEST.piece_bytes() as u32;
    let area = Geometry::SMALLEST.data_bytes();
    let fits = words(KIND_PARTS, FLAG_DATA, [area - piece, 0, piece, 0]);
    assert!(matches!(fits, Ok(Some(Frame::Parts(_)))));
    let refused = [
        (0, 0, [0; 4]),
        (KIND_EXTENT + 1, 0, [0; 4]),
        (KIND_PARTS, FLAG_DATA | 32, [0; 4]),
        (KIND_PING, 2, [0; 4]),
        (KIND_PARTS, FLAG_TAIL, [0; 4]),
        (KIND_PARTS, 0, [0; 4]),
        (KIND_PARTS, FLAG_INLINE, [0; 4]),
        (KIND_PARTS, FLAG_END, [0, 1, 0, 0]),
        (KIND_PARTS, FLAG_END, [0, 0, 1, 0]),
        (KIND_PARTS, FLAG_END, [0, 0, 0, 1]),
        (KIND_PARTS, FLAG_DATA, [0, 0, piece + 1, 0]),
        (KIND_PARTS, FLAG_DATA, [area - piece + 1, 0, piece, 0]),
        (KIND_PARTS, FLAG_DATA, [u32::MAX, 0, u32::MAX, 0]),
        (
            KIND_PARTS,
            FLAG_DATA | FLAG_INLINE,
            [0, 0, INLINE_BYTES as u32 + 1, 0],
        ),
    ];
    for (kind, flags, rest) in refused {
        let read = words(kind, flags, rest);
        assert!(
            read.is_err(),
            "kind {kind} flags {flags} {rest:?}: {read:?}"
        );
    }
}
