//! `docs/layout.md` says what the code does.
//!
//! Each table of the page is made here from constants of the code and from bytes
//! that the code has written, and compared with what stands between its markers.
//! `UPDATE_LAYOUT=1` rewrites the page.
#![forbid(unsafe_code)]
// A model has a layout of its own.
#![cfg(not(loom))]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{
    FLAG_ANSWER, FLAG_DATA, FLAG_END, FLAG_HEAD, FLAG_INLINE, FLAG_TAIL, Frame, INLINE_BYTES,
    KIND_CREDIT, KIND_GO_AWAY, KIND_PARTS, KIND_PING, KIND_RESET, ResetCode, StreamId,
};
use nowire_protocol::geometry::{
    CURSOR_OFFSET, Geometry, RING_OFFSET, SLEEPING_OFFSET, SLOT_BYTES, WANTS_ROOM_OFFSET,
};
use nowire_protocol::handshake::{
    HEADER_BYTES, Hello, MAGIC, MESSAGE_LIMIT_BYTES, Refusal, RefusalCode, STREAMS,
    TEXT_LIMIT_BYTES, VERSION, VERSIONS, WINDOW_BYTES, Welcome,
};
use nowire_protocol::head::{self, FIELD_LIMIT, Field, Fields, TABLE, VALUE_LIMIT};
use nowire_protocol::memory::{PrivateMemory, ReadMemory, WriteMemory};
use nowire_protocol::ring::{Consumer, Control, Outgoing, Producer};
use nowire_protocol::stream::CREDIT_LIMIT;

const PAGE: &str = include_str!("../../../docs/layout.md");
const NAMES: &str = include_str!("../../nowire/src/names.rs");
const ANNOUNCEMENT: &str = include_str!("../../nowire/src/announcement.rs");

const STREAM: StreamId = StreamId {
    index: 0x1111_2222,
    call: 0x3333_4444,
};

#[test]
fn every_table_of_the_page_is_true() {
    let tables = [
        ("outbox", outbox()),
        ("shapes", shapes()),
        ("slot", slot()),
        ("flags", flags()),
        ("reset codes", reset_codes()),
        ("example", example()),
        ("field", field()),
        ("head table", head_table()),
        ("head limits", head_limits()),
        ("header", header()),
        ("hello", hello()),
        ("welcome", welcome()),
        ("refusal", refusal()),
        ("refusal codes", refusal_codes()),
        ("handshake limits", handshake_limits()),
        ("names", names()),
        ("files", files()),
    ];
    let mut page = PAGE.to_owned();
    for (name, table) in &tables {
        let begin = format!("<!-- from the code: {name} -->\n");
        let (before, rest) = page
            .split_once(&begin)
            .unwrap_or_else(|| panic!("docs/layout.md has no table {name:?}"));
        let (_, after) = rest
            .split_once("<!-- end -->")
            .unwrap_or_else(|| panic!("docs/layout.md: table {name:?} does not end"));
        page = format!("{before}{begin}{table}<!-- end -->{after}");
    }
    let marked = PAGE.matches("<!-- from the code:").count();
    assert_eq!(marked, tables.len(), "a table that nobody makes, or twice");
    if std::env::var_os("UPDATE_LAYOUT").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/layout.md");
        std::fs::write(path, page).expect("the page can be written");
        return;
    }
    for (number, (says, is)) in PAGE.lines().zip(page.lines()).enumerate() {
        let line = number + 1;
        assert_eq!(says, is, "docs/layout.md:{line}; UPDATE_LAYOUT=1 mends it");
    }
    assert_eq!(PAGE, page, "docs/layout.md; UPDATE_LAYOUT=1 mends it");
}

#[test]
fn the_sentence_about_credit_names_the_limit() {
    assert!(PAGE.contains(&format!("limited to {CREDIT_LIMIT}.")));
}

/// Rows of a table, the head first, padded so that the source reads well too.
fn markdown(rows: &[Vec<String>]) -> String {
    let columns = rows[0].len();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).filter_map(width).collect();
    let mut table = String::new();
    for (number, row) in rows.iter().enumerate() {
        assert_eq!(row.len(), columns, "{row:?}");
        for (cell, &width) in row.iter().zip(&widths) {
            let _ = write!(table, "| {cell:width$} ");
        }
        table.push_str("|\n");
        if number == 0 {
            for width in &widths {
                let _ = write!(table, "|{:-<1$}", "", width + 2);
            }
            table.push_str("|\n");
        }
    }
    table
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(String::from).to_vec()
}

