//! Waiting for what comes in: by looking at the ring, or by leaving it to the
//! driver.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::cell::{Half, StreamCell, StreamState};
use crate::receiving::Rx;
use crate::shared::Shared;
use crate::wait::{BURST, Calling, Hot, Waiting};

/// Looks at the ring between two looks at the clock.
pub(crate) const LOOKS: u32 = 32;

impl Shared {
    /// Looks for what `done` waits for, if `may_burst` for as long as that is
    /// worth while and nobody else needs the thread. If it returns none, somebody
    /// else looks after the ring, and wakes the task that has parked with its
    /// stream. With `each`, `done` is asked even when nothing came.
    pub(crate) fn look<T>(
        &self,
        may_burst: bool,
        each: bool,
        mut done: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let mut rx = self.try_rx()?;
        if self.over.get().is_some() {
            return None;
        }
        if (self.pump(&mut rx, None).ok()? > 0 || each)
            && let Some(found) = done()
        {
            self.stop_looking(&mut rx, true);
            return Some(found);
        }
        let began = Instant::now();
        rx.waiting_since.get_or_insert(began);
        let window = rx.window.length();
        let mut found = None;
        if may_burst
            && !window.is_zero()
            && Calling::count() <= self.lookers
            && Hot::count() <= usize::from(rx.hot.is_some())
        {
            let burst = window.min(BURST);
            rx.sleeper.get_up(&self.outbox);
            rx.lookers += 1;
            'burst: loop {
                for _ in 0..LOOKS {
                    if each || self.has_frame(&rx) {
                        match self.pump(&mut rx, None) {
                            Ok(taken) if taken > 0 || each => {
                                found = done();
                                if found.is_some() {
                                    rx.window.paid_off();
                                    break 'burst;
                                }
                            }
                            Ok(_) => {}
                            Err(_) => break 'burst,
                        }
                    }
                    std::hint::spin_loop();
                }
                if began.elapsed() >= burst || rx.window.is_crowded() {
                    break;
                }
            }
            rx.lookers -= 1;
        }
        self.stop_looking(&mut rx, found.is_some());
        found
    }

    /// Waits until `check` finds something in the state of a stream, for the
    /// task of one of its halves. `may_burst` if no other task of this process is
    /// needed for it to happen.
    pub(crate) fn poll_half<T>(
        &self,
        cell: &StreamCell,
        half: Half,
        may_burst: bool,
        cx: &mut Context<'_>,
        mut check: impl FnMut(&mut StreamState) -> Option<T>,
    ) -> Poll<T> {
        if let Some(found) = check(&mut cell.lock()) {
            return Poll::Ready(found);
        }
        if let Some(found) = self.look(may_burst, false, || check(&mut cell.lock())) {
            cell.lock().unpark(half);
            return Poll::Ready(found);
        }
        let mut state = cell.lock();
        if let Some(found) = check(&mut state) {
            state.unpark(half);
            return Poll::Ready(found);
        }
        state.park(half, cx.waker());
        Poll::Pending
    }

    /// Leaves the ring to the driver: hot, if an answer may still be near, else
    /// asleep.
    fn stop_looking(&self, rx: &mut Rx, satisfied: bool) {
        if rx.hot.is_some() || rx.lookers > 0 || self.over.get().is_some() {
            return;
        }
        let near = if satisfied {
            Waiting::count() > 0 && self.open_streams() > 1
        } else {
            rx.waiting_since
                .is_none_or(|since| since.elapsed() < rx.window.length())
        };
        if !near && !satisfied {
            rx.window.sleeps();
        }
        if near || self.is_ready_after_lying_down(rx) {
            rx.sleeper.get_up(&self.outbox);
            rx.hot = Some(Hot::new());
            self.wake_driver();
        }
    }

    /// Lies down; true if there is something to do after all.
    pub(crate) fn is_ready_after_lying_down(&self, rx: &mut Rx) -> bool {
        rx.sleeper.lie_down(&self.outbox);
        if self.room_wanted.load(Ordering::Relaxed) {
            // The peer rings once for each time we want room, and what it gave
            // may not have been enough.
            self.tx().want_room_again(&self.outbox);
        }
        self.is_ready(rx)
    }

    /// Gets up, if down: no doorbell is needed until lying down again.
    pub(crate) fn get_up(&self, rx: &mut Rx) {
        rx.sleeper.get_up(&self.outbox);
    }

    /// Client: whether a task sleeps until an answer comes on this connection.
    pub(crate) fn expects_answers(&self) -> bool {
        Waiting::count() > 0 && self.open_streams() > 0
    }

    /// Whether the driver may look without letting others run, as no task is
    /// known that could.
    pub(crate) fn is_driver_alone(&self) -> bool {
        Hot::count() <= 1 && Waiting::count() <= 1 && self.handlers.load(Ordering::Relaxed) == 0
    }

    /// Puts the calling task behind those that can run, for one which knows that
    /// there are some.
    pub(crate) fn requeue(&self, cx: &mut Context<'_>) {
        if self.single_thread {
            cx.waker().wake_by_ref();
        } else {
            // The same would have the executor wake another thread to help.
            yield_now(cx);
        }
    }

    /// Progress that a doorbell can have been rung for.
    pub(crate) fn progress(&self, rx: &Rx) -> u64 {
        rx.consumer
            .taken()
            .wrapping_add(self.tx().producer.acknowledged())
    }
}

/// Lets the executor run other tasks and look at its sockets before the calling
/// task gets its next turn.
pub(crate) fn yield_now(cx: &mut Context<'_>) {
    // Only the first poll of the future matters: it leaves the waker where the
    // executor wakes it after its next look at the system.
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}
