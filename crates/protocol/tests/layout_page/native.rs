use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{
    Frame, KIND_CALL, KIND_RELEASE, KIND_REPLY, KIND_RETIRE, KIND_SEGMENT, Message, MessageKind,
    Pages, RELEASE_PAGES, StreamId,
};
use nowire_protocol::geometry::{Geometry, RING_OFFSET};
use nowire_protocol::memory::WriteMemory;
use nowire_protocol::ring::{Control, Producer};

use crate::pair::{Pair, STREAM};
use crate::ring::dump;
use crate::slot::{check, named, places, start};

pub(crate) fn slot() -> String {
    let must_be_0 = || named("0", 0);
    let stream = || [named("index", STREAM.index), named("call", STREAM.call)];
    let scope = || {
        [
            named("page", 0x1112_1314),
            named("bytes", 0x2122_2324),
            named("inline", 0x3132_3334),
        ]
    };
    let message = Message {
        stream: STREAM,
        flags: Message::AHEAD,
        code: 0x4142,
        timeout_us: 0,
        page: 0x1112_1314,
        bytes: 0x2122_2324,
        inline: [0x3132_3334, 0, 0, 0],
    };

    let mut call = start(KIND_CALL, named("flags", 1), named("method", 0x4142));
    call.extend(stream());
    call.extend([named("timeout", 0x5152_5354), must_be_0()]);
    call.extend(scope());
    check(&call, |pair, producer| {
        let call = Message {
            timeout_us: 0x5152_5354,
            ..message
        };
        pair.push_message(producer, MessageKind::Call, &call)
    });

    let mut reply = start(KIND_REPLY, named("flags", 1), named("status", 0x4142));
    reply.extend(stream());
    reply.extend([must_be_0(), must_be_0()]);
    reply.extend(scope());
    check(&reply, |pair, producer| {
        pair.push_message(producer, MessageKind::Reply, &message)
    });

    let mut segment = start(KIND_SEGMENT, must_be_0(), must_be_0());
    segment.extend([must_be_0(), must_be_0()]);
    segment.extend([named("page", 0x6162_6364), named("pages", 0x7172)]);
    segment.extend([must_be_0(), must_be_0(), named("unused", 0)]);
    check(&segment, |pair, producer| {
        let (page, pages) = (0x6162_6364, 0x7172);
        pair.push(producer, Control::Segment { page, pages })
    });

    let mut retire = start(KIND_RETIRE, must_be_0(), must_be_0());
    retire.extend([must_be_0(), must_be_0()]);
    retire.extend([named("page", 0x6162_6364), must_be_0()]);
    retire.extend([must_be_0(), must_be_0(), named("unused", 0)]);
    check(&retire, |pair, producer| {
        pair.push(producer, Control::Retire { page: 0x6162_6364 })
    });

    let mut release = start(KIND_RELEASE, named("count", 5), must_be_0());
    release.extend([must_be_0(), must_be_0()]);
    release.extend((1..=4).map(|page| named(&format!("page {page}"), page)));
    release.push(named(&format!("pages 5 to {RELEASE_PAGES}"), 5));
    check(&release, |pair, producer| {
        pair.push(producer, Control::Release(pages(1..=5)))
    });

    places(
        ["call", "reply", "segment", "retire", "release"],
        &[call, reply, segment, retire, release],
    )
}

fn pages(numbers: impl IntoIterator<Item = u32>) -> Pages {
    let mut pages = Pages::new();
    for number in numbers {
        assert!(pages.push(number), "no place for page {number}");
    }
    pages
}

pub(crate) fn example() -> String {
    let pair = Pair::new(Geometry::DEFAULT);
    let mut producer = Producer::new(pair.geometry);
    let call = Message {
        stream: StreamId { index: 5, call: 9 },
        flags: 0,
        code: 3,
        timeout_us: 250_000,
        page: 16,
        bytes: 200,
        inline: [0x1000_0001_0020, 0, 0, 0],
    };
    assert!(pair.push_message(&mut producer, MessageKind::Call, &call));
    dump(
        &pair.slot(0),
        [
            "stamp 1, kind 6, no flags, method 3; index 5, call 9",
            "timeout 250000 µs; page 16, 200 bytes",
            "pointer to 0x100000010020, 32 bytes behind the start of page 16",
            "",
        ],
    )
}

#[test]
fn what_the_page_says_of_native_frames_is_refused() {
    let read = |kind: u8, flags: u8, code: u16, rest: [u32; 14]| {
        let pair = Pair::new(Geometry::SMALLEST);
        let mut slot = vec![1, 0, 0, 0, kind, flags];
        slot.extend_from_slice(&code.to_le_bytes());
        slot.extend(rest.into_iter().flat_map(u32::to_le_bytes));
        pair.outbox.copy_in(RING_OFFSET, &slot);
        pair.first_frame()
    };
    let zeros = [0; 14];
    let with = |places: &[(usize, u32)]| {
        let mut words = zeros;
        for (place, value) in places {
            words[*place] = *value;
        }
        words
    };
    for (kind, flags) in [(KIND_CALL, 1 | 4 | 32), (KIND_REPLY, 1 | 2 | 4 | 8 | 16)] {
        for bit in 0..8 {
            let flag = 1 << bit;
            let allowed = read(kind, flag, 0, zeros).is_ok();
            assert_eq!(allowed, flags & flag != 0, "kind {kind} flag {flag}");
        }
    }
    let lent = Message::LENT;
    let failed = read(KIND_REPLY, lent | Message::FAILED, 0, zeros);
    assert!(matches!(failed, Err(PeerMisbehaved::Flags { .. })));
    let with_bytes = read(KIND_REPLY, lent, 0, with(&[(5, 1)]));
    assert_eq!(
        with_bytes,
        Err(PeerMisbehaved::Reserved { kind: KIND_REPLY })
    );
    assert!(read(KIND_REPLY, lent, 0, with(&[(4, 7)])).is_ok());
    for count in 0..=u8::MAX {
        let frame = read(KIND_RELEASE, count, 0, zeros);
        match frame {
            Ok(Some(Frame::Release(pages))) => {
                assert_eq!(pages.as_slice(), vec![0; usize::from(count)]);
                assert!((1..=RELEASE_PAGES).contains(&usize::from(count)));
            }
            other => {
                assert!(matches!(other, Err(PeerMisbehaved::Flags { .. })));
                assert!(!(1..=RELEASE_PAGES).contains(&usize::from(count)));
            }
        }
    }
    assert!(read(KIND_RELEASE, 2, 0, with(&[(2, 7), (3, 8)])).is_ok());
    let behind_the_count = read(KIND_RELEASE, 2, 0, with(&[(4, 9)]));
    assert_eq!(
        behind_the_count,
        Err(PeerMisbehaved::Reserved { kind: KIND_RELEASE })
    );
    for (page, pages) in [(0, 0), (7, 0), (u32::MAX, 1), (2, u32::MAX - 1)] {
        let read = read(KIND_SEGMENT, 0, 0, with(&[(2, page), (3, pages)]));
        assert_eq!(read, Err(PeerMisbehaved::Segment { page, pages }));
    }
    let last = read(KIND_SEGMENT, 0, 0, with(&[(2, u32::MAX - 1), (3, 1)]));
    assert!(last.is_ok());
}
