//! Asking the kernel whether anybody else has a file.
//!
//! Rules of this module:
//! 1. `fcntl` is called with commands whose argument is a number.

use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::{self, Errno};

const F_SETSIG: libc::c_int = 10;

/// Makes `file` fit for [`other_holders`]. To be called once for each open file.
pub(crate) fn prepare(file: BorrowedFd<'_>) -> io::Result<()> {
    // A lease that somebody else's open breaks raises SIGIO, which would end the
    // process; this signal is ignored by default.
    number(file, F_SETSIG, libc::SIGURG)
}

/// What the kernel says about who has a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holders {
    /// Nobody else.
    None,
    /// Somebody else.
    Some,
    /// The kernel will not tell.
    Unknown,
}

/// Whether `file`, opened for reading and writing, is the only open file of its
/// inode in the whole system: no descriptor of another one is in a process or on
/// its way through a socket, and nothing is mapped by one. (Mappings made by
/// `file` itself do not count.)
///
/// A write lease is what the kernel grants exactly then. It is given back at once.
pub(crate) fn other_holders(file: BorrowedFd<'_>) -> Holders {
    match number(file, libc::F_SETLEASE, libc::F_WRLCK) {
        Ok(()) => {}
        Err(Errno::AGAIN | Errno::BUSY) => return Holders::Some,
        Err(_) => return Holders::Unknown,
    }
    match number(file, libc::F_SETLEASE, libc::F_UNLCK) {
        Ok(()) => Holders::None,
        Err(_) => Holders::Unknown,
    }
}

fn number(file: BorrowedFd<'_>, command: libc::c_int, argument: libc::c_int) -> io::Result<()> {
    // SAFETY: rule 1; the descriptor is open as long as it is borrowed.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), command, argument) };
    if result < 0 {
        let errno = std::io::Error::last_os_error().raw_os_error();
        return Err(Errno::from_raw_os_error(errno.unwrap_or(libc::EIO)));
    }
    Ok(())
}
