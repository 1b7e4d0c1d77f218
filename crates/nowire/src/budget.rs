//! What all connections of a listener may have together.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What connections hold at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Connections, those still shaking hands included.
    pub connections: usize,
    /// Shared memory of both sides of those connections, in bytes.
    pub shared_bytes: usize,
}

/// The limits and what is left of them.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: Usage,
    used: Mutex<Usage>,
}

/// A limit that one more connection would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Exceeded {
    #[error("the server has {limit} connections, its limit (max_connections)")]
    Connections { limit: usize },
    #[error(
        "a connection of {asked} bytes, where {used} of {limit} bytes of shared memory are in use (max_shared_bytes)"
    )]
    SharedBytes {
        asked: usize,
        used: usize,
        limit: usize,
    },
}

/// One connection's part of a server's limits, given back when dropped.
#[derive(Debug)]
pub struct Charge {
    taken: Option<Taken>,
}

#[derive(Debug)]
struct Taken {
    budget: Arc<Budget>,
    bytes: usize,
    /// What was added later.
    grown_bytes: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(limit: Usage) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: Mutex::default(),
        })
    }

    pub(crate) fn usage(&self) -> Usage {
        *self.lock()
    }

    /// Takes one connection with `bytes` of shared memory, if there is room.
    pub(crate) fn charge(self: &Arc<Self>, bytes: usize) -> Result<Charge, Exceeded> {
        let Usage {
            connections,
            shared_bytes,
        } = self.limit;
        let mut used = self.lock();
        if used.connections >= connections {
            return Err(Exceeded::Connections { limit: connections });
        }
        // A heap may have grown by a little more than it asked for.
        if bytes > shared_bytes.saturating_sub(used.shared_bytes) {
            let used = used.shared_bytes;
            return Err(Exceeded::SharedBytes {
                asked: bytes,
                used,
                limit: shared_bytes,
            });
        }
        used.connections += 1;
        used.shared_bytes += bytes;
        Ok(Charge {
            taken: Some(Taken {
                budget: Arc::clone(self),
                bytes,
                grown_bytes: AtomicUsize::new(0),
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Usage> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Charge {
    /// A charge on nobody.
    pub(crate) fn none() -> Self {
        Self { taken: None }
    }

    /// Whether the connection may have `bytes` on top of what it began with, and
    /// how many more there are.
    pub(crate) fn may_grow_to(&self, bytes: usize) -> Result<usize, Exceeded> {
        let Some(taken) = &self.taken else {
            return Ok(usize::MAX);
        };
        let used = taken.budget.lock().shared_bytes;
        let limit = taken.budget.limit.shared_bytes;
        let asked = bytes.saturating_sub(taken.grown_bytes.load(Ordering::Relaxed));
        let left = limit.saturating_sub(used);
        if asked > left {
            return Err(Exceeded::SharedBytes { asked, used, limit });
        }
        Ok(left - asked)
    }

    /// The connection has `bytes` on top of what it began with.
    pub(crate) fn has_grown_to(&self, bytes: usize) {
        if let Some(taken) = &self.taken {
            let mut used = taken.budget.lock();
            let before = taken.grown_bytes.swap(bytes, Ordering::Relaxed);
            used.shared_bytes = used.shared_bytes - before + bytes;
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            let mut used = taken.budget.lock();
            used.connections -= 1;
            used.shared_bytes -= taken.bytes + taken.grown_bytes.into_inner();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_holds_and_a_dropped_charge_comes_back() {
        let budget = Budget::new(Usage {
            connections: 2,
            shared_bytes: 100,
        });
        let first = budget.charge(60).expect("room");
        let too_large = Exceeded::SharedBytes {
            asked: 41,
            used: 60,
            limit: 100,
        };
        assert_eq!(budget.charge(41).err(), Some(too_large));
        let second = budget.charge(40).expect("room");
        assert_eq!(
            budget.usage(),
            Usage {
                connections: 2,
                shared_bytes: 100
            }
        );
        assert_eq!(
            budget.charge(0).err(),
            Some(Exceeded::Connections { limit: 2 })
        );
        drop(first);
        assert_eq!(
            budget.usage(),
            Usage {
                connections: 1,
                shared_bytes: 40
            }
        );
        drop(second);
        assert_eq!(budget.usage(), Usage::default());
        assert!(budget.charge(usize::MAX).is_err());
    }
}
