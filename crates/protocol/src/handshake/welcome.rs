use super::fields::Fields;
use super::limits::{check_streams, check_window};
use super::message::Message;
use super::{HandshakeError, Hello, Kind};
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::handshake::samples::{geometry, hello, split};
    use crate::handshake::{HEADER_BYTES, Header, STREAMS, VERSION, WINDOW_BYTES};

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

    proptest! {
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
    }
}
