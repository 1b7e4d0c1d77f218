use std::error::Error as StdError;

/// Why a channel or a server could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not the address of a server.
    #[error(
        "{text:?} is not an address: {reason}; expected http://host:port, unix:/path or nowire:name"
    )]
    Address {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Shared memory was required, or is all the address offers, and could not
    /// be had.
    #[error("{address} cannot be reached through shared memory: {reason}")]
    Memory {
        /// The address.
        address: String,
        /// Why not, and what to do about it.
        reason: String,
    },
    /// HTTP/2 could not be had either.
    #[error("{address} cannot be reached over HTTP/2: {source}")]
    Http2 {
        /// The address.
        address: String,
        /// What tonic's transport says.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The address to listen at cannot be had.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The HTTP/2 server failed.
    #[error("serving HTTP/2 failed: {0}")]
    Serve(#[source] tonic::transport::Error),
}
