use super::{HEADER_BYTES, Kind, MAGIC};

/// Writes a message; the length of the body comes last.
pub(super) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    pub(super) fn new(kind: Kind) -> Self {
        let mut message = Self {
            bytes: MAGIC.to_vec(),
        };
        message.u16(kind.to_wire());
        message.u16(0);
        message.u32(0);
        message
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let body_bytes = (self.bytes.len() - HEADER_BYTES) as u32;
        self.bytes[12..HEADER_BYTES].copy_from_slice(&body_bytes.to_le_bytes());
        self.bytes
    }
}
