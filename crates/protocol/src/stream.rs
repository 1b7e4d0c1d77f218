//! What may come on one stream, and how much of it.
//!
//! A stream carries one call: from the client a header block, data and an end;
//! from the server the same and a trailer block. Data is sent only against
//! credit: each side starts with the window the handshake named and is granted
//! more as its peer's reader consumes, so a receiver never holds more than one
//! window of a stream that nobody reads.

use crate::frame::{Parts, StreamId};
use crate::misbehaved::PeerMisbehaved;

/// Most credit a sender may hold, in bytes.
pub const CREDIT_LIMIT: u64 = 1 << 31;

/// What a reference counts against the window of its stream, in bytes, so that a
/// receiver never holds more of them than one window allows.
pub const REFERENCE_BYTES: u32 = 4096;

/// Smallest initial window, in bytes, with which references are sent on a stream.
pub const REFERENCE_WINDOW_BYTES: u32 = 4 * REFERENCE_BYTES;

/// Which end of the connection the frames of a direction come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It opens streams; its direction has no trailers.
    Client,
    /// It answers.
    Server,
}

/// The receiving half of a stream.
#[derive(Debug)]
pub struct Inbound {
    stream: StreamId,
    from: Side,
    window_bytes: u32,
    /// Consumed by the reader and not granted again yet.
    consumed_bytes: u32,
    granted_bytes: u32,
    head: bool,
    ended: bool,
}

impl Inbound {
    /// A half on which nothing has come, with `window_bytes` granted.
    pub fn new(stream: StreamId, from: Side, window_bytes: u32) -> Self {
        Self {
            stream,
            from,
            window_bytes,
            consumed_bytes: 0,
            granted_bytes: window_bytes,
            head: false,
            ended: false,
        }
    }

    /// Accounts for a frame that came.
    ///
    /// # Errors
    /// If it may not come now, or carries more than was granted.
    pub fn accept(&mut self, parts: &Parts) -> Result<(), PeerMisbehaved> {
        let order = |what| {
            Err(PeerMisbehaved::Order {
                stream: self.stream,
                what,
            })
        };
        if self.ended {
            return order("frame after the end");
        }
        if parts.head_bytes.is_some() {
            if self.head {
                return order("second header block");
            }
            self.head = true;
        }
        if !self.head {
            return order("data or trailers before the header block");
        }
        if parts.tail_bytes.is_some() && self.from == Side::Client {
            return order("trailers from a client");
        }
        let bytes = parts.data_bytes.unwrap_or(0);
        if bytes > self.granted_bytes {
            return Err(PeerMisbehaved::Window {
                stream: self.stream,
                bytes,
                window: self.granted_bytes,
            });
        }
        self.granted_bytes -= bytes;
        self.ended = parts.end;
        Ok(())
    }

    /// Accounts for a reference that came; [`REFERENCE_BYTES`] are consumed with it.
    ///
    /// # Errors
    /// If it may not come now, or there was no credit for it.
    pub fn accept_reference(&mut self) -> Result<(), PeerMisbehaved> {
        if self.ended {
            return Err(PeerMisbehaved::Order {
                stream: self.stream,
                what: "reference after the end",
            });
        }
        let Some(granted_bytes) = self.granted_bytes.checked_sub(REFERENCE_BYTES) else {
            return Err(PeerMisbehaved::Window {
                stream: self.stream,
                bytes: REFERENCE_BYTES,
                window: self.granted_bytes,
            });
        };
        self.granted_bytes = granted_bytes;
        Ok(())
    }

    /// Accounts for `bytes` that the reader has consumed; returns the credit to
    /// send to the peer now, if any. Credit is given in quarters of the window.
    pub fn consume(&mut self, bytes: u32) -> Option<u32> {
        self.consumed_bytes += bytes;
        if self.ended || self.consumed_bytes < self.window_bytes / 4 {
            return None;
        }
        let credit = std::mem::take(&mut self.consumed_bytes);
        self.granted_bytes += credit;
        Some(credit)
    }

    /// Whether the peer sends nothing more.
    pub fn has_ended(&self) -> bool {
        self.ended
    }
}

/// The sending half of a stream.
#[derive(Debug)]
pub struct Outbound {
    stream: StreamId,
    credit_bytes: u64,
}

impl Outbound {
    /// A half that may send `window_bytes`.
    pub fn new(stream: StreamId, window_bytes: u32) -> Self {
        Self {
            stream,
            credit_bytes: u64::from(window_bytes),
        }
    }

    /// Bytes of data that may be sent now.
    pub fn credit_bytes(&self) -> usize {
        self.credit_bytes as usize
    }

    /// Accounts for `bytes` sent.
    ///
    /// # Panics
    /// If there was no credit for them.
    pub fn spend(&mut self, bytes: usize) {
        self.credit_bytes = self
            .credit_bytes
            .checked_sub(bytes as u64)
            .expect("sent without credit");
    }

    /// Takes back what [`spend`](Self::spend) took for bytes that were not sent.
    pub fn unspend(&mut self, bytes: usize) {
        self.credit_bytes += bytes as u64;
    }

    /// Accounts for credit that came.
    ///
    /// # Errors
    /// If the sum is beyond [`CREDIT_LIMIT`].
    pub fn grant(&mut self, bytes: u32) -> Result<(), PeerMisbehaved> {
        let sum = self.credit_bytes + u64::from(bytes);
        if sum > CREDIT_LIMIT {
            return Err(PeerMisbehaved::Credit {
                stream: self.stream,
                granted: u64::from(bytes),
                held: self.credit_bytes,
            });
        }
        self.credit_bytes = sum;
        Ok(())
    }
}
