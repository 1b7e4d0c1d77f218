//! Who is at the other end of a Unix socket.
//!
//! Rules of this module:
//! 1. The kernel gets a pointer to, and the exact size of, a live `ucred`.

use std::mem;

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io;

/// `(pid, uid, gid)` of the process that connected, or that listens. The pid is
/// 0 when the peer lives in a pid namespace that cannot be seen from here, a
/// value rustix's own type for it may not hold.
pub(crate) fn of_peer(socket: BorrowedFd<'_>) -> io::Result<(u32, u32, u32)> {
    let mut credentials = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut bytes = mem::size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: rule 1; the pointers live until the call returns.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut bytes,
        )
    };
    if result != 0 {
        let errno = std::io::Error::last_os_error().raw_os_error();
        return Err(io::Errno::from_raw_os_error(errno.unwrap_or(libc::EIO)));
    }
    Ok((
        credentials.pid.max(0).unsigned_abs(),
        credentials.uid,
        credentials.gid,
    ))
}
