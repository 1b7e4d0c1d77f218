use nowire_protocol::frame::{
    FLAG_ANSWER, FLAG_DATA, FLAG_END, FLAG_HEAD, FLAG_INLINE, FLAG_MORE, FLAG_TAIL, FLAG_WHOLE,
    INLINE_BYTES, KIND_CREDIT, KIND_GO_AWAY, KIND_PARTS, KIND_PING, KIND_RESET, Message, ResetCode,
};
use nowire_protocol::geometry::{Geometry, RING_OFFSET, SLOT_BYTES};
use nowire_protocol::memory::WriteMemory;
use nowire_protocol::ring::{Control, Outgoing, Producer};

use crate::markdown::{markdown, row};
use crate::pair::{Pair, STREAM};

/// Bytes of a slot, and in which of them something is.
const PLACES: [(usize, usize); 11] = [
    (0, 4),
    (4, 1),
    (5, 1),
    (6, 2),
    (8, 4),
    (12, 4),
    (16, 4),
    (20, 4),
    (24, 4),
    (28, 4),
    (32, 32),
];

/// What a kind of frame has in one of the places, as the page calls it and as
/// the code wrote it.
pub(crate) type Cell = (String, u64);

pub(crate) fn named(name: &str, value: u32) -> Cell {
    (name.to_owned(), u64::from(value))
}

/// The first word of a frame: stamp, kind, flags and what follows them.
pub(crate) fn start(kind: u8, flags: Cell, code: Cell) -> Vec<Cell> {
    vec![
        named("stamp", 1),
        (kind.to_string(), kind.into()),
        flags,
        code,
    ]
}

pub(crate) fn slot() -> String {
    let zero = || named("zero", 0);
    let start = |kind: u8, flags: Cell| start(kind, flags, zero());
    let none = || ("0".to_owned(), 0);
    let stream = || [named("index", STREAM.index), named("call", STREAM.call)];
    let rest = |cells: Vec<Cell>| {
        let filled = cells.len();
        let mut all = cells;
        all.extend((filled..4).map(|_| zero()));
        all.push(named("unused", 0));
        all
    };

    let (head, data, tail) = ([1; 70], [2; 110], [3; 30]);
    let all = FLAG_HEAD | FLAG_DATA | FLAG_TAIL | FLAG_END;
    let mut parts = start(KIND_PARTS, ("flags".into(), all.into()));
    parts.extend(stream());
    parts.extend([
        named("offset", 0),
        named("head", 70),
        named("data", 110),
        named("tail", 30),
        named("payload, if INLINE", 0),
    ]);
    let mut credit = start(KIND_CREDIT, none());
    credit.extend(stream());
    credit.extend(rest(vec![named("bytes", 0x0708_090a)]));
    let mut reset = start(KIND_RESET, none());
    reset.extend(stream());
    reset.extend(rest(vec![named("code", 0x0b0c_0d0e)]));
    let mut go_away = start(KIND_GO_AWAY, none());
    go_away.extend([zero(), zero()]);
    go_away.extend(rest(Vec::new()));
    let mut ping = start(KIND_PING, ("flags".into(), FLAG_ANSWER.into()));
    ping.extend([zero(), zero()]);
    ping.extend(rest(vec![
        named("token, low half", 0x5555_6666),
        named("token, high half", 0x7777_8888),
    ]));

    let outgoing = Outgoing {
        head: Some(&head),
        data: Some(&data),
        tail: Some(&tail),
        end: true,
    };
    check(&parts, |pair, producer| pair.push_parts(producer, outgoing));
    let controls = [
        (
            &credit,
            Control::Credit {
                stream: STREAM,
                bytes: 0x0708_090a,
            },
        ),
        (
            &reset,
            Control::Reset {
                stream: STREAM,
                code: ResetCode::Other(0x0b0c_0d0e),
            },
        ),
        (&go_away, Control::GoAway),
        (
            &ping,
            Control::Ping {
                token: 0x7777_8888_5555_6666,
                answer: true,
            },
        ),
    ];
    for (cells, control) in controls {
        check(cells, |pair, producer| pair.push(producer, control));
    }

    places(
        ["parts", "credit", "reset", "go-away", "ping"],
        &[parts, credit, reset, go_away, ping],
    )
}

