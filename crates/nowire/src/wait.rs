//! How long a waiting side looks at memory before it sleeps.
//!
//! Waking a sleeping process costs tens of microseconds, a look at a cache line
//! a tenth of one. So a wait begins with looking, for a *window* that grows while
//! answers come soon and shrinks to nothing while they do not, as the kernel's
//! halt polling does. Looking happens in short bursts; between them the executor
//! runs other tasks. A process looks with fewer threads than it has cores.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How a connection waits for its peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Looks for as long as that paid off lately, at most 100 µs, then sleeps
    /// until the doorbell rings. An idle connection costs nothing.
    #[default]
    Adaptive,
    /// Looks for 10 ms before it sleeps: the lowest latency for a peer that
    /// answers late, for the price of a core during that time.
    Spin,
    /// Sleeps at once: the least CPU time, and tens of microseconds a wake-up.
    Park,
}

/// Longest time that a task looks without letting others run.
pub(crate) const BURST: Duration = Duration::from_micros(20);
const LARGEST: Duration = Duration::from_micros(100);
const SMALLEST: Duration = Duration::from_micros(5);
const FIRST: Duration = Duration::from_micros(50);
const SPIN: Duration = Duration::from_millis(10);
/// A wait that ended this soon would have been worth looking through, the time
/// to wake up included.
const SOON: Duration = Duration::from_micros(160);

/// The time to look, learnt from the waits of one connection.
#[derive(Debug)]
pub(crate) struct Window {
    policy: Wait,
    length: Duration,
}

impl Window {
    pub(crate) fn new(policy: Wait) -> Self {
        Self {
            policy,
            length: FIRST,
        }
    }

    /// How long to look before sleeping.
    pub(crate) fn length(&self) -> Duration {
        match self.policy {
            Wait::Adaptive => self.length,
            Wait::Spin => SPIN,
            Wait::Park => Duration::ZERO,
        }
    }

    /// Learns from a wait that ended asleep, `waited` after it began.
    pub(crate) fn slept(&mut self, waited: Duration) {
        self.length = if waited < SOON {
            (self.length * 2).clamp(SMALLEST, LARGEST)
        } else if self.length <= SMALLEST {
            Duration::ZERO
        } else {
            self.length / 2
        };
    }
}

/// How many drivers of this process keep looking at the moment.
static HOT: AtomicUsize = AtomicUsize::new(0);

/// Counts one driver that keeps looking, while it lives.
#[derive(Debug)]
pub(crate) struct Hot(());

impl Hot {
    pub(crate) fn new() -> Self {
        HOT.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    pub(crate) fn count() -> usize {
        HOT.load(Ordering::Relaxed)
    }
}

impl Drop for Hot {
    fn drop(&mut self) {
        HOT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Streams of this process that wait for their peer.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Counts one stream among those that may be waited for, while it lives.
#[derive(Debug)]
pub(crate) struct Waiting(());

impl Waiting {
    pub(crate) fn new() -> Self {
        WAITING.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// How many streams of this process wait.
    pub(crate) fn count() -> usize {
        WAITING.load(Ordering::Relaxed)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many tasks of this process may look at the same time: one of a runtime
/// with one thread, else one less than there are cores.
pub(crate) fn lookers() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    let cores = *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from));
    let threads =
        tokio::runtime::Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers());
    cores.min(threads).saturating_sub(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_waits_end_the_looking_and_short_ones_bring_it_back() {
        let mut window = Window::new(Wait::Adaptive);
        assert_eq!(window.length(), FIRST);
        for _ in 0..5 {
            window.slept(Duration::from_millis(2));
        }
        assert_eq!(window.length(), Duration::ZERO);
        window.slept(Duration::from_micros(80));
        assert_eq!(window.length(), SMALLEST);
        for _ in 0..10 {
            window.slept(Duration::from_micros(80));
        }
        assert_eq!(window.length(), LARGEST);
    }

    #[test]
    fn park_never_looks() {
        let mut window = Window::new(Wait::Park);
        window.slept(Duration::from_micros(1));
        assert_eq!(window.length(), Duration::ZERO);
    }
}
