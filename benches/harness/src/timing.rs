//! Loops for workers that call and wait on one thread.
//!
//! A latency runs from a question that is ready to an answer that was looked
//! at. What has to be made ready lies outside it, and inside the calls per
//! second.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::process::Usage;
use crate::samples::{Recorder, Samples};

/// Made before the time is taken, so that nobody's first call counts.
const UNTIMED_CALLS: usize = 8;

/// Of pipelined calls, one in so many is timed: reading the clock twice for
/// each would be a good part of what they cost.
const TIMED_ONE_IN: u64 = 64;

/// Between two looks at the clock.
const SPINS: u32 = 1 << 20;

/// How long a side may be kept from running before it counts as dead.
const PATIENCE: Duration = Duration::from_secs(20);

/// Looks again and again, without so much as a pause, until there is something.
///
/// # Errors
///
/// The first that `look` returns, or that nothing came for 20 s.
#[inline]
pub fn spin_until<T>(mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let mut given_up = None;
    loop {
        for _ in 0..SPINS {
            if let Some(found) = look()? {
                return Ok(found);
            }
        }
        let now = Instant::now();
        ensure!(
            now < *given_up.get_or_insert(now + PATIENCE),
            "the other side has not moved for {PATIENCE:?}"
        );
    }
}

/// Calls one after the other for so long. `ask` makes one call, looks at its
/// answer and returns how long that took and when it was over.
///
/// # Errors
///
/// The first that `ask` returns.
pub fn one_by_one(
    time: Duration,
    mut ask: impl FnMut() -> Result<(Duration, Instant)>,
) -> Result<Samples> {
    let mut recorder = Recorder::new()?;
    for _ in 0..UNTIMED_CALLS {
        ask()?;
    }
    let before = Usage::now()?;
    let start = Instant::now();
    loop {
        let (latency, now) = ask()?;
        recorder.record(latency);
        if now - start >= time {
            break;
        }
    }
    let elapsed = start.elapsed();
    Ok(recorder.samples(elapsed, Usage::now()?.since(before)))
}

/// Times one call.
///
/// # Errors
///
/// What `call` returns.
pub fn timed(call: impl FnOnce() -> Result<()>) -> Result<(Duration, Instant)> {
    let start = Instant::now();
    call()?;
    let now = Instant::now();
    Ok((now - start, now))
}

/// Keeps `window` calls in flight for so long: `send` sends the call of a
/// number, `wait` waits for the answer to one and looks at it.
///
/// # Errors
///
/// The first that `send` or `wait` returns.
pub fn pipelined<P>(
    window: usize,
    time: Duration,
    mut send: impl FnMut(u64) -> Result<P>,
    mut wait: impl FnMut(u64, P) -> Result<()>,
) -> Result<Samples> {
    let mut recorder = Recorder::new()?;
    let mut in_flight = VecDeque::with_capacity(window);
    let mut number = 0;
    let before = Usage::now()?;
    let start = Instant::now();
    let mut now = start;
    while now - start < time {
        for _ in 0..TIMED_ONE_IN {
            let sent_at = (number % TIMED_ONE_IN == 0).then(Instant::now);
            in_flight.push_back((number, sent_at, send(number)?));
            number += 1;
            if in_flight.len() < window {
                continue;
            }
            if let Some((number, sent_at, pending)) = in_flight.pop_front() {
                wait(number, pending)?;
                match sent_at {
                    Some(sent_at) => recorder.record(sent_at.elapsed()),
                    None => recorder.count(),
                }
            }
        }
        now = Instant::now();
    }
    let elapsed = start.elapsed();
    let used = Usage::now()?.since(before);
    for (number, _, pending) in in_flight {
        wait(number, pending)?;
    }
    Ok(recorder.samples(elapsed, used))
}