/// The table of what kinds of frames have in each place.
pub(crate) fn places(names: [&str; 5], kinds: &[Vec<Cell>; 5]) -> String {
    let mut rows = vec![row(["bytes"])];
    rows[0].extend(names.map(String::from));
    for (number, (offset, bytes)) in PLACES.iter().enumerate() {
        let place = match bytes {
            1 => offset.to_string(),
            _ => format!("{offset}..{}", offset + bytes),
        };
        let label = if *offset == 4 {
            "4, kind".to_owned()
        } else {
            place
        };
        let mut cells = vec![label];
        cells.extend(kinds.iter().map(|kind| kind[number].0.clone()));
        rows.push(cells);
    }
    markdown(&rows)
}

/// Whether a frame lies as its cells say, and whether what is called zero is
/// not looked at, and what is called 0 is.
pub(crate) fn check(cells: &[Cell], push: impl FnOnce(&Pair, &mut Producer) -> bool) {
    let pair = Pair::new(Geometry::DEFAULT);
    let mut producer = Producer::new(pair.geometry);
    assert!(push(&pair, &mut producer));
    let image = pair.slot(0);
    let (offset, bytes) = PLACES[PLACES.len() - 1];
    assert_eq!(offset + bytes, SLOT_BYTES);
    assert_eq!(cells.len(), PLACES.len());
    let read = pair.first_frame().expect("a frame").expect("a frame");
    for ((offset, bytes), (name, value)) in PLACES.into_iter().zip(cells) {
        let mut expected = value.to_le_bytes().to_vec();
        expected.resize(bytes.max(8), 0);
        assert_eq!(image[offset..][..bytes], expected[..bytes], "{name}");
        pair.outbox
            .copy_in(RING_OFFSET + offset, &vec![0xff; bytes]);
        match name.as_str() {
            "zero" | "unused" => assert_eq!(pair.first_frame(), Ok(Some(read.clone())), "{name}"),
            "0" => assert!(pair.first_frame().is_err(), "{name}"),
            _ => {}
        }
        pair.outbox
            .copy_in(RING_OFFSET + offset, &image[offset..][..bytes]);
    }
}

pub(crate) fn flags() -> String {
    let flag = |flag: u8, name: &str, of: &str, what: &str| {
        vec![flag.to_string(), name.into(), of.into(), what.into()]
    };
    markdown(&[
        row(["value", "flag", "of", "meaning"]),
        flag(FLAG_HEAD, "HEAD", "parts", "a header block is there"),
        flag(FLAG_DATA, "DATA", "parts", "message data is there"),
        flag(FLAG_TAIL, "TAIL", "parts", "a trailer block is there"),
        flag(
            FLAG_END,
            "END",
            "parts",
            "the sender's last frame on this stream",
        ),
        flag(
            FLAG_INLINE,
            "INLINE",
            "parts",
            &format!("the payload, of at most {INLINE_BYTES} bytes, lies in the slot"),
        ),
        flag(
            FLAG_ANSWER,
            "ANSWER",
            "ping",
            "this answers the ping with this token",
        ),
        flag(
            Message::AHEAD,
            "AHEAD",
            "call, reply",
            "the value came in the parts frame just before, with metadata",
        ),
        flag(
            Message::LENT,
            "LENT",
            "reply",
            "the scope is one of the receiver's, which the sender holds",
        ),
        flag(
            Message::ITEM,
            "ITEM",
            "call, reply",
            "one item of a stream; others, or the reply, follow",
        ),
        flag(
            Message::KEPT,
            "KEPT",
            "reply",
            "the scope of the call is held until it is released",
        ),
        flag(
            Message::FAILED,
            "FAILED",
            "reply",
            "the call failed with this status",
        ),
        flag(Message::END, "END", "call", "no more items come"),
        flag(
            FLAG_MORE,
            "MORE",
            "extent",
            "another extent of the same reference follows",
        ),
        flag(
            FLAG_WHOLE,
            "WHOLE",
            "extent",
            "the reference names everything that lies in this segment",
        ),
    ])
}

pub(crate) fn reset_codes() -> String {
    let mut rows = vec![row(["code", "the stream is over because"])];
    for number in 1.. {
        let why = match ResetCode::from_wire(number) {
            ResetCode::Cancelled => "the caller gave up",
            ResetCode::Refused => "the call was not begun and may be tried elsewhere",
            ResetCode::Failed => "the handler failed without an answer",
            ResetCode::DeadlineExceeded => "the deadline passed",
            ResetCode::Other(_) => break,
            code => panic!("{code:?} is not on the page"),
        };
        rows.push(vec![number.to_string(), why.into()]);
    }
    markdown(&rows)
}
