//! Streams of requests and replies, as a handler sees them: in the pool, and as
//! a task.

mod replies;
mod requests;

pub use replies::{AsyncReplies, Replies};
pub use requests::{AsyncRequests, Request, Requests};

/// The call is over: the caller gave up, died, or waited long enough. The
/// handler returns; what it returns goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody waits for this call any more")]
pub struct CallOver;
