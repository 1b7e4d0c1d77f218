//! Who is at the other end of a Unix socket.
//!
//! Rules of this module:
//! 1. The kernel gets a pointer to, and the exact size of, a live value or slice
//!    that any bytes are a valid value of.

use std::mem;

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::{self, Errno};

/// `(pid, uid, gid)` of the process that connected, or that listens. The pid is
/// 0 when the peer lives in a pid namespace that cannot be seen from here, a
/// value rustix's own type for it may not hold.
pub(crate) fn of_peer(socket: BorrowedFd<'_>) -> io::Result<(u32, u32, u32)> {
    let mut credentials = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let bytes = mem::size_of::<libc::ucred>();
    // SAFETY: rule 1.
    let result = unsafe {
        option(
            socket,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            bytes,
        )
    };
    result?;
    let pid = credentials.pid.max(0).unsigned_abs();
    Ok((pid, credentials.uid, credentials.gid))
}

/// All groups of that process besides its effective one.
pub(crate) fn groups_of_peer(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    // As many as a process can have.
    let mut groups = vec![0_u32; 65_536];
    let bytes = mem::size_of_val(groups.as_slice());
    // SAFETY: rule 1.
    let result = unsafe {
        option(
            socket,
            libc::SO_PEERGROUPS,
            groups.as_mut_ptr().cast(),
            bytes,
        )
    };
    groups.truncate(result? / mem::size_of::<u32>());
    Ok(groups)
}

/// Reads a socket option into `value`, returns how many bytes it takes.
///
/// # Safety
/// `value` is writable for `bytes` bytes.
unsafe fn option(
    socket: BorrowedFd<'_>,
    name: libc::c_int,
    value: *mut libc::c_void,
    bytes: usize,
) -> io::Result<usize> {
    let mut length = bytes as libc::socklen_t;
    // SAFETY: rule 1, passed on from the caller; `length` lives here.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            value,
            &raw mut length,
        )
    };
    if result != 0 {
        let errno = std::io::Error::last_os_error().raw_os_error();
        return Err(Errno::from_raw_os_error(errno.unwrap_or(libc::EIO)));
    }
    Ok(length as usize)
}
