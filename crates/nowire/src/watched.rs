//! The control socket, as tokio watches it.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A socket that is watched for what comes and nothing else: watched for room as
/// well, it would wake this side whenever the peer takes a byte.
pub(crate) type Watched = AsyncFd<OwnedFd>;

/// Has the runtime of the caller watch a socket.
#[allow(
    deprecated,
    reason = "what is wrong with it cannot happen to an `OwnedFd`, which stays what it is"
)]
pub(crate) fn watch(socket: OwnedFd) -> io::Result<Watched> {
    AsyncFd::with_interest(socket, Interest::READABLE)
}
