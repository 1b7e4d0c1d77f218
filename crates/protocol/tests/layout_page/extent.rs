use std::sync::atomic::Ordering::Relaxed;

use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{Extent, FLAG_MORE, FLAG_WHOLE, Frame, KIND_EXTENT};
use nowire_protocol::geometry::{Geometry, RING_OFFSET, SLOT_BYTES};
use nowire_protocol::memory::WriteMemory;
use nowire_protocol::ring::Producer;

use crate::markdown::{markdown, row};
use crate::pair::{Pair, STREAM};

pub(crate) fn slot() -> String {
    let places: [(usize, &str, u64); 12] = [
        (4, "stamp", 1),
        (1, "kind 11", KIND_EXTENT.into()),
        (1, "flags", FLAG_MORE.into()),
        (2, "descriptor", 0x4142),
        (4, "index", STREAM.index.into()),
        (4, "call", STREAM.call.into()),
        (8, "number", 0x6162_6364_5152_5354),
        (8, "offset", 0x1_0000_1000),
        (8, "bytes", 0x2000),
        (8, "segment", 0x2_0000_0000),
        (8, "0", 0),
        (8, "0", 0),
    ];
    let pair = Pair::new(Geometry::DEFAULT);
    let mut producer = Producer::new(pair.geometry);
    let extent = Extent {
        stream: STREAM,
        number: 0x6162_6364_5152_5354,
        more: true,
        whole: false,
        descriptor: 0x4142,
        offset_bytes: 0x1_0000_1000,
        bytes: 0x2000,
        segment_bytes: 0x2_0000_0000,
    };
    let pushed = producer.push_extents(&pair.outbox, &pair.peer, [extent].into_iter());
    assert_eq!(pushed, Ok(true));
    assert_eq!(pair.first_frame(), Ok(Some(Frame::Extent(extent))));
    let image = pair.slot(0);
    let mut rows = vec![row(["bytes", "extent"])];
    let mut offset = 0;
    for (bytes, name, value) in places {
        assert_eq!(
            image[offset..][..bytes],
            value.to_le_bytes()[..bytes],
            "{name}"
        );
        let place = match bytes {
            1 => offset.to_string(),
            _ => format!("{offset}..{}", offset + bytes),
        };
        rows.push(vec![place, name.to_owned()]);
        if name == "0" {
            pair.outbox.copy_in(RING_OFFSET + offset, &[0xff; 8]);
            assert!(pair.first_frame().is_err(), "{name}");
            pair.outbox.copy_in(RING_OFFSET + offset, &[0; 8]);
        }
        offset += bytes;
    }
    assert_eq!(offset, SLOT_BYTES);
    markdown(&rows)
}

#[test]
fn what_the_page_says_of_extents_is_refused() {
    let read = |flags: u8, [offset, bytes, segment, zero]: [u64; 4]| {
        let pair = Pair::new(Geometry::SMALLEST);
        let words = [
            1 | u64::from(KIND_EXTENT) << 32 | u64::from(flags) << 40,
            0,
            7,
            offset,
            bytes,
            segment,
            zero,
            0,
        ];
        for (i, word) in words.into_iter().enumerate() {
            pair.outbox.store(RING_OFFSET + i * 8, word, Relaxed);
        }
        pair.first_frame()
    };
    assert!(read(0, [1, 2, 3, 0]).is_ok());
    assert!(read(FLAG_MORE | FLAG_WHOLE, [0, 1, 1, 0]).is_ok());
    let kind = KIND_EXTENT;
    assert_eq!(
        read(4, [0, 1, 1, 0]),
        Err(PeerMisbehaved::Flags { kind, flags: 4 })
    );
    assert_eq!(
        read(0, [0, 1, 1, 1]),
        Err(PeerMisbehaved::Reserved { kind })
    );
    for [offset_bytes, bytes, segment_bytes] in [
        [0, 0, 1],
        [1, 1, 1],
        [u64::MAX, 2, 5],
        [0, 1 << 63, 1 << 63],
    ] {
        assert_eq!(
            read(0, [offset_bytes, bytes, segment_bytes, 0]),
            Err(PeerMisbehaved::Extent {
                offset_bytes,
                bytes,
                segment_bytes
            })
        );
    }
}
