use std::sync::Arc;

use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::ResetCode;

/// Why a connection is no more.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer's process has ended, or closed its side. Calls that were
    /// pending may have run.
    #[error("{peer} is gone; calls that were pending may have run")]
    PeerGone {
        /// The peer.
        peer: Arc<str>,
    },
    /// The peer broke the protocol. Nothing else of it can be believed.
    #[error("{peer} misbehaved and was cut off: {what}")]
    PeerMisbehaved {
        /// The peer.
        peer: Arc<str>,
        /// What it did.
        what: PeerMisbehaved,
    },
    /// The peer lives but did not answer a keep-alive ping in time.
    #[error("{peer} did not answer a keep-alive ping within {timeout_ms} ms")]
    PeerSilent {
        /// The peer.
        peer: Arc<str>,
        /// The time it had, in milliseconds.
        timeout_ms: u64,
    },
    /// The peer lives and makes this side answer, but takes nothing off its ring.
    #[error("{peer} has left {frames} answers unread and was cut off")]
    PeerStuck {
        /// The peer.
        peer: Arc<str>,
        /// Frames that found no room.
        frames: usize,
    },
    /// The server is shutting down and takes no further calls; those it has
    /// taken go on. The call was not begun: connect again.
    #[error("{peer} is shutting down and takes no further calls")]
    GoingAway {
        /// The peer.
        peer: Arc<str>,
    },
    /// This side closed the connection.
    #[error("the connection to {peer} was closed here")]
    Closed {
        /// The peer.
        peer: Arc<str>,
    },
    /// This side could not map memory that the peer shares. Look at its limits of
    /// mappings, open files and memory.
    #[error("memory of {peer} could not be mapped here: {error}")]
    Memory {
        /// The peer.
        peer: Arc<str>,
        /// What failed.
        error: String,
    },
    /// The control socket failed.
    #[error("the control socket of {peer} failed: {error}; is the limit of open files reached?")]
    Socket {
        /// The peer.
        peer: Arc<str>,
        /// What the system said.
        error: Arc<std::io::Error>,
    },
}

/// Why a stream ended before its time.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The peer reset this stream; the connection lives on.
    #[error("the peer reset the stream: {0:?}")]
    Reset(ResetCode),
    /// The connection is no more.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
}
