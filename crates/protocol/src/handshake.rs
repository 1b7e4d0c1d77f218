//! The first three messages on a control socket: hello, and welcome or refusal.
//!
//! The client sends a [`Hello`] with the descriptor of its outbox; the server
//! answers with a [`Welcome`] and the descriptor of its own, or with a
//! [`Refusal`] and closes. Each message is a header and a body; all numbers are
//! little-endian.
//!
//! ```text
//! message   offset  bytes  what
//! header    0       8      magic: 89 "NOWIRE" 0A
//!           8       2      kind: 1 hello, 2 welcome, 3 refusal
//!           10      2      zero, not looked at
//!           12      4      length of the body, at most 4080
//! hello     0       4      oldest protocol version the client speaks
//!           4       4      newest
//!           8       8      features it has, one bit each
//!           16      4      slots of its ring          (geometry of its outbox)
//!           20      4      bytes of its data area
//!           24      4      streams it wants to have open at once, from 1
//!           28      4      window it grants each stream at first, in bytes
//!           32      2      length of the authority
//!           34      2      length of the user agent
//!           36      2      length of the target
//!           38      2      zero, not looked at
//!           40             authority, user agent, target: UTF-8, one after another
//!                          anything after them is not looked at
//! welcome   0       4      protocol version chosen
//!           4       4      zero, not looked at
//!           8       8      features both have
//!           16      4      slots of its ring          (geometry of its outbox)
//!           20      4      bytes of its data area
//!           24      4      streams the client may have open at once
//!           28      4      window it grants each stream at first, in bytes
//!           32             anything here is not looked at
//! refusal   0       2      code
//!           2       2      length of the reason
//!           4              reason: UTF-8; anything after it is not looked at
//! ```
//! The header and the first eight bytes of a hello are the same in every version
//! there will be, so that two versions can always tell each other apart. New
//! fields go where older readers do not look.

use std::ops::RangeInclusive;

use crate::geometry::{Geometry, GeometryError};
use crate::stream::CREDIT_LIMIT;

/// The protocol version this crate speaks.
pub const VERSION: u32 = 1;
/// The versions a peer may choose from.
pub const VERSIONS: RangeInclusive<u32> = VERSION..=VERSION;
/// The features this crate has: none yet.
pub const FEATURES: u64 = 0;
/// What every message begins with. The first byte is no text, so that nothing
/// that speaks HTTP takes one for the other.
pub const MAGIC: [u8; 8] = *b"\x89NOWIRE\n";
/// Size of the header in bytes.
pub const HEADER_BYTES: usize = 16;
/// Most bytes a message has, header included.
pub const MESSAGE_LIMIT_BYTES: usize = 4096;
/// Most bytes each string of a message has.
pub const TEXT_LIMIT_BYTES: usize = 1024;
/// Numbers of streams that may be open at once.
pub const STREAMS: RangeInclusive<u32> = 1..=65_536;
/// Windows that may be granted to a stream at first, in bytes.
pub const WINDOW_BYTES: RangeInclusive<u32> = 1..=(CREDIT_LIMIT - 1) as u32;

const HELLO_BYTES: usize = 40;
const WELCOME_BYTES: usize = 32;
const REFUSAL_BYTES: usize = 4;

const _: () = assert!(MAGIC.len() + 2 + 2 + 4 == HEADER_BYTES);
const _: () = assert!(HEADER_BYTES + HELLO_BYTES + 3 * TEXT_LIMIT_BYTES <= MESSAGE_LIMIT_BYTES);
const _: () = assert!(HEADER_BYTES + WELCOME_BYTES <= MESSAGE_LIMIT_BYTES);
const _: () = assert!(HEADER_BYTES + REFUSAL_BYTES + TEXT_LIMIT_BYTES <= MESSAGE_LIMIT_BYTES);
const _: () = assert!(CREDIT_LIMIT - 1 <= u32::MAX as u64);

