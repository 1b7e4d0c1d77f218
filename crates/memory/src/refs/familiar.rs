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
//! and could not be opened. Only those of which most was read are mapped when they come
//! again: who reads a little of a large one is better off without.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::Stat;

use super::Source;
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

/// Segments of which is remembered that they were read once.
const REMEMBERED: usize = 256;

/// Of the segments that come again when as many are mapped as may be, one in so many
/// takes the place of what was not used for longest. If each did, those of a round of
/// too many would all push each other out before they are used.
const ADMITTED_OF: usize = 16;

static FAMILIAR: Mutex<Familiar> = Mutex::new(Familiar {
    kept: VecDeque::new(),
    kept_bytes: 0,
    seen: VecDeque::new(),
    turned_away: 0,
    process: 0,
});

struct Familiar {
    /// What was used last is last.
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    seen: VecDeque<Identity>,
    /// Segments for which there was no room.
    turned_away: usize,
    /// The process that `kept` is mapped in.
    process: u32,
}

struct Kept {
    identity: Identity,
    mapping: Arc<Mapping>,
    /// Where a ref to it last came from.
    connection: u64,
}

/// A file, as long as somebody has it. All memory files of a system are in one file
/// system, which numbers them; before Linux 5.9 with 32 bits, which come round. What is
/// sealed keeps the time of its last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    changed: (i64, u64),
}

impl Identity {
    /// Of a segment of `size_bytes`, if it may be mapped when it comes again.
    pub(super) fn of(size_bytes: usize, stat: &Stat) -> Option<Self> {
        let fits = (SMALLEST_BYTES..=KEPT_BYTES).contains(&size_bytes);
        let is_own = || stat.st_uid == rustix::process::geteuid().as_raw();
        (fits && is_own()).then_some(Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        })
    }
}

/// Notes that most of a segment was read, so that it is mapped if it comes again.
pub(super) fn remember(identity: Identity) {
    let mut familiar = lock();
    if familiar.seen.contains(&identity) {
        return;
    }
    if familiar.seen.len() >= REMEMBERED {
        familiar.seen.pop_front();
    }
    familiar.seen.push_back(identity);
}

/// A mapping of all `size_bytes` of `file`, which has just been verified to be a
/// segment of that size with this identity, if it is [remembered](remember). Whoever
/// uses the mapping must hold `file` meanwhile.
pub(super) fn mapping_of(
    file: BorrowedFd<'_>,
    size_bytes: usize,
    identity: Identity,
    source: &Source,
) -> Option<Arc<Mapping>> {
    {
        let mut familiar = lock();
        if let Some(mapping) = familiar.find(identity, source) {
            return Some(mapping);
        }
        if source.is_over() || !familiar.recalls(identity) || !familiar.admits(size_bytes) {
            return None;
        }
    }
    // A reader meets no hole there: the kernel would have to give it a page.
    segment::verify(file, size_bytes, SEALABLE).ok()?;
    let mapping = Mapping::readable(reopen_to_read(file).ok()?.as_fd(), size_bytes).ok()?;
    let kept = Kept {
        identity,
        mapping: Arc::new(mapping),
        connection: source.connection(),
    };
    let mapping = Arc::clone(&kept.mapping);
    // Unmapping takes a while: not under the lock.
    let gone = lock().keep(kept, source);
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
    let mut familiar = FAMILIAR.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if familiar.process != process {
        familiar.process = process;
        familiar.forget_parents();
    }
    familiar
}

impl Familiar {
    fn find(&mut self, identity: Identity, source: &Source) -> Option<Arc<Mapping>> {
        let at = (self.kept.iter()).rposition(|kept| kept.identity == identity)?;
        let mut kept = self.kept.remove(at)?;
        if !source.is_over() {
            kept.connection = source.connection();
        }
        let mapping = Arc::clone(&kept.mapping);
        self.kept.push_back(kept);
        Some(mapping)
    }

    /// Whether the segment was [remembered](remember); from now on it is not.
    fn recalls(&mut self, identity: Identity) -> bool {
        let at = self.seen.iter().rposition(|&seen| seen == identity);
        at.and_then(|at| self.seen.remove(at)).is_some()
    }

    /// Whether another segment is to be kept.
    fn admits(&mut self, size_bytes: usize) -> bool {
        if self.kept_bytes + size_bytes <= KEPT_BYTES && self.kept.len() < KEPT_SEGMENTS {
            return true;
        }
        self.turned_away += 1;
        self.turned_away.is_multiple_of(ADMITTED_OF)
    }

    /// Returns what there is no room for.
    fn keep(&mut self, kept: Kept, source: &Source) -> Vec<Kept> {
        // It ends before what came from it is forgotten, so it is noticed here or there.
        if source.is_over() {
            return vec![kept];
        }
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

    /// Forgets what was mapped in the process that this one was forked from: here it is
    /// not, and something else may be in its place.
    fn forget_parents(&mut self) {
        self.kept.drain(..).for_each(std::mem::forget);
        self.kept_bytes = 0;
    }

    fn remove(&mut self, at: usize) -> Option<Kept> {
        let kept = self.kept.remove(at)?;
        self.kept_bytes -= kept.mapping.size_bytes();
        Some(kept)
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs;

    use super::{Identity, mapping_of, remember};
    use crate::heap::Keeping;
    use crate::refs::Source;
    use crate::sys::warm::Warm;

    const BYTES: usize = 64 << 10;

    fn segment(byte: u8) -> Warm {
        let mut warm = Warm::create("familiar", BYTES).expect("memory");
        warm.set_len(BYTES);
        warm.bytes_mut().fill(byte);
        warm
    }

    #[test]
    fn a_number_that_the_kernel_uses_again_is_not_taken_for_the_old_file() {
        let source = Source::new(u64::MAX - 1, 0, Keeping::Copy, 1, "the peer");
        let (old, new) = (segment(1), segment(2));
        let (old, new) = (old.reader().expect("open"), new.reader().expect("open"));
        let mut stat = fs::fstat(old).expect("fstat");
        let identity = Identity::of(BYTES, &stat).expect("large enough, and our own");
        assert!(mapping_of(old, BYTES, identity, &source).is_none());
        remember(identity);
        let mapping = mapping_of(old, BYTES, identity, &source).expect("it came again");
        // Before Linux 5.9 numbers of files have 32 bits and come round.
        stat.st_ctime += 1;
        let identity = Identity::of(BYTES, &stat).expect("large enough, and our own");
        for _ in 0..3 {
            remember(identity);
            if let Some(mapping) = mapping_of(new, BYTES, identity, &source) {
                let mut byte = [0];
                mapping.copy_out(0, &mut byte);
                assert_eq!(byte, [2]);
            }
        }
        let mut byte = [0];
        mapping.copy_out(0, &mut byte);
        assert_eq!(byte, [1]);
    }
}
