use nowire_protocol::geometry::Geometry;
use nowire_protocol::handshake::{
    FEATURES, HEADER_BYTES, HeapOffer, Hello, MAGIC, MESSAGE_LIMIT_BYTES, NATIVE, REFERENCES,
    ReferenceOffer, Refusal, RefusalCode, STREAMS, TEXT_LIMIT_BYTES, VERSION, VERSIONS,
    WINDOW_BYTES, Welcome,
};

use crate::markdown::{markdown, row};

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
        heap: None,
        references: None,
    }
}

fn some_heap() -> HeapOffer {
    HeapOffer {
        base: 0x1234_0000_0000,
        window_bytes: 1 << 32,
        seal_from_bytes: 0x2345_6789,
    }
}

/// The fields of native calls, which stand at the end of either message.
pub(crate) fn heap() -> String {
    let hello = |features, heap| {
        let hello = Hello {
            features,
            heap,
            ..some_hello()
        };
        hello.encode().expect("a hello")
    };
    let welcome = |features, heap| {
        let welcome = Welcome {
            features,
            heap,
            ..some_welcome()
        };
        welcome.encode().expect("a welcome")
    };
    let heap = hello(NATIVE, Some(some_heap())).split_off(hello(0, None).len());
    assert_eq!(
        heap,
        welcome(NATIVE, Some(some_heap())).split_off(welcome(0, None).len())
    );
    let none = hello(NATIVE, None).split_off(hello(0, None).len());
    assert_eq!(none, vec![0; heap.len()]);
    let parts = [
        part(4, "1 if the side makes native calls, 0 if not", 1),
        part(8, "window of its heap in bytes", 1 << 32),
        part(
            8,
            "address of the window in the side itself",
            0x1234_0000_0000,
        ),
        part(
            4,
            "scopes of so many bytes and more are to be sealed",
            0x2345_6789,
        ),
        part(4, "zero", 0),
    ];
    let table = message("heap", &heap, &parts, "");
    assert_eq!(
        parts.iter().map(|(bytes, ..)| bytes).sum::<usize>(),
        heap.len()
    );
    table
}

/// The fields of references, which stand at the end of either message.
pub(crate) fn references() -> String {
    let offer = ReferenceOffer {
        key: 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10_u128.to_le_bytes(),
        seal_from_bytes: 0x2345_6789,
        held_limit: 0x3456_789a,
    };
    let hello = |features, references| {
        let hello = Hello {
            features,
            references,
            ..some_hello()
        };
        hello.encode().expect("a hello")
    };
    let welcome = |features, references| {
        let welcome = Welcome {
            features,
            references,
            ..some_welcome()
        };
        welcome.encode().expect("a welcome")
    };
    let fields = hello(REFERENCES, Some(offer)).split_off(hello(0, None).len());
    assert_eq!(
        fields,
        welcome(REFERENCES, Some(offer)).split_off(welcome(0, None).len())
    );
    let none = hello(REFERENCES, None).split_off(hello(0, None).len());
    assert_eq!(none, vec![0; fields.len()]);
    let parts = [
        part(
            8,
            "key of the tokens of references to this side, random; zeros if it takes none",
            0x090a_0b0c_0d0e_0f10,
        ),
        part(8, "its second half", 0x0102_0304_0506_0708),
        part(
            4,
            "segments of so many bytes and more are to be sealed",
            0x2345_6789,
        ),
        part(
            4,
            "descriptors of references it keeps at a time",
            0x3456_789a,
        ),
    ];
    message("references", &fields, &parts, "")
}

pub(crate) fn features() -> String {
    assert_eq!(
        FEATURES,
        NATIVE | REFERENCES,
        "a feature that is not on the page"
    );
    markdown(&[
        row(["value", "feature", "meaning"]),
        vec![
            NATIVE.to_string(),
            "NATIVE".into(),
            "hello and welcome go on with the fields of the heap".into(),
        ],
        vec![
            REFERENCES.to_string(),
            "REFERENCES".into(),
            "hello and welcome go on with the fields of references, behind those of the heap"
                .into(),
        ],
    ])
}

pub(crate) fn header() -> String {
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

pub(crate) fn hello() -> String {
    let image = some_hello().encode().expect("a hello");
    let texts = "the texts; with NATIVE the heap; anything after that is not looked at";
    assert!(image.ends_with(b"abcdef"));
    let parts = [
        part(4, "oldest version the client speaks", VERSION.into()),
        part(4, "newest", VERSION.into()),
        part(8, "features it has, a bit each", 0x0102_0304_0506_0708),
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
        heap: None,
        references: None,
    }
}

pub(crate) fn welcome() -> String {
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
    let texts = "with NATIVE the heap; anything after that is not looked at";
    message("welcome", &image[HEADER_BYTES..], &parts, texts)
}

fn some_refusal() -> Refusal {
    Refusal {
        code: RefusalCode::Other(0x7788),
        reason: "because".into(),
    }
}

pub(crate) fn refusal() -> String {
    let image = some_refusal().encode();
    let parts = [
        part(2, "code", 0x7788),
        part(2, "length of the reason", "because".len() as u64),
    ];
    let texts = "the reason; anything after it is not looked at";
    message("refusal", &image[HEADER_BYTES..], &parts, texts)
}

pub(crate) fn refusal_codes() -> String {
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

pub(crate) fn limits() -> String {
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
        vec![
            "window of a heap in bytes, a power of two".into(),
            format!(
                "{} to {}",
                HeapOffer::WINDOW_BYTES.start(),
                HeapOffer::WINDOW_BYTES.end()
            ),
        ],
        vec![
            "end of a heap's window, at most".into(),
            (HeapOffer::ADDRESS_LIMIT - 1).to_string(),
        ],
    ])
}
