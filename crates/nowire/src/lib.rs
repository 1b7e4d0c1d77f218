//! RPC without the wire: connections through shared memory.
//!
//! Two processes meet at a Unix socket ([`Listener`], [`connect`]), hand each
//! other the outbox that each owns, and from then on talk by load and store
//! ([`Connection`]). A connection carries many streams at a time; a stream is
//! one call: a header block, data, and trailers back. What the blocks and the
//! data mean is the business of the door above, such as `nowire-grpc`.
#![forbid(unsafe_code)]

mod address;
mod announcement;
mod budget;
mod cell;
mod connection;
mod connector;
mod driver;
mod error;
mod exchange;
mod listener;
mod looking;
mod met;
mod names;
mod peer;
mod pool;
mod receiving;
mod runtime_dir;
mod sending;
mod shared;
mod stream;
mod table;
mod trust;
mod wait;
mod welcoming;

pub use address::{Address, AddressError};
pub use budget::{Charge, Usage};
pub use connection::{Connection, ConnectionOptions};
pub use connector::{ConnectError, ConnectOptions, connect};
pub use driver::{Accept, Driver, Handling, KeepAlive};
pub use error::{ConnectionError, StreamError};
pub use exchange::DescriptorError;
pub use listener::{AcceptError, ListenError, ListenOptions, Listener};
pub use met::Met;
pub use nowire_memory::keep_freed_memory;
pub use nowire_protocol::frame::{ResetCode, StreamId};
pub use nowire_protocol::head::Block;
pub use peer::Peer;
pub use runtime_dir::{RuntimeDirError, runtime_dir};
pub use shared::Vacancy;
pub use stream::{Incoming, Receiver, Sender, Sending, Stream};
pub use trust::Trust;
pub use wait::Wait;
