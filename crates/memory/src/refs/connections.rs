//! Where a segment is known to be.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Connections of which is remembered that they have a segment, beside the first.
/// What is forgotten costs a copy when a part of it is passed there.
const OTHERS: usize = 63;

/// In the place of a connection; none has this number.
const NONE: u64 = 0;

/// Connections on which a segment is known to have been received, or sent.
#[derive(Debug, Default)]
pub(super) struct Connections {
    /// For most segments there is no other.
    first: AtomicU64,
    others: Mutex<Vec<u64>>,
}

impl Connections {
    #[inline]
    pub(super) fn has(&self, connection: u64) -> bool {
        // Only a number: what is known of it was true before it was put there.
        match self.first.load(Ordering::Relaxed) {
            NONE => false,
            first => first == connection || self.others().contains(&connection),
        }
    }

    #[inline]
    pub(super) fn add(&self, connection: u64) {
        let first = &self.first;
        match first.compare_exchange(NONE, connection, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => {}
            Err(first) if first == connection => {}
            Err(_) => self.add_other(connection),
        }
    }

    #[cold]
    fn add_other(&self, connection: u64) {
        let mut others = self.others();
        if others.contains(&connection) {
            return;
        }
        if others.len() >= OTHERS {
            others.remove(0);
        }
        others.push(connection);
    }

    fn others(&self) -> MutexGuard<'_, Vec<u64>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
