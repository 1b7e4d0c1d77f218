//! Header and trailer blocks: a list of names and values, most of them one byte.
//!
//! ```text
//! block  = *field
//! field  = tag                                    1..=127: an entry of the table with its value
//!        | tag length value                       1..=127: an entry of the table without a value
//!        | 0xff name-length name length value     any other name
//! length = 2 bytes, little-endian; name-length = 1 byte
//! ```
//! The entries are fixed, so a block means the same whatever came before it.
//! The first field of a request is `:path`.

use smallvec::SmallVec;

/// A block that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// The block ends inside a field.
    #[error("ends inside a field")]
    Truncated,
    /// A tag that is not in the table.
    #[error("unknown tag {0}")]
    Tag(u8),
    /// A name or value with bytes that may not be there.
    #[error("{0} is not valid in a header")]
    Invalid(&'static str),
    /// A request without a path, or a pseudo-header out of place.
    #[error("{0}")]
    Pseudo(&'static str),
    /// More fields than [`FIELD_LIMIT`].
    #[error("more than {FIELD_LIMIT} fields")]
    TooMany,
}

/// Most fields that a block may have.
pub const FIELD_LIMIT: usize = 1024;
/// Longest value of a field, in bytes.
pub const VALUE_LIMIT: usize = u16::MAX as usize;

const LITERAL: u8 = 0xff;

/// Names, and values where the name has nearly always the same one. The tag is
/// the place in this list, from 1; entries are only ever added at the end.
pub const TABLE: &[(&str, Option<&str>)] = &[
    (":path", None),
    (":authority", None),
    ("content-type", Some("application/grpc")),
    ("te", Some("trailers")),
    ("grpc-status", Some("0")),
    ("grpc-status", None),
    ("grpc-message", None),
    ("grpc-status-details-bin", None),
    ("grpc-timeout", None),
    ("grpc-encoding", None),
    ("grpc-accept-encoding", None),
    ("user-agent", None),
    ("content-type", None),
    ("authorization", None),
    ("traceparent", None),
    ("tracestate", None),
    ("grpc-encoding", Some("gzip")),
    ("grpc-accept-encoding", Some("gzip,identity")),
    (":status", None),
    ("date", None),
];

/// Tag of `:path`.
pub const TAG_PATH: u8 = 1;
/// Tag of `:authority`.
pub const TAG_AUTHORITY: u8 = 2;
/// Tag of `content-type: application/grpc`.
pub const TAG_CONTENT_TYPE_GRPC: u8 = 3;
/// Tag of `te: trailers`.
pub const TAG_TE_TRAILERS: u8 = 4;
/// Tag of `grpc-status: 0`.
pub const TAG_STATUS_OK: u8 = 5;
/// Tag of `user-agent`.
pub const TAG_USER_AGENT: u8 = 12;
/// Tag of `:status`.
pub const TAG_HTTP_STATUS: u8 = 19;

const _: () = assert!(TABLE.len() < 128);

/// A header or trailer block; the usual ones need no allocation.
pub type Block = SmallVec<[u8; 104]>;

/// Writes `name: value`, as short as the table allows.
///
/// # Errors
/// If the name is longer than 255 bytes or the value than [`VALUE_LIMIT`].
pub fn write_field(block: &mut Block, name: &str, value: &[u8]) -> Result<(), HeadError> {
    let mut named = None;
    for (i, (entry, usual)) in TABLE.iter().enumerate() {
        if *entry == name {
            match usual {
                Some(usual) if usual.as_bytes() == value => {
                    block.push(i as u8 + 1);
                    return Ok(());
                }
                Some(_) => {}
                None => named = Some(i as u8 + 1),
            }
        }
    }
    match named {
        Some(tag) => block.push(tag),
        None => {
            let length = u8::try_from(name.len())
                .map_err(|_| HeadError::Invalid("a name of over 255 bytes"))?;
            block.extend_from_slice(&[LITERAL, length]);
            block.extend_from_slice(name.as_bytes());
        }
    }
    write_value(block, value)
}

/// Writes the field of table entry `tag`, which has no value of its own.
///
/// # Errors
/// If the value is longer than [`VALUE_LIMIT`].
pub fn write_tagged(block: &mut Block, tag: u8, value: &[u8]) -> Result<(), HeadError> {
    debug_assert!(TABLE[tag as usize - 1].1.is_none());
    block.push(tag);
    write_value(block, value)
}

fn write_value(block: &mut Block, value: &[u8]) -> Result<(), HeadError> {
    let length = u16::try_from(value.len())
        .map_err(|_| HeadError::Invalid("a value of over 65535 bytes"))?;
    block.extend_from_slice(&length.to_le_bytes());
    block.extend_from_slice(value);
    Ok(())
}

/// One field of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// An entry of the table: its tag, and its value as usual or as sent.
    Entry(u8, &'a [u8]),
    /// A name of its own; not checked beyond its length.
    Literal(&'a [u8], &'a [u8]),
}

/// Reads the fields of a block, one after the other.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Fields<'a> {
    /// The fields of `block`.
    pub fn new(block: &'a [u8]) -> Self {
        Self {
            rest: block,
            left: FIELD_LIMIT,
        }
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], HeadError> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(HeadError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn value(&mut self) -> Result<&'a [u8], HeadError> {
        let length = self.bytes(2)?;
        self.bytes(usize::from(u16::from_le_bytes([length[0], length[1]])))
    }

    fn field(&mut self) -> Result<Field<'a>, HeadError> {
        self.left = self.left.checked_sub(1).ok_or(HeadError::TooMany)?;
        let tag = self.bytes(1)?[0];
        if tag == LITERAL {
            let length = self.bytes(1)?[0];
            let name = self.bytes(usize::from(length))?;
            return Ok(Field::Literal(name, self.value()?));
        }
        let entry = usize::from(tag)
            .checked_sub(1)
            .and_then(|i| TABLE.get(i))
            .ok_or(HeadError::Tag(tag))?;
        match entry.1 {
            Some(usual) => Ok(Field::Entry(tag, usual.as_bytes())),
            None => Ok(Field::Entry(tag, self.value()?)),
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, HeadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}