/// A message that is none, or that says what cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It does not begin as every message does: the peer speaks another protocol.
    #[error("not a Nowire handshake: it begins with {0:02x?}")]
    Magic([u8; 8]),
    /// Another message was due.
    #[error("message of kind {found} where {expected} was due")]
    Kind {
        /// The kind found.
        found: u16,
        /// The kinds that were due, in words.
        expected: &'static str,
    },
    /// The body is longer than any may be.
    #[error("message body of {0} bytes: at most {max} are allowed", max = MESSAGE_LIMIT_BYTES - HEADER_BYTES)]
    TooLong(u32),
    /// The message ends before its last field does.
    #[error("message body of {found} bytes ends before byte {needed}")]
    TooShort {
        /// Bytes in the body.
        found: usize,
        /// Bytes it would need.
        needed: usize,
    },
    /// The two sides have no version in common. Update the older one.
    #[error("peer speaks protocol versions {oldest} to {newest}, this side {VERSION}")]
    Version {
        /// Oldest version the peer speaks.
        oldest: u32,
        /// Newest version the peer speaks.
        newest: u32,
    },
    /// The outbox described cannot be.
    #[error("outbox: {0}")]
    Geometry(#[from] GeometryError),
    /// No streams, or more than there can be.
    #[error("{0} streams: must be from 1 to {max}", max = STREAMS.end())]
    Streams(u32),
    /// No window, or a larger one than there can be.
    #[error("window of {0} bytes: must be from 1 to {max}", max = WINDOW_BYTES.end())]
    Window(u32),
    /// A feature that was not offered.
    #[error("features {found:#x} where {offered:#x} were offered")]
    Features {
        /// Features the server chose.
        found: u64,
        /// Features the client has.
        offered: u64,
    },
    /// A string that is too long.
    #[error("{field} of {bytes} bytes: at most {TEXT_LIMIT_BYTES} are allowed")]
    TextTooLong {
        /// Which string.
        field: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// A string that is not UTF-8 or holds control characters.
    #[error("{0} is not plain text")]
    Text(&'static str),
}

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A [`Hello`].
    Hello,
    /// A [`Welcome`].
    Welcome,
    /// A [`Refusal`].
    Refusal,
}

impl Kind {
    fn to_wire(self) -> u16 {
        match self {
            Self::Hello => 1,
            Self::Welcome => 2,
            Self::Refusal => 3,
        }
    }
}

/// What stands before each body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The message that follows.
    pub kind: Kind,
    /// Bytes of its body.
    pub body_bytes: usize,
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// If it is none, of an unknown kind, or announces too long a body.
    pub fn decode(header: &[u8; HEADER_BYTES]) -> Result<Self, HandshakeError> {
        let mut fields = Fields::new(header);
        let magic = fields.array()?;
        if magic != MAGIC {
            return Err(HandshakeError::Magic(magic));
        }
        let kind = match fields.u16()? {
            1 => Kind::Hello,
            2 => Kind::Welcome,
            3 => Kind::Refusal,
            found => {
                return Err(HandshakeError::Kind {
                    found,
                    expected: "a hello, welcome or refusal",
                });
            }
        };
        fields.u16()?;
        let body_bytes = fields.u32()?;
        if body_bytes as usize > MESSAGE_LIMIT_BYTES - HEADER_BYTES {
            return Err(HandshakeError::TooLong(body_bytes));
        }
        Ok(Self {
            kind,
            body_bytes: body_bytes as usize,
        })
    }
}

/// What a client says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Protocol versions it speaks.
    pub versions: RangeInclusive<u32>,
    /// Features it has, one bit each.
    pub features: u64,
    /// Shape of its outbox, whose descriptor comes with this message.
    pub outbox: Geometry,
    /// Streams it wants to have open at once.
    pub streams: u32,
    /// Window in bytes it grants each stream at first.
    pub window_bytes: u32,
    /// Authority its calls are meant for, as in `:authority`; may be empty.
    pub authority: String,
    /// What it calls itself; may be empty.
    pub user_agent: String,
    /// The announcement through which it came, so that a server can tell a client
    /// whom somebody led to it by another server's name.
    pub target: String,
}

