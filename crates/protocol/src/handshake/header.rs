use super::fields::Fields;
use super::{HEADER_BYTES, HandshakeError, MAGIC, MESSAGE_LIMIT_BYTES};

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A [`Hello`](super::Hello).
    Hello,
    /// A [`Welcome`](super::Welcome).
    Welcome,
    /// A [`Refusal`](super::Refusal).
    Refusal,
}

impl Kind {
    pub(super) fn to_wire(self) -> u16 {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
