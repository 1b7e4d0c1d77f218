use nowire_memory::socket::{self, Credentials};
use rustix::fd::BorrowedFd;

/// Whose processes are dealt with besides this process's own user.
///
/// The kernel tells who a peer was when it connected or began to listen, in
/// this process's user namespace. A user who has no number here appears as the
/// overflow user, 65534 on most machines: where user namespaces share a runtime
/// directory, neither trust that number nor run as it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Users.
    pub uids: Vec<u32>,
    /// Groups, primary or supplementary.
    pub gids: Vec<u32>,
}

impl Trust {
    /// Whether nobody but this process's own user is trusted.
    pub(crate) fn is_own_user_only(&self) -> bool {
        self.uids.is_empty() && self.gids.is_empty()
    }

    /// Whether the process at the other end of `socket` is trusted.
    pub(crate) fn includes(&self, peer: Credentials, socket: BorrowedFd<'_>) -> bool {
        let is_own = peer.uid == rustix::process::geteuid().as_raw();
        if is_own || self.uids.contains(&peer.uid) || self.gids.contains(&peer.gid) {
            return true;
        }
        if self.gids.is_empty() {
            return false;
        }
        // A kernel that does not tell the groups leaves the primary one.
        let groups = socket::peer_groups(socket).unwrap_or_default();
        groups.iter().any(|group| self.gids.contains(group))
    }
}
