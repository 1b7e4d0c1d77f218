//! Who else wants the core that a thread looks at memory on.
//!
//! Rules of this module:
//! 1. `getrusage` is given room for one `rusage`, and what it wrote is read only if
//!    it says that it did.

use std::mem::MaybeUninit;

/// Offers the core to whoever else can run on it; whether somebody took it. Costs
/// less than a microsecond when nobody does.
pub fn offer_core() -> bool {
    let before = switches();
    std::thread::yield_now();
    before != switches()
}

/// How often this thread had to leave its core while it could have gone on.
fn switches() -> Option<i64> {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: rule 1.
    let said = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    if said != 0 {
        return None;
    }
    // SAFETY: rule 1.
    let usage = unsafe { usage.assume_init() };
    Some(usage.ru_nivcsw)
}
