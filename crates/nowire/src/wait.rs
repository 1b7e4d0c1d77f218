//! How long a waiting side looks at memory before it sleeps.
//!
//! Waking a sleeping process costs tens of microseconds, a look at a cache line
//! a tenth of one. So a wait begins with looking, for about as long as a wake-up
//! takes, which at worst doubles the cost of the wait. Where looking finds
//! nothing - the peer is slow, idle, or on the same core - it is tried ever more
//! rarely; where others want the core, perhaps those that would answer, hardly
//! ever. It happens in short bursts; between them the executor runs other tasks.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nowire_memory::offer_core;
use tokio::runtime::RuntimeFlavor;

/// How a connection waits for its peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Wait {
    /// Looks for up to 50 µs if that paid off lately, then sleeps until the
    /// doorbell rings. An idle connection costs nothing.
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
const LOOK: Duration = Duration::from_micros(50);
const SPIN: Duration = Duration::from_millis(10);
/// Looking is tried again after at most this many waits without, as a power of two.
const RAREST: u32 = 8;

/// Moments that a look lasts before it offers its core. A small call is answered
/// in less, and an offer takes a microsecond.
const UNOFFERED: u32 = 4;
/// Moments spent looking for longer than that, from one offer to the next.
const OFFERED_EACH: u32 = 16;
/// Offers of the core taken, those declined since counted off, that make it a
/// crowded one.
const CROWDED: u32 = 2;

/// Whether to look, learnt from the waits of one connection.
#[derive(Debug)]
pub(crate) struct Window {
    policy: Wait,
    /// Looks in a row that found nothing.
    in_vain: u32,
    /// Waits left that sleep at once.
    skip: u32,
    /// Moments that this look has lasted.
    lasted: u32,
    /// Moments of long looks since the core was offered to others.
    unoffered: u32,
    /// How often others took it lately.
    taken: u32,
}

impl Window {
    pub(crate) fn new(policy: Wait) -> Self {
        Self {
            policy,
            in_vain: 0,
            skip: 0,
            lasted: 0,
            unoffered: 0,
            taken: 0,
        }
    }

    /// How long to look before sleeping, in the wait that goes on.
    pub(crate) fn length(&self) -> Duration {
        match self.policy {
            Wait::Adaptive if self.skip == 0 => LOOK,
            Wait::Adaptive | Wait::Park => Duration::ZERO,
            Wait::Spin => SPIN,
        }
    }

    /// A look found something.
    pub(crate) fn paid_off(&mut self) {
        self.in_vain = 0;
        self.lasted = 0;
    }

    /// A look goes on for one moment more: whether to end it, because others want
    /// the core.
    pub(crate) fn is_crowded(&mut self) -> bool {
        self.is_offer_due() && self.offered(offer_core())
    }

    fn is_offer_due(&mut self) -> bool {
        if self.policy != Wait::Adaptive {
            return false;
        }
        self.lasted += 1;
        self.unoffered += u32::from(self.lasted > UNOFFERED);
        let due = self.taken > 0 || self.unoffered >= OFFERED_EACH;
        if due {
            self.unoffered = 0;
        }
        due
    }

    fn offered(&mut self, taken: bool) -> bool {
        if !taken {
            self.taken = self.taken.saturating_sub(1);
            return false;
        }
        self.taken += 1;
        if self.taken < CROWDED {
            return false;
        }
        // The next look finds out with its first offer whether it still is.
        self.taken = CROWDED - 1;
        self.in_vain = RAREST;
        self.skip = 1 << RAREST;
        true
    }

    /// A wait goes to sleep, having looked in vain for its time.
    pub(crate) fn sleeps(&mut self) {
        self.lasted = 0;
        if self.skip > 0 {
            self.skip -= 1;
        } else {
            self.in_vain = (self.in_vain + 1).min(RAREST);
            self.skip = 1 << self.in_vain;
        }
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

/// Tasks of this process that sleep until something happens to their stream.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Counts one task that sleeps, while it lives.
#[derive(Debug)]
pub(crate) struct Waiting(());

impl Waiting {
    pub(crate) fn new() -> Self {
        WAITING.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    pub(crate) fn count() -> usize {
        WAITING.load(Ordering::Relaxed)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Calls that this process has open as a client. Where there are several, the
/// thread of one that waits is better used by another.
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// Counts one call, while it lives.
#[derive(Debug)]
pub(crate) struct Calling(());

impl Calling {
    pub(crate) fn new() -> Self {
        CALLS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    pub(crate) fn count() -> usize {
        CALLS.load(Ordering::Relaxed)
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        CALLS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many tasks of this process may look at the same time: one of a runtime
/// with one thread, else one less than there are cores.
pub(crate) fn lookers() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    let cores = *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from));
    cores.min(threads()).saturating_sub(1).max(1)
}

/// Threads of the runtime that runs this.
pub(crate) fn threads() -> usize {
    tokio::runtime::Handle::try_current().map_or(1, |runtime| match runtime.runtime_flavor() {
        RuntimeFlavor::CurrentThread => 1,
        // One worker is not all: blocking sections hand its tasks to others.
        _ => runtime.metrics().num_workers().max(2),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits until the next one that looks.
    fn sleeps_without_looking(window: &mut Window) -> u32 {
        let mut waits = 0;
        while window.length().is_zero() {
            window.sleeps();
            waits += 1;
        }
        waits
    }

    #[test]
    fn looking_in_vain_becomes_rare_and_paying_off_brings_it_back() {
        let mut window = Window::new(Wait::Adaptive);
        let mut waits = Vec::new();
        for _ in 0..10 {
            window.sleeps();
            waits.push(sleeps_without_looking(&mut window));
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 256, 256]);
        window.paid_off();
        assert_eq!(window.length(), LOOK);
        window.sleeps();
        assert_eq!(sleeps_without_looking(&mut window), 2);
    }

    #[test]
    fn others_that_want_the_core_end_the_looking_until_they_are_gone() {
        let mut window = Window::new(Wait::Adaptive);
        assert!(!window.offered(true), "once may be chance");
        assert!(!window.offered(false));
        assert!(!window.offered(true));
        assert!(window.offered(true));
        assert_eq!(sleeps_without_looking(&mut window), 256);
        assert!(window.offered(true), "still the same");
        assert_eq!(sleeps_without_looking(&mut window), 256);
        assert!(!window.offered(false), "gone");
        assert!(!window.offered(true), "once may be chance");
    }

    #[test]
    fn looks_that_find_something_soon_offer_nothing() {
        let mut window = Window::new(Wait::Adaptive);
        for _ in 0..100 {
            for _ in 0..UNOFFERED {
                assert!(!window.is_offer_due());
            }
            window.paid_off();
        }
        let offered_at = (1..).find(|_| window.is_offer_due());
        assert_eq!(offered_at, Some(UNOFFERED + OFFERED_EACH));
        window.paid_off();
        assert!(!window.offered(true));
        assert!(window.is_offer_due(), "others took it: asked at once");
    }

    #[test]
    fn park_never_looks() {
        let mut window = Window::new(Wait::Park);
        window.sleeps();
        assert_eq!(window.length(), Duration::ZERO);
    }
}
