//! What all connections of a listener may have together.

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
    taken: Option<(Arc<Budget>, usize)>,
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
        // Never more than the limit is in use, so the difference cannot wrap.
        if bytes > shared_bytes - used.shared_bytes {
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
            taken: Some((Arc::clone(self), bytes)),
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
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some((budget, bytes)) = self.taken.take() {
            let mut used = budget.lock();
            used.connections -= 1;
            used.shared_bytes -= bytes;
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