/// An outbox, and the one of the peer in which the cursor moves.
struct Pair {
    geometry: Geometry,
    outbox: PrivateMemory,
    peer: PrivateMemory,
}

impl Pair {
    fn new(geometry: Geometry) -> Self {
        Self {
            geometry,
            outbox: PrivateMemory::zeroed(geometry.outbox_bytes()),
            peer: PrivateMemory::zeroed(geometry.outbox_bytes()),
        }
    }

    fn push(&self, producer: &mut Producer, control: Control) -> bool {
        producer
            .push_control(&self.outbox, &self.peer, control)
            .expect("an honest cursor")
    }

    fn push_parts(&self, producer: &mut Producer, parts: Outgoing<'_>) -> bool {
        producer
            .push_parts(&self.outbox, &self.peer, STREAM, &parts)
            .expect("an honest cursor")
    }

    fn slot(&self, index: usize) -> Vec<u8> {
        self.bytes(RING_OFFSET + index * SLOT_BYTES, SLOT_BYTES)
    }

    fn bytes(&self, offset: usize, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.outbox.copy_out(offset, &mut bytes);
        bytes
    }

    fn first_frame(&self) -> Result<Option<Frame>, PeerMisbehaved> {
        Consumer::new(self.geometry).peek(&self.outbox)
    }
}

