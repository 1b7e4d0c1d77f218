//! Segments of others that come again and again, as their owners use them again:
//! these stay mapped between the refs that name them.
//!
//! Copying from a mapping takes half the time of `pread` when another core wrote the
//! bytes, but making and removing the mapping takes what that saves. A mapping made
//! here is of a file that this process opened itself, so it does not
//! [mark](crate::sys::mark) the segment as held: its owner can use it again, and
//! whoever reads from the mapping needs a ref to the segment as well.
//!
//! Only segments of this process's own user are kept. Those of others are used once,
//! and could not be opened.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::Stat;

use crate::segment::{self, SEALABLE};
use crate::sys::mapping::Mapping;
use crate::sys::warm::reopen_to_read;

/// Segments below are read as quickly without.
const SMALLEST_BYTES: usize = 16 << 10;

/// What is kept mapped, at most, of all owners together. It is memory that an owner
/// that has given it up, or has died, cannot give back to the kernel.
const KEPT_BYTES: usize = 64 << 20;

/// Segments kept mapped, at most. They are looked through one by one.
const KEPT_SEGMENTS: usize = 128;

/// Segments of which is remembered that they came once.
const REMEMBERED: usize = 256;

static FAMILIAR: Mutex<Familiar> = Mutex::new(Familiar {
    kept: VecDeque::new(),
    kept_bytes: 0,
    seen: VecDeque::new(),
});

struct Familiar {
    /// What was used last is last.
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    seen: VecDeque<Identity>,
}

struct Kept {
    identity: Identity,
    mapping: Arc<Mapping>,
    /// Where a ref to it last came from.
    connection: u64,
}

/// A file, as long as somebody has it. All memory files of a system are in one file
/// system, which numbers them with 64 bits and uses no number twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

/// A mapping of all `size_bytes` of `file`, which has just been verified to be a
/// segment of that size and to be the file of `stat`, if it came before. Whoever uses
/// the mapping must hold `file` meanwhile.
pub(super) fn mapping_of(
    file: BorrowedFd<'_>,
    size_bytes: usize,
    stat: &Stat,
    connection: u64,
) -> Option<Arc<Mapping>> {
    let fits = (SMALLEST_BYTES..=KEPT_BYTES).contains(&size_bytes);
    if !fits || stat.st_uid != rustix::process::geteuid().as_raw() {
        return None;
    }
    let identity = Identity {
        device: stat.st_dev,
        inode: stat.st_ino,
    };
    {
        let mut familiar = lock();
        if let Some(mapping) = familiar.find(identity, connection) {
            return Some(mapping);
        }
        if !familiar.has_seen(identity) {
            return None;
        }
    }
    // A reader meets no hole there: the kernel would have to give it a page.
    segment::verify(file, size_bytes, SEALABLE).ok()?;
    let mapping = Mapping::readable(reopen_to_read(file).ok()?.as_fd(), size_bytes).ok()?;
    let kept = Kept {
        identity,
        mapping: Arc::new(mapping),
        connection,
    };
    let mapping = Arc::clone(&kept.mapping);
    // Unmapping takes a while: not under the lock.
    let gone = lock().keep(kept);
    drop(gone);
    Some(mapping)
}

/// Lets go of what last came over `connection`, which has ended.
pub(super) fn forget(connection: u64) {
    let mut gone = Vec::new();
    {
        let mut familiar = lock();
        while let Some(at) = (familiar.kept.iter()).position(|kept| kept.connection == connection) {
            gone.extend(familiar.remove(at));
        }
    }
    drop(gone);
}

fn lock() -> MutexGuard<'static, Familiar> {
    // Nothing that holds the lock can panic half-way but for a bug.
    FAMILIAR.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Familiar {
    fn find(&mut self, identity: Identity, connection: u64) -> Option<Arc<Mapping>> {
        let at = (self.kept.iter()).rposition(|kept| kept.identity == identity)?;
        let mut kept = self.kept.remove(at)?;
        kept.connection = connection;
        let mapping = Arc::clone(&kept.mapping);
        self.kept.push_back(kept);
        Some(mapping)
    }

    /// Whether the segment came before; remembers that it did.
    fn has_seen(&mut self, identity: Identity) -> bool {
        if let Some(at) = self.seen.iter().rposition(|&seen| seen == identity) {
            self.seen.remove(at);
            return true;
        }
        if self.seen.len() >= REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(identity);
        false
    }

    /// Returns what there is no room for.
    fn keep(&mut self, kept: Kept) -> Vec<Kept> {
        let mut gone = Vec::new();
        // Another thread may have been at it, too.
        let same = (self.kept.iter()).position(|other| other.identity == kept.identity);
        gone.extend(same.and_then(|at| self.remove(at)));
        self.kept_bytes += kept.mapping.size_bytes();
        self.kept.push_back(kept);
        while self.kept_bytes > KEPT_BYTES || self.kept.len() > KEPT_SEGMENTS {
            let Some(oldest) = self.remove(0) else { break };
            gone.push(oldest);
        }
        gone
    }

    fn remove(&mut self, at: usize) -> Option<Kept> {
        let kept = self.kept.remove(at)?;
        self.kept_bytes -= kept.mapping.size_bytes();
        Some(kept)
    }
}
