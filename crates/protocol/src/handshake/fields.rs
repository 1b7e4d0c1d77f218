use super::limits::check_text;
use super::{HandshakeError, TEXT_LIMIT_BYTES};

/// Reads numbers and strings off a body.
pub(super) struct Fields<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
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

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], HandshakeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u16(&mut self) -> Result<u16, HandshakeError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, HandshakeError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, HandshakeError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn text(
        &mut self,
        field: &'static str,
        bytes: u16,
    ) -> Result<String, HandshakeError> {
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
