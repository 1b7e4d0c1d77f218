//! Native calls: arguments and results are structures that lie where they were
//! built, and a call carries where.
//!
//! A client ([`Channel`], [`Bound`]) and a server ([`Server`], [`Call`]) each
//! have a [`Link`](link::Link): one ring and one heap for each direction. What
//! generated code calls is in [`service`], [`call`] and [`bound`].

mod attached;
mod binding;
mod bound;
mod built;
mod call;
mod call_error;
mod calls;
mod channel;
mod client;
mod context;
mod describe;
mod dispatch;
mod exchange;
mod held;
mod kept;
mod link;
mod outgoing;
mod pending;
mod poller;
mod pool;
mod reply;
mod server;
mod service;
mod serving;
mod streaming;
mod value;
mod waiting;
mod watcher;
mod way;

pub use attached::{Attached, Attaching, BlobIndex, NoReference, RefIndex};
pub use bound::Bound;
pub use call::Call;
pub use call_error::{CallError, Code, Mismatch};
pub use channel::{Channel, ChannelOptions, ScopeUnavailable, connect, connect_with};
pub use context::Context;
pub use exchange::{AsyncExchange, Exchange};
pub use kept::Kept;
pub use pending::Pending;
pub use reply::Reply;
pub use server::{Running, ServeError, Server, ServerBuilder};
pub use service::{Method, Runs, Service, Task};
pub use streaming::{AsyncReplies, AsyncRequests, CallOver, Replies, Request, Requests};
pub use way::{
    Arguments, AsBlob, Attach, Carried, Item, Replied, Requested, Rooted, Way, With, put,
};
