use std::sync::atomic::Ordering::Relaxed;

use nowire_protocol::geometry::{
    CURSOR_OFFSET, Geometry, RING_OFFSET, SLEEPING_OFFSET, SLOT_BYTES, WANTS_ROOM_OFFSET,
};
use nowire_protocol::memory::ReadMemory;
use nowire_protocol::ring::{Consumer, Control, Producer};

use crate::markdown::{markdown, row};
use crate::pair::Pair;

pub(crate) fn outbox() -> String {
    let geometry = Geometry::DEFAULT;
    let pair = Pair::new(geometry);
    let mut producer = Producer::new(geometry);
    assert!(pair.push(&mut producer, Control::GoAway));
    assert_ne!(
        pair.outbox.load(RING_OFFSET, Relaxed),
        0,
        "the ring's first slot"
    );
    let mut consumer = Consumer::new(geometry);
    assert!(
        consumer
            .peek(&pair.outbox)
            .is_ok_and(|frame| frame.is_some())
    );
    consumer.advance(&pair.peer, 0);
    consumer.publish(&pair.peer);
    assert_eq!(pair.peer.load(CURSOR_OFFSET, Relaxed), 1, "the cursor");
    for slots in [8, 256, 65_536] {
        let shape = Geometry::new(slots, 4096).expect("a geometry");
        let ring = slots as usize * SLOT_BYTES;
        assert_eq!(shape.data_offset(), RING_OFFSET + ring);
        let whole = shape.data_offset() + 4096;
        assert_eq!(shape.outbox_bytes(), whole.next_multiple_of(4096));
    }
    let word = |offset: usize, what: &str, read: &str| {
        vec![offset.to_string(), "8".into(), what.into(), read.into()]
    };
    markdown(&[
        row(["offset", "bytes", "what", "the peer reads it"]),
        row(["0", "64", "reserved, zero", "never"]),
        word(CURSOR_OFFSET, "cursor", "when it runs out of room"),
        word(SLEEPING_OFFSET, "sleeping", "after it published a frame"),
        word(WANTS_ROOM_OFFSET, "wants room", "after it moved its cursor"),
        vec![
            RING_OFFSET.to_string(),
            format!("{SLOT_BYTES} × slots"),
            "ring".into(),
            "while it looks for frames".into(),
        ],
        vec![
            format!("{RING_OFFSET} + {SLOT_BYTES} × slots"),
            "data area".into(),
            "payloads".into(),
            "where a slot says so".into(),
        ],
    ])
}

pub(crate) fn shapes() -> String {
    let largest = (*Geometry::RING_SLOTS.end(), *Geometry::DATA_BYTES.end());
    let largest = Geometry::new(largest.0, largest.1).expect("the largest geometry");
    assert_eq!(
        *Geometry::RING_SLOTS.start(),
        Geometry::SMALLEST.ring_slots()
    );
    assert_eq!(
        *Geometry::DATA_BYTES.start(),
        Geometry::SMALLEST.data_bytes()
    );
    let mut rows = vec![row([
        "shape",
        "slots",
        "data area",
        "most in one payload",
        "whole outbox",
    ])];
    for (name, shape) in [
        ("smallest", Geometry::SMALLEST),
        ("default", Geometry::DEFAULT),
        ("largest", largest),
    ] {
        let numbers = [
            shape.ring_slots() as usize,
            shape.data_bytes() as usize,
            shape.piece_bytes(),
            shape.outbox_bytes(),
        ];
        let mut cells = vec![name.to_owned()];
        cells.extend(numbers.map(|number| number.to_string()));
        rows.push(cells);
    }
    markdown(&rows)
}