impl Hello {
    /// The whole message.
    ///
    /// # Errors
    /// If a string is too long or not plain text, or a number out of range: what
    /// this returns can be decoded.
    pub fn encode(&self) -> Result<Vec<u8>, HandshakeError> {
        check_streams(self.streams)?;
        check_window(self.window_bytes)?;
        let texts = [
            ("authority", &self.authority),
            ("user agent", &self.user_agent),
            ("target", &self.target),
        ];
        for (field, text) in texts {
            check_text(field, text)?;
        }
        let mut message = Message::new(Kind::Hello);
        message.u32(*self.versions.start());
        message.u32(*self.versions.end());
        message.u64(self.features);
        message.u32(self.outbox.ring_slots());
        message.u32(self.outbox.data_bytes());
        message.u32(self.streams);
        message.u32(self.window_bytes);
        for (_, text) in texts {
            message.u16(text.len() as u16);
        }
        message.u16(0);
        for (_, text) in texts {
            message.bytes(text.as_bytes());
        }
        Ok(message.finish())
    }

    /// Reads the body of a hello.
    ///
    /// # Errors
    /// If there is no version in common, or a field says what cannot be.
    pub fn decode(body: &[u8]) -> Result<Self, HandshakeError> {
        let mut fields = Fields::new(body);
        let (oldest, newest) = (fields.u32()?, fields.u32()?);
        // Before anything else: the rest may mean something else elsewhere.
        if oldest > *VERSIONS.end() || newest < *VERSIONS.start() || oldest > newest {
            return Err(HandshakeError::Version { oldest, newest });
        }
        let features = fields.u64()?;
        let outbox = Geometry::new(fields.u32()?, fields.u32()?)?;
        let streams = check_streams(fields.u32()?)?;
        let window_bytes = check_window(fields.u32()?)?;
        let lengths = [fields.u16()?, fields.u16()?, fields.u16()?];
        fields.u16()?;
        Ok(Self {
            versions: oldest..=newest,
            features,
            outbox,
            streams,
            window_bytes,
            authority: fields.text("authority", lengths[0])?,
            user_agent: fields.text("user agent", lengths[1])?,
            target: fields.text("target", lengths[2])?,
        })
    }
}

/// What a server says to a client it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The protocol version both speak from here on.
    pub version: u32,
    /// Features both have.
    pub features: u64,
    /// Shape of its outbox, whose descriptor comes with this message.
    pub outbox: Geometry,
    /// Streams the client may have open at once.
    pub streams: u32,
    /// Window in bytes it grants each stream at first.
    pub window_bytes: u32,
}

impl Welcome {
    /// The whole message.
    ///
    /// # Errors
    /// If a number is out of range.
    pub fn encode(&self) -> Result<Vec<u8>, HandshakeError> {
        let mut message = Message::new(Kind::Welcome);
        message.u32(self.version);
        message.u32(0);
        message.u64(self.features);
        message.u32(self.outbox.ring_slots());
        message.u32(self.outbox.data_bytes());
        message.u32(check_streams(self.streams)?);
        message.u32(check_window(self.window_bytes)?);
        Ok(message.finish())
    }

    /// Reads the body of the welcome that answers `hello`.
    ///
    /// # Errors
    /// If the version or the features were not offered, there are more streams
    /// than were asked for, or a field says what cannot be.
    pub fn decode(body: &[u8], hello: &Hello) -> Result<Self, HandshakeError> {
        let mut fields = Fields::new(body);
        let version = fields.u32()?;
        if !hello.versions.contains(&version) {
            return Err(HandshakeError::Version {
                oldest: version,
                newest: version,
            });
        }
        fields.u32()?;
        let features = fields.u64()?;
        if features & !hello.features != 0 {
            return Err(HandshakeError::Features {
                found: features,
                offered: hello.features,
            });
        }
        let outbox = Geometry::new(fields.u32()?, fields.u32()?)?;
        let streams = check_streams(fields.u32()?)?;
        if streams > hello.streams {
            return Err(HandshakeError::Streams(streams));
        }
        let window_bytes = check_window(fields.u32()?)?;
        Ok(Self {
            version,
            features,
            outbox,
            streams,
            window_bytes,
        })
    }
}

