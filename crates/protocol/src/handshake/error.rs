use super::{HEADER_BYTES, MESSAGE_LIMIT_BYTES, STREAMS, TEXT_LIMIT_BYTES, VERSION, WINDOW_BYTES};
use crate::geometry::GeometryError;

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
    /// Neither a heap nor none.
    #[error("{0} heaps for native calls: must be 0 or 1")]
    Native(u32),
    /// A heap in a message without the feature of native calls, or in a welcome
    /// to a client that has none.
    #[error("a heap for native calls, which were not asked for")]
    HeapUnasked,
    /// References in a message without their feature.
    #[error("references, without the feature")]
    ReferencesUnasked,
    /// A heap that no process can have.
    #[error("heap of {window_bytes} bytes at {base:#x}: {what}")]
    Heap {
        /// Its alleged address.
        base: u64,
        /// The alleged size of its window in bytes.
        window_bytes: u64,
        /// What it must be.
        what: &'static str,
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
