//! Points at which a test can have the process killed. Without the feature
//! `crash-points`, which only tests have, there is nothing of them in the program.

/// A point at which the process can be killed.
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(feature = "crash-points")]
        $crate::crash::reach(const { $crate::crash::number_of($name) });
    };
}

pub(crate) use crash_point;

#[cfg(feature = "crash-points")]
pub use armed::{ALL, arm};
#[cfg(feature = "crash-points")]
pub(crate) use armed::{number_of, reach};

#[cfg(feature = "crash-points")]
mod armed {
    use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

    use rustix::process::{Signal, getpid, kill_process};

    /// The names of all points.
    pub const ALL: &[&str] = &[
        "build.memory-made",
        "build.descriptor-sent",
        "build.segment-told",
        "build.scope-given-out",
        "publish.scope-sealed",
        "publish.call-begun",
        "publish.root-sent-ahead",
        "publish.item-held",
        "send.in-the-ring",
        "send.waits-for-room",
        "take.segment-added",
        "take.call-off-the-ring",
        "take.arguments-checked",
        "reply.scope-given-out",
        "reply.scope-held",
        "reply.item-held",
        "reply.answered",
        "reply.off-the-ring",
        "reply.delivered",
        "reply.checked",
        "keep.taken",
        "keep.let-go",
        "release.reply-dropped",
        "release.sent",
        "release.taken",
        "retire.unmapped",
        "retire.taken",
        "give-up.reset-sent",
        "give-up.told",
        "refs.copied-to-pool",
        "refs.passing",
        "refs.descriptor-handed-over",
        "refs.descriptors-handed-over",
        "refs.extents-pushed",
        "refs.frame-pushed",
        "refs.descriptor-taken",
        "refs.arrived",
        "refs.kept",
        "refs.frame-taken",
        "refs.taken-by-message",
        "refs.opened",
        "refs.forgotten",
        "refs.settled",
    ];

    /// The number of the armed point plus one, 0 for none.
    static ARMED: AtomicUsize = AtomicUsize::new(0);
    static LEFT: AtomicU32 = AtomicU32::new(0);

    /// Has the process killed when it reaches that point for the `times`th time
    /// from now on.
    ///
    /// # Panics
    /// If there is no such point.
    pub fn arm(name: &str, times: u32) {
        let number = ALL.iter().position(|known| *known == name);
        let number = number.expect("a point that is defined");
        LEFT.store(times, Ordering::Relaxed);
        ARMED.store(number + 1, Ordering::Release);
    }

    #[inline]
    pub(crate) fn reach(number: usize) {
        if ARMED.load(Ordering::Acquire) == number + 1 && LEFT.fetch_sub(1, Ordering::Relaxed) == 1
        {
            // Of a process that kills itself nothing comes back.
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }

    /// The number of a point that is defined.
    pub(crate) const fn number_of(name: &str) -> usize {
        let mut number = 0;
        while number < ALL.len() {
            if is_same(ALL[number].as_bytes(), name.as_bytes()) {
                return number;
            }
            number += 1;
        }
        panic!("no crash point has this name")
    }

    const fn is_same(left: &[u8], right: &[u8]) -> bool {
        if left.len() != right.len() {
            return false;
        }
        let mut at = 0;
        while at < left.len() {
            if left[at] != right[at] {
                return false;
            }
            at += 1;
        }
        true
    }
}
