//! RPC without the wire: calls through shared memory.
//!
//! Two processes meet at a Unix socket ([`Listener`], [`meet`]), hand each other
//! the outbox that each owns, and from then on talk by load and store. There are
//! two doors:
//!
//! - **Native calls**: a trait whose arguments are structures that lie where the
//!   caller built them ([`service`](macro@service), [`Shared`], [`Server`],
//!   [`connect`]). Nothing is encoded.
//! - **Streams** ([`Connection`]), for doors above that bring bytes of their own,
//!   such as `nowire-grpc`. A connection carries many at a time; a stream is one
//!   call: a header block, data, and trailers back.
//!
//! ```
//! use nowire::{Kept, Ptr, Shared, Slice, Str};
//!
//! #[derive(Clone, Copy, Shared)]
//! struct Line { sku: u32, count: u32 }
//!
//! #[derive(Shared)]
//! struct Order<'s> {
//!     id: u64,
//!     note: Str<'s>,
//!     lines: Slice<'s, Line>,
//!     parent: Option<Ptr<'s, Order<'s>>>,
//! }
//!
//! #[nowire::service]
//! trait Pricing {
//!     /// What an order costs, in cents.
//!     fn quote(&self, order: &Order) -> u64;
//! }
//!
//! struct Flat;
//!
//! impl Pricing for Flat {
//!     fn quote(&self, order: &Order) -> u64 {
//!         order.lines.iter().map(|line| u64::from(line.count) * 250).sum()
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = std::env::temp_dir().join(format!("nowire-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&dir)?;
//! # let server = nowire::Server::builder().runtime_dir(&dir);
//! # let mut options = nowire::ChannelOptions::default();
//! # options.connect.runtime_dir = Some(dir.clone());
//! # /*
//! let server = nowire::Server::builder();
//! # */
//! let server = server.add(PricingServer::new(Flat)).start("pricing")?;
//!
//! # let channel = nowire::connect_with("pricing", options)?;
//! # /*
//! let channel = nowire::connect("pricing")?;
//! # */
//! let pricing = PricingClient::new(channel);
//! let scope = pricing.scope()?;
//! let order = scope.build(Order {
//!     id: 7,
//!     note: scope.str("gift")?,
//!     lines: scope.slice(&[Line { sku: 1, count: 2 }])?,
//!     parent: None,
//! })?;
//! assert_eq!(*pricing.quote(&order)?, 500);
//! # drop(server);
//! # std::fs::remove_dir_all(&dir)?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

// Derived code names this crate as its users do.
extern crate self as nowire;

mod address;
mod announcement;
mod budget;
mod cell;
mod connection;
mod connector;
mod crash;
mod descriptors;
mod driver;
mod error;
mod exchange;
mod heap_options;
mod listener;
mod looking;
mod met;
mod names;
mod native;
mod owed;
mod peer;
mod pool;
mod receiving;
pub mod refs;
mod runtime_dir;
mod sending;
mod shared;
mod stream;
mod table;
mod trust;
mod wait;
mod watched;
mod welcoming;

pub use address::{Address, AddressError};
pub use budget::{Charge, Usage};
pub use connection::{Connection, ConnectionOptions};
pub use connector::{ConnectError, ConnectOptions, meet};
pub use driver::{Accept, Driver, Handling, KeepAlive};
pub use error::{ConnectionError, StreamError};
pub use exchange::DescriptorError;
pub use heap_options::{HeapOptions, Heaps, SealFrom};
pub use listener::{AcceptError, ListenError, ListenOptions, Listener};
pub use met::Met;
pub use native::{
    AsyncExchange, AsyncReplies, AsyncRequests, Bound, CallError, CallOver, Channel,
    ChannelOptions, Code, Context, Exchange, Kept, Mismatch, Pending, Replies, Reply, Request,
    Requests, Running, ScopeUnavailable, ServeError, Server, ServerBuilder, Service, connect,
    connect_with,
};
pub use nowire_macros::{Shared, service};
pub use nowire_memory::data::{
    Flaw, HashMap, Layout, Lent, Map, Never, Ptr, Scope, ScopeError, Shared, Slice, Str,
};
pub use nowire_memory::heap::{Crossover, Keeping};
pub use nowire_memory::keep_freed_memory;
pub use nowire_protocol::frame::{ResetCode, StreamId};
pub use nowire_protocol::head::Block;
pub use peer::Peer;
pub use refs::{Blob, Buffer, Pool, Ref, RefError, RefOptions};
pub use runtime_dir::{RuntimeDirError, runtime_dir};
pub use shared::Vacancy;
pub use stream::{Incoming, Receiver, Sender, Sending, Stream};
pub use trust::Trust;
pub use wait::Wait;

/// Where tests can have the process killed; not for anybody else.
#[cfg(feature = "crash-points")]
#[doc(hidden)]
pub mod crash_points {
    pub use crate::crash::{ALL, arm};
}

/// What the code that the macros write calls; not for anybody else.
#[doc(hidden)]
pub mod macro_support {
    pub use nowire_memory::data::*;

    pub use nowire_memory::heap::Taken;

    pub use nowire_memory::refs::Travel;

    pub use crate::native::{
        Arguments, AsBlob, Attach, Attached, Attaching, BlobIndex, Bound, Call, Carried, Exchange,
        Item, Method, NoReference, Pending, RefIndex, Replied, Requested, Rooted, Runs, Service,
        Task, Way, With, put,
    };
}