/// What a server says to a client it does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why, for programs.
    pub code: RefusalCode,
    /// Why, for people: which limit or right, and which setting changes it.
    pub reason: String,
}

/// Why a server refuses a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalCode {
    /// The hello could not be understood.
    Malformed,
    /// No protocol version in common.
    Version,
    /// The client's user is not allowed.
    NotAllowed,
    /// The server does not serve the target asked for.
    WrongTarget,
    /// The client's outbox is larger than the server allows.
    Geometry,
    /// The descriptor of the client's outbox is missing, or not what it must be.
    Descriptor,
    /// The server has as many connections as it allows.
    ConnectionLimit,
    /// The server shares as much memory as it allows.
    MemoryLimit,
    /// The server could not make its own outbox.
    ServerFailed,
    /// The server is shutting down.
    ShuttingDown,
    /// A code this version does not know.
    Other(u16),
}

impl RefusalCode {
    /// The number on the wire.
    pub fn to_wire(self) -> u16 {
        match self {
            Self::Malformed => 1,
            Self::Version => 2,
            Self::NotAllowed => 3,
            Self::WrongTarget => 4,
            Self::Geometry => 5,
            Self::Descriptor => 6,
            Self::ConnectionLimit => 7,
            Self::MemoryLimit => 8,
            Self::ServerFailed => 9,
            Self::ShuttingDown => 10,
            Self::Other(code) => code,
        }
    }

    /// The code of a number on the wire.
    pub fn from_wire(code: u16) -> Self {
        match code {
            1 => Self::Malformed,
            2 => Self::Version,
            3 => Self::NotAllowed,
            4 => Self::WrongTarget,
            5 => Self::Geometry,
            6 => Self::Descriptor,
            7 => Self::ConnectionLimit,
            8 => Self::MemoryLimit,
            9 => Self::ServerFailed,
            10 => Self::ShuttingDown,
            other => Self::Other(other),
        }
    }
}

impl Refusal {
    /// The whole message. Control characters in the reason become spaces, and
    /// what is too long is cut off.
    pub fn encode(&self) -> Vec<u8> {
        let plain: String = self
            .reason
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let reason = &plain[..plain.floor_char_boundary(TEXT_LIMIT_BYTES)];
        let mut message = Message::new(Kind::Refusal);
        message.u16(self.code.to_wire());
        message.u16(reason.len() as u16);
        message.bytes(reason.as_bytes());
        message.finish()
    }

    /// Reads the body of a refusal.
    ///
    /// # Errors
    /// If it is too short or the reason is not plain text.
    pub fn decode(body: &[u8]) -> Result<Self, HandshakeError> {
        let mut fields = Fields::new(body);
        let code = RefusalCode::from_wire(fields.u16()?);
        let bytes = fields.u16()?;
        Ok(Self {
            code,
            reason: fields.text("reason", bytes)?,
        })
    }
}

fn check_streams(streams: u32) -> Result<u32, HandshakeError> {
    if STREAMS.contains(&streams) {
        Ok(streams)
    } else {
        Err(HandshakeError::Streams(streams))
    }
}

fn check_window(bytes: u32) -> Result<u32, HandshakeError> {
    if WINDOW_BYTES.contains(&bytes) {
        Ok(bytes)
    } else {
        Err(HandshakeError::Window(bytes))
    }
}

fn check_text(field: &'static str, text: &str) -> Result<(), HandshakeError> {
    if text.len() > TEXT_LIMIT_BYTES {
        return Err(HandshakeError::TextTooLong {
            field,
            bytes: text.len(),
        });
    }
    // These strings end up in logs and on terminals.
    if text.chars().any(char::is_control) {
        return Err(HandshakeError::Text(field));
    }
    Ok(())
}

