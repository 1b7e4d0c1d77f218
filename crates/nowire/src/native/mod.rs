//! Native calls: arguments and results are structures that lie where they were
//! built, and a call carries where.
//!
//! A client ([`Channel`], [`Bound`]) and a server ([`Server`], [`Call`]) each
//! have a [`Link`](link::Link): one ring and one heap for each direction. What
//! generated code calls is in [`service`], [`call`] and [`bound`].

mod bound;
mod call;
mod call_error;
mod calls;
mod channel;
mod context;
mod describe;
mod dispatch;
mod held;
mod kept;
mod link;
mod poller;
mod pool;
mod reply;
mod server;
mod service;
mod serving;
mod streaming;
mod value;

pub use bound::{Bound, Exchange, Pending};
pub use call::Call;
pub use call_error::{CallError, Code, Mismatch};
pub use channel::{Channel, ChannelOptions, ScopeUnavailable, connect, connect_with};
pub use context::Context;
pub use kept::Kept;
pub use reply::Reply;
pub use server::{Running, ServeError, Server, ServerBuilder};
pub use service::{Method, Runs, Service, Task};
pub use streaming::{CallOver, Replies, Request, Requests};
