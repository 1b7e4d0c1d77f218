//! `nowire.Blob` as a protobuf message.

use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use prost::encoding::{self, DecodeContext, WireType};

use super::arrived::{self, TOKEN_BYTES};
use super::blob::Blob;
use super::carried;

/// Field: the bytes.
const DATA: u32 = 1;
/// Field: the token of a reference, between two sides of a connection.
const TOKEN: u32 = 2;

/// The key of that field, which has a length.
const TOKEN_KEY: u8 = (TOKEN << 3 | WireType::LengthDelimited as u32) as u8;
/// Key, length and token.
const TOKEN_FIELD_BYTES: usize = 2 + TOKEN_BYTES;

/// How a blob goes into the message that is being encoded on this thread.
enum Way {
    Token,
    Bytes,
    /// It did not arrive, or cannot be read, and must not arrive as something else.
    Broken,
}

impl Blob {
    fn way(&self) -> Way {
        if let Some(error) = self.failure() {
            carried::broken(error.clone());
            return Way::Broken;
        }
        let address = std::ptr::from_ref(self).addr();
        if let Some(from) = carried::may_refer(address, self.len())
            && self.to_send(from, carried::pool).is_some()
        {
            return Way::Token;
        }
        match self.open() {
            Ok(_) => Way::Bytes,
            Err(error) => {
                tracing::error!("a blob cannot be sent: {error}");
                carried::broken(error);
                Way::Broken
            }
        }
    }
}

/// The token, or zeros where there is something else.
#[derive(Default)]
struct TokenField([u8; TOKEN_BYTES]);

impl TokenField {
    fn merge(
        &mut self,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        let first = buf.chunk().first().copied();
        if wire_type == WireType::LengthDelimited
            && first == Some(TOKEN_BYTES as u8)
            && buf.remaining() > TOKEN_BYTES
        {
            buf.advance(1);
            buf.copy_to_slice(&mut self.0);
            return Ok(());
        }
        let mut other = Bytes::new();
        encoding::bytes::merge(wire_type, &mut other, buf, ctx)
    }
}

impl Message for Blob {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        let token = match self.way() {
            Way::Bytes => {
                if let Ok(bytes) = self.open()
                    && !bytes.is_empty()
                {
                    encoding::encode_key(DATA, WireType::LengthDelimited, buf);
                    encoding::encode_varint(bytes.len() as u64, buf);
                    buf.put_slice(&bytes);
                }
                return;
            }
            Way::Token => self.reference().map(carried::carry).unwrap_or(Ok(None)),
            Way::Broken => Ok(None),
        };
        let token = token.unwrap_or_else(|error| {
            tracing::error!("a blob cannot be sent: {error}");
            carried::broken(error);
            None
        });
        // No connection has the key of zeros: whoever opens that is told.
        let token = token.unwrap_or([0; TOKEN_BYTES]);
        let mut field = [0; TOKEN_FIELD_BYTES];
        field[0] = TOKEN_KEY;
        field[1] = TOKEN_BYTES as u8;
        field[2..].copy_from_slice(&token);
        buf.put_slice(&field);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        match tag {
            DATA => {
                let mut bytes = Bytes::new();
                encoding::bytes::merge(wire_type, &mut bytes, buf, ctx)?;
                *self = bytes.into();
            }
            TOKEN => {
                let mut token = TokenField::default();
                token.merge(wire_type, buf, ctx)?;
                *self = match arrived::take(&token.0) {
                    Ok(reference) => reference.into(),
                    Err(error) => Self::failed(error),
                };
            }
            _ => encoding::skip_field(wire_type, tag, buf, ctx)?,
        }
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        match self.way() {
            Way::Token | Way::Broken => TOKEN_FIELD_BYTES,
            Way::Bytes => match self.len() {
                0 => 0,
                bytes => {
                    encoding::key_len(DATA) + encoding::encoded_len_varint(bytes as u64) + bytes
                }
            },
        }
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}