/// Reads numbers and strings off a body.
struct Fields<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], HandshakeError> {
        let needed = self.at + bytes;
        let too_short = HandshakeError::TooShort {
            found: self.body.len(),
            needed,
        };
        let taken = self.body.get(self.at..needed).ok_or(too_short)?;
        self.at = needed;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], HandshakeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u16(&mut self) -> Result<u16, HandshakeError> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, HandshakeError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, HandshakeError> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self, field: &'static str, bytes: u16) -> Result<String, HandshakeError> {
        let bytes = usize::from(bytes);
        if bytes > TEXT_LIMIT_BYTES {
            return Err(HandshakeError::TextTooLong { field, bytes });
        }
        let text =
            std::str::from_utf8(self.take(bytes)?).map_err(|_| HandshakeError::Text(field))?;
        check_text(field, text)?;
        Ok(text.to_owned())
    }
}

/// Writes a message; the length of the body comes last.
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn new(kind: Kind) -> Self {
        let mut message = Self {
            bytes: MAGIC.to_vec(),
        };
        message.u16(kind.to_wire());
        message.u16(0);
        message.u32(0);
        message
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    fn finish(mut self) -> Vec<u8> {
        let body_bytes = (self.bytes.len() - HEADER_BYTES) as u32;
        self.bytes[12..HEADER_BYTES].copy_from_slice(&body_bytes.to_le_bytes());
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hello() -> Hello {
        Hello {
            versions: VERSIONS,
            features: 0b101,
            outbox: Geometry::DEFAULT,
            streams: 100,
            window_bytes: 65_536,
            authority: "inventory".into(),
            user_agent: "tests/1".into(),
            target: "nowire:inventory".into(),
        }
    }

    fn split(message: &[u8]) -> (Result<Header, HandshakeError>, &[u8]) {
        let (header, body) = message.split_first_chunk().expect("a whole header");
        (Header::decode(header), body)
    }

    #[test]
    fn a_hello_has_the_bytes_of_the_table() {
        let small = Hello {
            authority: "a".into(),
            user_agent: "bc".into(),
            target: "def".into(),
            ..hello()
        };
        let mut expected = b"\x89NOWIRE\n\x01\0\0\0\x2e\0\0\0".to_vec();
        expected.extend_from_slice(b"\x01\0\0\0\x01\0\0\0\x05\0\0\0\0\0\0\0");
        expected.extend_from_slice(b"\0\x01\0\0\0\x90\x01\0\x64\0\0\0\0\0\x01\0");
        expected.extend_from_slice(b"\x01\0\x02\0\x03\0\0\0abcdef");
        assert_eq!(small.encode(), Ok(expected));
    }

    #[test]
    fn the_fixed_parts_have_the_sizes_of_the_table() {
        let empty = Hello {
            authority: String::new(),
            user_agent: String::new(),
            target: String::new(),
            ..hello()
        };
        assert_eq!(
            empty.encode().map(|m| m.len()),
            Ok(HEADER_BYTES + HELLO_BYTES)
        );
        let welcome = Welcome {
            version: VERSION,
            features: 0,
            outbox: Geometry::SMALLEST,
            streams: 1,
            window_bytes: 1,
        };
        assert_eq!(
            welcome.encode().map(|m| m.len()),
            Ok(HEADER_BYTES + WELCOME_BYTES)
        );
        let refusal = Refusal {
            code: RefusalCode::Version,
            reason: String::new(),
        };
        assert_eq!(refusal.encode().len(), HEADER_BYTES + REFUSAL_BYTES);
    }

    #[test]
    fn a_newer_client_is_told_apart_whatever_the_rest_means() {
        let mut body = vec![0xff; 64];
        body[..8].copy_from_slice(b"\x02\0\0\0\x07\0\0\0");
        assert_eq!(
            Hello::decode(&body),
            Err(HandshakeError::Version {
                oldest: 2,
                newest: 7
            })
        );
    }

    #[test]
    fn a_client_that_speaks_this_version_and_newer_ones_is_understood() {
        let newer = Hello {
            versions: 1..=9,
            ..hello()
        };
        let message = newer.encode().expect("a hello");
        assert_eq!(Hello::decode(&message[HEADER_BYTES..]), Ok(newer));
    }

    #[test]
    fn http_is_told_apart() {
        let header = b"PRI * HTTP/2.0\r\n";
        assert_eq!(
            Header::decode(header),
            Err(HandshakeError::Magic(*b"PRI * HT"))
        );
    }

    #[test]
    fn a_body_beyond_the_limit_is_refused_before_it_is_read() {
        let mut header = [0; HEADER_BYTES];
        header[..9].copy_from_slice(b"\x89NOWIRE\n\x01");
        header[12..].copy_from_slice(&4081_u32.to_le_bytes());
        assert_eq!(Header::decode(&header), Err(HandshakeError::TooLong(4081)));
    }

    #[test]
    fn numbers_out_of_range_are_refused_on_both_sides() {
        let none = Hello {
            streams: 0,
            ..hello()
        };
        assert_eq!(none.encode(), Err(HandshakeError::Streams(0)));
        let wide = Hello {
            window_bytes: 1 << 31,
            ..hello()
        };
        assert_eq!(wide.encode(), Err(HandshakeError::Window(1 << 31)));
        let mut message = hello().encode().expect("a hello");
        message[HEADER_BYTES + 24..HEADER_BYTES + 28].fill(0xff);
        assert_eq!(
            Hello::decode(&message[HEADER_BYTES..]),
            Err(HandshakeError::Streams(u32::MAX))
        );
    }

    #[test]
    fn a_welcome_beyond_what_was_offered_is_refused() {
        let good = Welcome {
            version: VERSION,
            features: 0b100,
            outbox: Geometry::DEFAULT,
            streams: 100,
            window_bytes: 1,
        };
        let decode = |welcome: &Welcome| {
            Welcome::decode(
                &welcome.encode().expect("a welcome")[HEADER_BYTES..],
                &hello(),
            )
        };
        assert_eq!(decode(&good), Ok(good.clone()));
        let features = HandshakeError::Features {
            found: 0b110,
            offered: 0b101,
        };
        assert_eq!(
            decode(&Welcome {
                features: 0b110,
                ..good.clone()
            }),
            Err(features)
        );
        assert_eq!(
            decode(&Welcome {
                streams: 101,
                ..good.clone()
            }),
            Err(HandshakeError::Streams(101))
        );
        let version = HandshakeError::Version {
            oldest: 2,
            newest: 2,
        };
        assert_eq!(decode(&Welcome { version: 2, ..good }), Err(version));
    }

    #[test]
    fn text_that_would_disturb_a_terminal_is_refused() {
        let rude = Hello {
            user_agent: "\x1b[2J".into(),
            ..hello()
        };
        assert_eq!(rude.encode(), Err(HandshakeError::Text("user agent")));
        let mut message = hello().encode().expect("a hello");
        let authority = HEADER_BYTES + HELLO_BYTES;
        message[authority] = b'\n';
        assert_eq!(
            Hello::decode(&message[HEADER_BYTES..]),
            Err(HandshakeError::Text("authority"))
        );
        message[authority] = 0xff;
        assert_eq!(
            Hello::decode(&message[HEADER_BYTES..]),
            Err(HandshakeError::Text("authority"))
        );
    }

    #[test]
    fn a_reason_of_any_length_and_content_arrives_as_plain_text() {
        let refusal = Refusal {
            code: RefusalCode::NotAllowed,
            reason: "ä\n".repeat(2000),
        };
        let message = refusal.encode();
        assert!(message.len() <= MESSAGE_LIMIT_BYTES);
        let told = Refusal::decode(&message[HEADER_BYTES..]).expect("a refusal");
        assert!(told.reason.starts_with("ä ä ") && told.reason.len() > TEXT_LIMIT_BYTES - 4);
    }

    #[test]
    fn every_code_survives_the_wire() {
        for code in 0..100 {
            assert_eq!(RefusalCode::from_wire(code).to_wire(), code);
        }
    }

    fn geometry() -> impl Strategy<Value = Geometry> {
        (3_u32..=16, 64_u32..=1 << 24).prop_map(|(log, lines)| {
            Geometry::new(1 << log, lines * 64).expect("both are in range")
        })
    }

    fn text() -> impl Strategy<Value = String> {
        "[^\\pC]{0,80}"
    }

    proptest! {
        #[test]
        fn a_hello_survives_the_wire_and_what_follows_it_does_not_matter(
            newest in VERSION..=u32::MAX,
            features: u64,
            outbox in geometry(),
            streams in STREAMS,
            window_bytes in WINDOW_BYTES,
            texts in [text(), text(), text()],
            later in proptest::collection::vec(any::<u8>(), 0..50),
        ) {
            let [authority, user_agent, target] = texts;
            let sent = Hello {
                versions: VERSION..=newest, features, outbox, streams, window_bytes,
                authority, user_agent, target,
            };
            let mut message = sent.encode().expect("all fields are in range");
            let (header, body) = split(&message);
            prop_assert_eq!(header, Ok(Header { kind: Kind::Hello, body_bytes: body.len() }));
            message.extend(later);
            prop_assert_eq!(Hello::decode(&message[HEADER_BYTES..]), Ok(sent));
        }

        #[test]
        fn a_welcome_survives_the_wire(
            features: u64,
            outbox in geometry(),
            streams in STREAMS,
            window_bytes in WINDOW_BYTES,
        ) {
            let asked = Hello { features: u64::MAX, streams: *STREAMS.end(), ..hello() };
            let sent = Welcome { version: VERSION, features, outbox, streams, window_bytes };
            let message = sent.encode().expect("all fields are in range");
            let (header, body) = split(&message);
            prop_assert_eq!(header, Ok(Header { kind: Kind::Welcome, body_bytes: body.len() }));
            prop_assert_eq!(Welcome::decode(body, &asked), Ok(sent));
        }

        #[test]
        fn a_refusal_survives_the_wire(code: u16, reason in text()) {
            let sent = Refusal { code: RefusalCode::from_wire(code), reason };
            let message = sent.encode();
            let (header, body) = split(&message);
            prop_assert_eq!(header, Ok(Header { kind: Kind::Refusal, body_bytes: body.len() }));
            prop_assert_eq!(Refusal::decode(body), Ok(sent));
        }

        #[test]
        fn any_bytes_decode_or_are_refused(
            header: [u8; HEADER_BYTES],
            mut body in proptest::collection::vec(any::<u8>(), 0..200),
            ours: bool,
        ) {
            let mut header = header;
            if ours {
                header[..8].copy_from_slice(&MAGIC);
                header[9] = 0;
                if let Some(versions) = body.get_mut(..8) {
                    versions.copy_from_slice(b"\x01\0\0\0\x01\0\0\0");
                }
            }
            let _ = Header::decode(&header);
            let _ = Hello::decode(&body);
            let _ = Welcome::decode(&body, &hello());
            let _ = Refusal::decode(&body);
        }

        #[test]
        fn a_hello_changed_in_one_byte_decodes_to_what_can_be_encoded(at in 0_usize..80, to: u8) {
            let mut message = hello().encode().expect("a hello");
            let end = message.len();
            message[HEADER_BYTES + at % (end - HEADER_BYTES)] = to;
            if let Ok(read) = Hello::decode(&message[HEADER_BYTES..]) {
                prop_assert!(read.encode().is_ok());
            }
        }

        #[test]
        fn a_message_cut_short_is_refused(cut in 0_usize..80) {
            let message = hello().encode().expect("a hello");
            let body = &message[HEADER_BYTES..];
            let cut = cut % body.len();
            let refused = matches!(Hello::decode(&body[..cut]), Err(HandshakeError::TooShort { .. }));
            prop_assert!(refused, "cut at {}", cut);
        }
    }
}
