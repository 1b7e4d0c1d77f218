use std::fmt;

use nowire_memory::socket::Credentials;

/// The process at the other end of a connection, as the kernel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its process id; 0 when it cannot be seen from this pid namespace.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
    /// What to call it: the address it was found at, or through which it came.
    pub label: String,
}

impl Peer {
    pub(crate) fn new(credentials: Credentials, label: String) -> Self {
        let Credentials { pid, uid, gid } = credentials;
        Self {
            pid,
            uid,
            gid,
            label,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pid, uid, label, ..
        } = self;
        match pid {
            0 => write!(f, "{label} (pid unknown, uid {uid})"),
            _ => write!(f, "{label} (pid {pid}, uid {uid})"),
        }
    }
}