fn outbox() -> String {
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

fn shapes() -> String {
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
type Cell = (String, u64);

fn slot() -> String {
    let named = |name: &str, value: u32| (name.to_owned(), u64::from(value));
    let zero = || named("zero", 0);
    let start = |kind: u8, flags: Cell| {
        vec![
            named("stamp", 1),
            (kind.to_string(), kind.into()),
            flags,
            zero(),
        ]
    };
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

    let kinds = [parts, credit, reset, go_away, ping];
    let mut rows = vec![row([
        "bytes", "parts", "credit", "reset", "go-away", "ping",
    ])];
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
fn check(cells: &[Cell], push: impl FnOnce(&Pair, &mut Producer) -> bool) {
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
        (KIND_PING + 1, 0, [0; 4]),
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

fn flags() -> String {
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
    ])
}

fn reset_codes() -> String {
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

fn example() -> String {
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
    let mut dump = "```text\n".to_owned();
    let meanings = [
        "stamp 1, kind 1, flags HEAD DATA TAIL END INLINE; index 5, call 9",
        "offset 0, head 1, data 9, tail 1",
        "content-type: application/grpc; the message; grpc-status: 0",
        "",
    ];
    for (number, (line, meaning)) in pair.slot(2).chunks(16).zip(meanings).enumerate() {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("{:2}  {}   {meaning}", 16 * number, hex.join(" "));
        let _ = writeln!(dump, "{}", text.trim_end());
    }
    dump.push_str("```\n");
    dump
}

fn field() -> String {
    let write = |name: &str, value: &[u8]| {
        let mut block = head::Block::new();
        head::write_field(&mut block, name, value).expect("a field");
        block.into_vec()
    };
    assert_eq!(write("te", b"trailers"), [4]);
    assert_eq!(
        write("grpc-timeout", b"1S"),
        [&[9, 2, 0], &b"1S"[..]].concat()
    );
    assert_eq!(
        write("x-a", b"bc"),
        [&[255, 3], &b"x-a"[..], &[2, 0], b"bc"].concat()
    );
    markdown(&[
        row(["a field whose name and value", "is written as"]),
        row(["are an entry of the table", "its tag"]),
        row([
            "are an entry without value, and any value",
            "its tag, 2 bytes of length, the value",
        ]),
        row([
            "are any other",
            "255, 1 byte of length, the name, 2 bytes of length, the value",
        ]),
    ])
}

fn head_table() -> String {
    let mut rows = vec![row(["tag", "name", "value"])];
    for (number, (name, value)) in TABLE.iter().enumerate() {
        let tag = number as u8 + 1;
        let mut block = vec![tag];
        if value.is_none() {
            block.extend_from_slice(b"\x01\0v");
        }
        let expected = Field::Entry(tag, value.unwrap_or("v").as_bytes());
        assert_eq!(
            Fields::new(&block).collect::<Vec<_>>(),
            [Ok(expected)],
            "{name}"
        );
        let value = value.map_or("follows".into(), |value| format!("`{value}`"));
        rows.push(vec![tag.to_string(), format!("`{name}`"), value]);
    }
    markdown(&rows)
}

fn head_limits() -> String {
    let long = |bytes| "n".repeat(bytes);
    let mut block = head::Block::new();
    assert!(head::write_field(&mut block, &long(255), b"").is_ok());
    assert!(head::write_field(&mut block, &long(256), b"").is_err());
    assert!(head::write_field(&mut block, "x", &vec![0; VALUE_LIMIT + 1]).is_err());
    markdown(&[
        row(["limit of a block", ""]),
        vec!["fields".into(), FIELD_LIMIT.to_string()],
        row(["bytes of a name", "255"]),
        vec!["bytes of a value".into(), VALUE_LIMIT.to_string()],
    ])
}

/// A field of a handshake message: its length, its name on the page, and what
/// the code wrote there.
type Part = (usize, String, u64);

fn part(bytes: usize, name: &str, value: u64) -> Part {
    (bytes, name.to_owned(), value)
}

/// The table of the parts of `image`, which they cover without gaps up to where
/// the texts are.
fn message(title: &str, image: &[u8], parts: &[Part], texts: &str) -> String {
    let mut rows = vec![row(["offset", "bytes", title])];
    let mut offset = 0;
    for (bytes, name, value) in parts {
        assert_eq!(
            image[offset..][..*bytes],
            value.to_le_bytes()[..*bytes],
            "{name}"
        );
        rows.push(vec![offset.to_string(), bytes.to_string(), name.clone()]);
        offset += bytes;
    }
    let (rest, texts) = (&image[offset..], texts.to_owned());
    if !rest.is_empty() {
        rows.push(vec![offset.to_string(), String::new(), texts]);
    }
    markdown(&rows)
}

fn some_hello() -> Hello {
    Hello {
        versions: VERSIONS,
        features: 0x0102_0304_0506_0708,
        outbox: Geometry::DEFAULT,
        streams: 0x1234,
        window_bytes: 0x5678_9abc,
        authority: "a".into(),
        user_agent: "bc".into(),
        target: "def".into(),
    }
}

fn header() -> String {
    let image = some_hello().encode().expect("a hello");
    let body = (image.len() - HEADER_BYTES) as u64;
    let magic: Vec<String> = MAGIC.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(&MAGIC[1..7], b"NOWIRE");
    let parts = [
        part(
            8,
            &format!("magic: {}, with NOWIRE in it", magic.join(" ")),
            u64::from_le_bytes(MAGIC),
        ),
        part(2, "kind: 1 hello, 2 welcome, 3 refusal", 1),
        part(2, "zero", 0),
        part(
            4,
            &format!(
                "bytes of the body, at most {}",
                MESSAGE_LIMIT_BYTES - HEADER_BYTES
            ),
            body,
        ),
    ];
    let kind = |message: &[u8]| message[8];
    assert_eq!(kind(&some_welcome().encode().expect("a welcome")), 2);
    assert_eq!(kind(&some_refusal().encode()), 3);
    message("header", &image[..HEADER_BYTES], &parts, "")
}

fn hello() -> String {
    let image = some_hello().encode().expect("a hello");
    let texts = "the texts; anything after them is not looked at";
    assert!(image.ends_with(b"abcdef"));
    let parts = [
        part(4, "oldest version the client speaks", VERSION.into()),
        part(4, "newest", VERSION.into()),
        part(
            8,
            "features it has, a bit each; none exist yet",
            0x0102_0304_0506_0708,
        ),
        part(
            4,
            "slots of its ring",
            Geometry::DEFAULT.ring_slots().into(),
        ),
        part(
            4,
            "bytes of its data area",
            Geometry::DEFAULT.data_bytes().into(),
        ),
        part(4, "streams it wants to have open at once", 0x1234),
        part(
            4,
            "window it grants each stream at first, in bytes",
            0x5678_9abc,
        ),
        part(2, "length of the authority", 1),
        part(2, "length of the user agent", 2),
        part(2, "length of the target", 3),
        part(2, "zero", 0),
    ];
    message("hello", &image[HEADER_BYTES..], &parts, texts)
}

fn some_welcome() -> Welcome {
    Welcome {
        version: VERSION,
        features: 0x0102_0304_0506_0708,
        outbox: Geometry::DEFAULT,
        streams: 0x1234,
        window_bytes: 0x5678_9abc,
    }
}

fn welcome() -> String {
    let mut image = some_welcome().encode().expect("a welcome");
    image.push(0);
    let parts = [
        part(4, "version chosen", VERSION.into()),
        part(4, "zero", 0),
        part(8, "features both have", 0x0102_0304_0506_0708),
        part(
            4,
            "slots of the server's ring",
            Geometry::DEFAULT.ring_slots().into(),
        ),
        part(
            4,
            "bytes of its data area",
            Geometry::DEFAULT.data_bytes().into(),
        ),
        part(4, "streams the client may have open at once", 0x1234),
        part(
            4,
            "window the server grants each stream at first, in bytes",
            0x5678_9abc,
        ),
    ];
    let texts = "anything from here is not looked at";
    message("welcome", &image[HEADER_BYTES..], &parts, texts)
}

fn some_refusal() -> Refusal {
    Refusal {
        code: RefusalCode::Other(0x7788),
        reason: "because".into(),
    }
}

fn refusal() -> String {
    let image = some_refusal().encode();
    let parts = [
        part(2, "code", 0x7788),
        part(2, "length of the reason", "because".len() as u64),
    ];
    let texts = "the reason; anything after it is not looked at";
    message("refusal", &image[HEADER_BYTES..], &parts, texts)
}

fn refusal_codes() -> String {
    let mut rows = vec![row(["code", "refused because"])];
    for number in 1.. {
        let why = match RefusalCode::from_wire(number) {
            RefusalCode::Malformed => "the hello could not be understood",
            RefusalCode::Version => "there is no version in common",
            RefusalCode::NotAllowed => "the client's user is not allowed",
            RefusalCode::WrongTarget => "the server does not serve the target",
            RefusalCode::Geometry => "the client's outbox is larger than the server allows",
            RefusalCode::Descriptor => "the descriptor is missing, or not what it must be",
            RefusalCode::ConnectionLimit => "the server has as many connections as it allows",
            RefusalCode::MemoryLimit => "the server shares as much memory as it allows",
            RefusalCode::ServerFailed => "the server could not make its own outbox",
            RefusalCode::ShuttingDown => "the server is shutting down",
            RefusalCode::Other(_) => break,
            code => panic!("{code:?} is not on the page"),
        };
        rows.push(vec![number.to_string(), why.into()]);
    }
    markdown(&rows)
}

fn handshake_limits() -> String {
    let range =
        |range: std::ops::RangeInclusive<u32>| format!("{} to {}", range.start(), range.end());
    markdown(&[
        row(["limit of the handshake", ""]),
        vec![
            "bytes of a message, header included".into(),
            MESSAGE_LIMIT_BYTES.to_string(),
        ],
        vec!["bytes of each text".into(), TEXT_LIMIT_BYTES.to_string()],
        vec!["streams".into(), range(STREAMS)],
        vec!["window in bytes".into(), range(WINDOW_BYTES)],
    ])
}

/// Says that a source has a format string, and returns what the page calls it.
fn written(source: &str, format: &str, shown: &str) -> String {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    assert!(
        code.contains(&format!("\"{format}\"")),
        "no code writes {format:?} any more; is {shown:?} still true?"
    );
    shown.to_owned()
}

fn names() -> String {
    let birth = written(NAMES, "-{:x}.{:x}", "-*birth*");
    let unix = written(NAMES, "unix-{:x}.{:x}-{:x}", "unix-*device*-*inode*");
    markdown(&[
        row(["name", "announces"]),
        vec![
            written(
                NAMES,
                "tcp-{address}@{network}",
                "tcp-*address*:*port*@*network*",
            ),
            "a TCP address of one network namespace".into(),
        ],
        vec![
            unix + &birth,
            "a Unix socket, whatever its path is called".into(),
        ],
        vec![
            written(NAMES, "name-{name}", "name-*name*"),
            "a name, `nowire:name`".into(),
        ],
    ])
}

fn files() -> String {
    let file = |suffix: &str, what: &str| {
        let format = format!("{{stem}}{suffix}");
        let shown = format!("*name*`{suffix}`");
        vec![written(ANNOUNCEMENT, &format, &shown), what.to_owned()]
    };
    markdown(&[
        row(["file", "is"]),
        file(".sock", "the Unix socket where the server takes clients"),
        file(".lock", "locked (`flock`) as long as the server lives"),
        file(
            ".new",
            "the socket while the server begins; then it is renamed",
        ),
    ])
}
