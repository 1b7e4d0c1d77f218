use crate::frame::StreamId;

/// What a peer did that no honest peer does. The connection it came on is
/// closed; nothing else is touched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// A slot bears a stamp of neither this turn of the ring nor the one before.
    #[error("slot {slot} is stamped {found}, where {expected} or the turn before was due")]
    Stamp {
        /// Index of the slot in the ring.
        slot: u32,
        /// The stamp found.
        found: u32,
        /// The stamp a written slot would bear.
        expected: u32,
    },
    /// A frame of a kind that does not exist, or not on such a connection.
    #[error("frame of unknown kind {0}")]
    Kind(u8),
    /// Flags that the kind of frame does not have, or that contradict each other.
    #[error("frame of kind {kind} with flags {flags:#04x}")]
    Flags {
        /// Kind of the frame.
        kind: u8,
        /// The flags it bore.
        flags: u8,
    },
    /// Something in a place of the frame where nothing may be.
    #[error("frame of kind {kind} with something where zeros are due")]
    Reserved {
        /// Kind of the frame.
        kind: u8,
    },
    /// A segment of a heap without pages, or with more than can be numbered.
    #[error("segment of {pages} pages at page {page}")]
    Segment {
        /// Alleged first page.
        page: u32,
        /// Alleged number of pages.
        pages: u32,
    },
    /// An extent without bytes, or that does not lie in its segment.
    #[error("extent of {bytes} bytes at {offset_bytes} in a segment of {segment_bytes}")]
    Extent {
        /// Alleged offset in the segment.
        offset_bytes: u64,
        /// Alleged length in bytes.
        bytes: u64,
        /// Alleged size of the segment in bytes.
        segment_bytes: u64,
    },
    /// References that come out of order, or with descriptors that do not fit.
    #[error("its references: {0}")]
    References(&'static str),
    /// A payload that does not lie in the data area, or is longer than a piece.
    #[error("payload of {bytes} bytes at {offset} in a data area of {data_bytes}")]
    Payload {
        /// Alleged offset in the data area.
        offset: u32,
        /// Alleged length in bytes.
        bytes: u64,
        /// Size of the data area in bytes.
        data_bytes: u32,
    },
    /// A cursor that went back, or past what was ever sent.
    #[error("cursor {found} outside {acknowledged}..={sent}")]
    Cursor {
        /// The cursor found.
        found: u64,
        /// The last cursor that was believed.
        acknowledged: u64,
        /// Frames sent so far.
        sent: u64,
    },
    /// A stream number beyond what the handshake allowed.
    #[error("stream {stream} where {limit} streams are allowed")]
    StreamLimit {
        /// The alleged stream.
        stream: StreamId,
        /// The number of streams allowed.
        limit: u32,
    },
    /// A frame for a stream that was never opened.
    #[error("frame for stream {0}, which was never opened")]
    UnknownStream(StreamId),
    /// A stream opened while its index is still in use.
    #[error("stream {0} opened while its index is in use")]
    StreamInUse(StreamId),
    /// A frame that may not come in the state its stream is in.
    #[error("stream {stream}: {what}")]
    Order {
        /// The stream.
        stream: StreamId,
        /// What was wrong.
        what: &'static str,
    },
    /// More data than the window allowed.
    #[error("stream {stream}: {bytes} bytes where {window} were allowed")]
    Window {
        /// The stream.
        stream: StreamId,
        /// Bytes in the frame.
        bytes: u32,
        /// Bytes that were still allowed.
        window: u32,
    },
    /// Credit beyond the largest window there may be.
    #[error("stream {stream}: credit of {granted} on top of {held} bytes")]
    Credit {
        /// The stream.
        stream: StreamId,
        /// Bytes granted.
        granted: u64,
        /// Credit held before.
        held: u64,
    },
    /// A header block that cannot be read.
    #[error("header block: {0}")]
    Head(#[from] crate::head::HeadError),
    /// Something about a segment of its heap that cannot be.
    #[error("its heap: {0}")]
    Heap(String),
    /// A value that is not what it must be.
    #[error("what it passed is not what it must be: {0}")]
    Data(String),
    /// It gives back a scope that it does not hold.
    #[error("release of the scope at page {page}, which it does not hold")]
    Release {
        /// First page of the alleged scope.
        page: u32,
    },
    /// It lends a scope of this side's heap that it was not given, or has given back.
    #[error("it lends the scope at page {page} of its reader's heap, which it does not hold")]
    Lent {
        /// First page of the alleged scope.
        page: u32,
    },
    /// The doorbell rang again and again with nothing behind it.
    #[error("doorbell rung {0} times with nothing sent")]
    DoorbellStorm(u32),
    /// The answer to a ping that was never sent.
    #[error("answer to ping {0:#x}, which was never sent")]
    Ping(u64),
}
