use super::fields::Fields;
use super::limits::{check_streams, check_window};
use super::message::Message;
use super::{HandshakeError, HeapOffer, Hello, Kind, ReferenceOffer, heap, references};
use crate::geometry::Geometry;

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
    /// Its heap, if the client asked for native calls and it serves them; goes
    /// with the feature [`NATIVE`](super::NATIVE).
    pub heap: Option<HeapOffer>,
    /// How it takes references, if it does; goes with the feature
    /// [`REFERENCES`](super::REFERENCES).
    pub references: Option<ReferenceOffer>,
}

impl Welcome {
    /// The whole message.
    ///
    /// # Errors
    /// If a number is out of range, or a heap there without the feature.
    pub fn encode(&self) -> Result<Vec<u8>, HandshakeError> {
        let mut message = Message::new(Kind::Welcome);
        message.u32(self.version);
        message.u32(0);
        message.u64(self.features);
        message.u32(self.outbox.ring_slots());
        message.u32(self.outbox.data_bytes());
        message.u32(check_streams(self.streams)?);
        message.u32(check_window(self.window_bytes)?);
        heap::write(&mut message, self.features, self.heap)?;
        references::write(&mut message, self.features, self.references)?;
        Ok(message.finish())
    }

    /// Reads the body of the welcome that answers `hello`.
    ///
    /// # Errors
    /// If the version or the features were not offered, there are more streams
    /// than were asked for, there is a heap though the client has none, or a field
    /// says what cannot be.
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
        let heap = heap::read(&mut fields, features)?;
        if heap.is_some() && hello.heap.is_none() {
            return Err(HandshakeError::HeapUnasked);
        }
        let references = references::read(&mut fields, features)?;
        Ok(Self {
            version,
            features,
            outbox,
            streams,
            window_bytes,
            heap,
            references,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::handshake::samples::{geometry, heap, hello, references, split};
    use crate::handshake::{
        HEADER_BYTES, Header, NATIVE, REFERENCES, STREAMS, VERSION, WINDOW_BYTES,
    };

    #[test]
    fn a_welcome_beyond_what_was_offered_is_refused() {
        let good = Welcome {
            version: VERSION,
            features: 0b100,
            outbox: Geometry::DEFAULT,
            streams: 100,
            window_bytes: 1,
            heap: None,
            references: None,
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
    fn a_heap_for_a_client_without_one_is_refused() {
        let welcome = Welcome {
            version: VERSION,
            features: NATIVE,
            outbox: Geometry::DEFAULT,
            streams: 1,
            window_bytes: 1,
            heap: hello().heap,
            references: None,
        };
        let message = welcome.encode().expect("a welcome");
        let body = &message[HEADER_BYTES..];
        assert_eq!(Welcome::decode(body, &hello()), Ok(welcome));
        let only_grpc = Hello {
            heap: None,
            ..hello()
        };
        assert_eq!(
            Welcome::decode(body, &only_grpc),
            Err(HandshakeError::HeapUnasked)
        );
    }

    proptest! {
        #[test]
        fn a_welcome_survives_the_wire(
            features: u64,
            outbox in geometry(),
            streams in STREAMS,
            window_bytes in WINDOW_BYTES,
            heap in proptest::option::of(heap()),
            references in proptest::option::of(references()),
            later in proptest::collection::vec(any::<u8>(), 0..50),
        ) {
            let asked = Hello { features: u64::MAX, streams: *STREAMS.end(), ..hello() };
            let features = if heap.is_some() { features | NATIVE } else { features };
            let features = if references.is_some() { features | REFERENCES } else { features };
            let sent = Welcome { version: VERSION, features, outbox, streams, window_bytes, heap, references };
            let mut message = sent.encode().expect("all fields are in range");
            let (header, body) = split(&message);
            prop_assert_eq!(header, Ok(Header { kind: Kind::Welcome, body_bytes: body.len() }));
            message.extend(later);
            prop_assert_eq!(Welcome::decode(&message[HEADER_BYTES..], &asked), Ok(sent));
        }

        #[test]
        fn a_welcome_changed_in_one_byte_decodes_to_what_can_be_encoded(at in 0_usize..200, to: u8) {
            let welcome = Welcome {
                version: VERSION, features: NATIVE, outbox: Geometry::DEFAULT, streams: 1,
                window_bytes: 1, heap: hello().heap, references: None,
            };
            let mut message = welcome.encode().expect("a welcome");
            let end = message.len();
            message[HEADER_BYTES + at % (end - HEADER_BYTES)] = to;
            if let Ok(read) = Welcome::decode(&message[HEADER_BYTES..], &hello()) {
                prop_assert!(read.encode().is_ok());
            }
        }
    }
}
