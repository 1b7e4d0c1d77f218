//! Marks on an open file, which last as long as anybody has it.
//!
//! A mark is a read lock of the open file description (`F_OFD_SETLK`, Linux 3.15).
//! It goes wherever the description goes, through sockets and into mappings, and the
//! kernel takes it away with the last of them.
//!
//! Rules of this module:
//! 1. `fcntl` is called with commands whose argument is a `flock`, which lives until
//!    it returns.

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::{self, Errno};

use super::lease::Holders;

/// Marks `file`, which is open for reading.
pub(crate) fn set(file: BorrowedFd<'_>) -> io::Result<()> {
    lock(file, libc::F_OFD_SETLK, libc::F_RDLCK).map(drop)
}

/// Whether a [marked](set) open file of the inode of `file`, other than `file`, is
/// open or mapped anywhere, or on its way through a socket.
pub(crate) fn holders(file: BorrowedFd<'_>) -> Holders {
    match lock(file, libc::F_OFD_GETLK, libc::F_WRLCK) {
        Ok(in_the_way) if i32::from(in_the_way) == libc::F_UNLCK => Holders::None,
        Ok(_) => Holders::Some,
        Err(_) => Holders::Unknown,
    }
}

/// Asks for a lock of the whole file; returns what the kernel made of its kind.
fn lock(
    file: BorrowedFd<'_>,
    command: libc::c_int,
    kind: libc::c_int,
) -> io::Result<libc::c_short> {
    // `fcntl` takes the kinds as numbers that fit.
    let narrow = |number: libc::c_int| number as libc::c_short;
    let mut lock = libc::flock {
        l_type: narrow(kind),
        l_whence: narrow(libc::SEEK_SET),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // SAFETY: rule 1; the descriptor is open as long as it is borrowed.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) };
    if result < 0 {
        let errno = std::io::Error::last_os_error().raw_os_error();
        return Err(Errno::from_raw_os_error(errno.unwrap_or(libc::EIO)));
    }
    Ok(lock.l_type)
}
