use std::ops::RangeInclusive;

use super::fields::Fields;
use super::limits::{check_streams, check_text, check_window};
use super::message::Message;
use super::{HandshakeError, HeapOffer, Kind, ReferenceOffer, VERSIONS, heap, references};
use crate::geometry::Geometry;

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
    /// Its heap, if it makes native calls; goes with the feature
    /// [`NATIVE`](super::NATIVE).
    pub heap: Option<HeapOffer>,
    /// How it takes references, if it does; goes with the feature
    /// [`REFERENCES`](super::REFERENCES).
    pub references: Option<ReferenceOffer>,
}

impl Hello {
    /// The whole message.
    ///
    /// # Errors
    /// If a string is too long or not plain text, a number out of range, or a heap
    /// or references there without the feature: what this returns can be decoded.
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
        heap::write(&mut message, self.features, self.heap)?;
        references::write(&mut message, self.features, self.references)?;
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
            heap: heap::read(&mut fields, features)?,
            references: references::read(&mut fields, features)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::handshake::samples::{geometry, heap, hello, references, split, text};
    use crate::handshake::{
        HEADER_BYTES, HEAP_BYTES, HELLO_BYTES, Header, NATIVE, REFERENCES, STREAMS, VERSION,
        WINDOW_BYTES,
    };

    #[test]
    fn a_hello_has_the_bytes_of_the_table() {
        let small = Hello {
            authority: "a".into(),
            user_agent: "bc".into(),
            target: "def".into(),
            ..hello()
        };
        let mut expected = b"\x89NOWIRE\n\x01\0\0\0\x4a\0\0\0".to_vec();
        expected.extend_from_slice(b"\x01\0\0\0\x01\0\0\0\x05\0\0\0\0\0\0\0");
        expected.extend_from_slice(b"\0\x01\0\0\0\x90\x01\0\x64\0\0\0\0\0\x01\0");
        expected.extend_from_slice(b"\x01\0\x02\0\x03\0\0\0abcdef");
        expected.extend_from_slice(b"\x01\0\0\0\0\0\0\x40\0\0\0\0\0\0\0\0\0\x10\0\0");
        expected.extend_from_slice(b"\0\0\x01\0\0\0\0\0");
        assert_eq!(small.encode(), Ok(expected));
    }

    #[test]
    fn a_client_that_knows_nothing_of_native_calls_is_understood() {
        let old = Hello {
            features: 0b100,
            heap: None,
            ..hello()
        };
        let message = old.encode().expect("a hello");
        let texts = [&old.authority, &old.user_agent, &old.target].map(String::len);
        assert_eq!(
            message.len(),
            HEADER_BYTES + HELLO_BYTES + texts.iter().sum::<usize>()
        );
        assert_eq!(Hello::decode(&message[HEADER_BYTES..]), Ok(old));
    }

    #[test]
    fn a_heap_goes_with_the_feature() {
        let unasked = Hello {
            features: 0b100,
            ..hello()
        };
        assert_eq!(unasked.encode(), Err(HandshakeError::HeapUnasked));
        let only_grpc = Hello {
            heap: None,
            ..hello()
        };
        let mut message = only_grpc.encode().expect("a hello");
        let native = message.len() - HEAP_BYTES;
        assert_eq!(Hello::decode(&message[HEADER_BYTES..]), Ok(only_grpc));
        message[native] = 2;
        assert_eq!(
            Hello::decode(&message[HEADER_BYTES..]),
            Err(HandshakeError::Native(2))
        );
    }

    #[test]
    fn a_heap_that_no_process_can_have_is_refused_on_both_sides() {
        const MIB: u64 = 1 << 20;
        let impossible = [
            (0, MIB),
            (MIB, 0),
            (MIB, MIB / 2),
            (3 * MIB, 3 * MIB),
            (MIB + 4096, MIB),
            (MIB, 2 * MIB),
            (1 << 46, 1 << 41),
            ((1 << 47) - MIB, MIB),
            (1 << 47, MIB),
            (u64::MAX - MIB + 1, MIB),
            (1 << 63, 1 << 63),
        ];
        for (base, window_bytes) in impossible {
            let offer = HeapOffer {
                base,
                window_bytes,
                seal_from_bytes: 0,
            };
            let refused = |result: Result<(), HandshakeError>| matches!(result, Err(HandshakeError::Heap { base: b, window_bytes: w, .. }) if (b, w) == (base, window_bytes));
            let sent = Hello {
                heap: Some(offer),
                ..hello()
            };
            assert!(refused(sent.encode().map(drop)), "{offer:?}");
            let mut message = hello().encode().expect("a hello");
            let heap = message.len() - HEAP_BYTES;
            message[heap + 4..][..8].copy_from_slice(&window_bytes.to_le_bytes());
            message[heap + 12..][..8].copy_from_slice(&base.to_le_bytes());
            let read = Hello::decode(&message[HEADER_BYTES..]);
            assert!(refused(read.map(drop)), "{offer:?}");
        }
        for (base, window_bytes) in [(MIB, MIB), ((1 << 47) - 2 * MIB, MIB), (1 << 46, 1 << 40)] {
            let offer = HeapOffer {
                base,
                window_bytes,
                seal_from_bytes: u32::MAX,
            };
            assert_eq!(offer.check(), Ok(offer));
        }
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

    proptest! {
        #[test]
        fn a_hello_survives_the_wire_and_what_follows_it_does_not_matter(
            newest in VERSION..=u32::MAX,
            features: u64,
            outbox in geometry(),
            streams in STREAMS,
            window_bytes in WINDOW_BYTES,
            texts in [text(), text(), text()],
            heap in proptest::option::of(heap()),
            references in proptest::option::of(references()),
            later in proptest::collection::vec(any::<u8>(), 0..50),
        ) {
            let [authority, user_agent, target] = texts;
            let features = if heap.is_some() { features | NATIVE } else { features };
            let features = if references.is_some() { features | REFERENCES } else { features };
            let sent = Hello {
                versions: VERSION..=newest, features, outbox, streams, window_bytes,
                authority, user_agent, target, heap, references,
            };
            let mut message = sent.encode().expect("all fields are in range");
            let (header, body) = split(&message);
            prop_assert_eq!(header, Ok(Header { kind: Kind::Hello, body_bytes: body.len() }));
            message.extend(later);
            prop_assert_eq!(Hello::decode(&message[HEADER_BYTES..]), Ok(sent));
        }

        #[test]
        fn a_hello_changed_in_one_byte_decodes_to_what_can_be_encoded(at in 0_usize..200, to: u8) {
            let mut message = hello().encode().expect("a hello");
            let end = message.len();
            message[HEADER_BYTES + at % (end - HEADER_BYTES)] = to;
            if let Ok(read) = Hello::decode(&message[HEADER_BYTES..]) {
                prop_assert!(read.encode().is_ok());
            }
        }

        #[test]
        fn a_message_cut_short_is_refused(cut in 0_usize..200) {
            let message = hello().encode().expect("a hello");
            let body = &message[HEADER_BYTES..];
            let cut = cut % body.len();
            let refused = matches!(Hello::decode(&body[..cut]), Err(HandshakeError::TooShort { .. }));
            prop_assert!(refused, "cut at {}", cut);
        }
    }
}
