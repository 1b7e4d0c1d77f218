use super::fields::Fields;
use super::message::Message;
use super::{HandshakeError, Kind, TEXT_LIMIT_BYTES};

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::handshake::samples::{split, text};
    use crate::handshake::{HEADER_BYTES, Header, MESSAGE_LIMIT_BYTES};

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

    proptest! {
        #[test]
        fn a_refusal_survives_the_wire(code: u16, reason in text()) {
            let sent = Refusal { code: RefusalCode::from_wire(code), reason };
            let message = sent.encode();
            let (header, body) = split(&message);
            prop_assert_eq!(header, Ok(Header { kind: Kind::Refusal, body_bytes: body.len() }));
            prop_assert_eq!(Refusal::decode(body), Ok(sent));
        }
    }
}
