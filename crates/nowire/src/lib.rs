//! RPC without the wire: connections through shared memory.
//!
//! Two processes meet at a Unix socket ([`Listener`], [`connect`]), hand each
//! other the outbox that each owns, and from then on talk by load and store
//! ([`Connection`]). A connection carries many streams at a time; a stream is
//! one call: a header block, data, and trailers back. What the blocks and the
//! data mean is the business of the door above, such as `nowire-grpc`.
#![forbid(unsafe_code)]

mod address;
mod budget;
mod cell;
mod connection;
mod driver;
mod error;
mod met;
mod peer;
mod pool;
mod shared;
mod stream;
mod table;
mod wait;

pub use address::{Address, AddressError};
pub use cell::Block;
pub use connection::{Connection, ConnectionOptions};
pub use driver::{Accept, Handling, KeepAlive};
pub use error::{ConnectionError, StreamError};
pub use met::Met;
pub use nowire_protocol::frame::{ResetCode, StreamId};
pub use peer::Peer;
pub use stream::{Incoming, Receiver, Sender, Sending, Stream};
pub use wait::Wait;
