//! Waiting for what comes on a connection. Whoever waits first reads the ring,
//! for all; the others sleep until theirs has come, or the reader leaves and one
//! of them reads on. Tasks have the [`watcher`](super::watcher) read for them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::calls::{Calls, Place, Waiter};
use super::client::{Client, Failed, Shared};
use super::link::Rx;
use crate::error::ConnectionError;
use crate::wait::BURST;

/// Looks at the ring between two looks at the clock.
const LOOKS: u32 = 32;

impl Shared {
    /// Blocks until `ask` finds something. Whoever comes first reads the ring
    /// for all; the others sleep until it found theirs, or leaves.
    #[inline]
    pub(super) fn wait<T>(
        &self,
        place: Place,
        deadline: Option<Instant>,
        mut ask: impl FnMut(&mut Calls) -> Option<T>,
    ) -> Result<T, Failed> {
        // Of many calls on their way, most have been answered by the time
        // somebody asks.
        if let Some(found) = ask(&mut self.calls()) {
            return Ok(found);
        }
        loop {
            if let Some(mut rx) = self.link.try_rx() {
                let found = self.read(&mut rx, deadline, &mut ask);
                drop(rx);
                self.hand_over();
                return found;
            }
            if let Some(found) = self.sleep_while_read(place, deadline, &mut ask) {
                self.hand_over();
                return found;
            }
        }
    }

    /// Reads the ring until `ask` finds something.
    pub(super) fn read<T>(
        &self,
        rx: &mut Rx,
        deadline: Option<Instant>,
        ask: &mut impl FnMut(&mut Calls) -> Option<T>,
    ) -> Result<T, Failed> {
        let link = &self.link;
        if let Some(found) = ask(&mut self.calls()) {
            return Ok(found);
        }
        let mut since = None;
        'look: loop {
            match link.pump(rx, &mut Client(self)) {
                Ok(0) => {}
                Ok(_) => {
                    if let Some(found) = ask(&mut self.calls()) {
                        if since.is_some() {
                            rx.window.paid_off();
                        }
                        return Ok(found);
                    }
                    since = None;
                    continue;
                }
                Err(over) => return Err(self.end(over)),
            }
            for _ in 0..LOOKS {
                if link.is_ready(rx) {
                    continue 'look;
                }
                std::hint::spin_loop();
            }
            let now = Instant::now();
            let began = *since.get_or_insert(now);
            if deadline.is_some_and(|deadline| now >= deadline) {
                // What came is there for the taking.
                return ask(&mut self.calls()).ok_or(Failed::Deadline);
            }
            if now - began < rx.window.length() {
                continue;
            }
            rx.window.sleeps();
            if link.is_ready_after_lying_down(rx) {
                link.get_up(rx);
                continue;
            }
            self.poll_socket(deadline.map(|deadline| deadline - now));
            let alive = link.answer(rx).and_then(|()| {
                if link.is_ready(rx) {
                    Ok(())
                } else {
                    link.check_alive(rx)
                }
            });
            if let Err(over) = alive {
                return Err(self.end(over));
            }
            since = None;
        }
    }

    pub(super) fn poll_socket(&self, for_at_most: Option<Duration>) {
        let timeout = for_at_most.and_then(|time| Timespec::try_from(time).ok());
        let mut sockets = [PollFd::from_borrowed_fd(self.link.socket(), PollFlags::IN)];
        // Whatever it says, the loop looks again.
        let _ = poll(&mut sockets, timeout.as_ref());
    }

    /// Wakes everybody once the connection is over.
    pub(super) fn end(&self, over: ConnectionError) -> Failed {
        let waiters = self.calls().take_waiters();
        waiters.into_iter().for_each(Waiter::wake);
        self.watchers.nudge();
        Failed::Over(over)
    }

    /// Sleeps while another thread reads the ring. None: try to read it.
    pub(super) fn sleep_while_read<T>(
        &self,
        place: Place,
        deadline: Option<Instant>,
        ask: &mut impl FnMut(&mut Calls) -> Option<T>,
    ) -> Option<Result<T, Failed>> {
        self.waiting.threads.fetch_add(1, Ordering::SeqCst);
        let mut calls = self.calls();
        let mut found = ask(&mut calls).map(Ok);
        if found.is_none() {
            calls.register(place, Waiter::Thread(std::thread::current()));
        }
        drop(calls);
        // SYNC: pairs with the fence in `hand_over`: the reader that has left
        // sees that we wait, or we see that it has left.
        std::sync::atomic::fence(Ordering::SeqCst);
        if found.is_none() {
            if let Some(over) = self.link.over() {
                found = Some(Err(Failed::Over(over.clone())));
            } else if self.link.try_rx().is_none() {
                let now = Instant::now();
                match deadline {
                    Some(deadline) if now >= deadline => found = Some(Err(Failed::Deadline)),
                    Some(deadline) => std::thread::park_timeout(deadline - now),
                    None => std::thread::park(),
                }
            }
            let mut calls = self.calls();
            calls.unregister(place);
            if let Some(came) = ask(&mut calls) {
                found = Some(Ok(came));
            }
        }
        self.waiting.threads.fetch_sub(1, Ordering::SeqCst);
        found
    }

    /// Has somebody else read the ring, if somebody waits.
    #[inline]
    pub(super) fn hand_over(&self) {
        // SYNC: pairs with the fences in `sleep_while_read` and `poll_wait`.
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.waiting.any() {
            self.hand_over_to_waiters();
        }
    }

    #[cold]
    pub(super) fn hand_over_to_waiters(&self) {
        let thread = self.calls().any_thread();
        if let Some(thread) = thread {
            thread.unpark();
        } else if let Some(mut rx) = self.link.try_rx() {
            if self.link.is_ready_after_lying_down(&mut rx) {
                self.link.get_up(&mut rx);
                self.watchers.nudge();
            }
            drop(rx);
            self.hand_over_to_threads();
        }
        self.nudge_if_missed();
    }

    /// Has a watcher read that could not while this one did. Whoever had the
    /// ring and leaves calls this.
    pub(super) fn nudge_if_missed(&self) {
        // SYNC: pairs with the fence in `read_for_tasks`: the watcher finds the
        // ring free, or we see that it did not.
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.waiting.missed.load(Ordering::Relaxed)
            && self.waiting.missed.swap(false, Ordering::SeqCst)
        {
            self.watchers.nudge();
        }
    }

    /// Waits until `ask` finds something, for a task; `may_burst` if it is worth
    /// looking for a while.
    pub(crate) fn poll_wait<T>(
        self: &Arc<Self>,
        place: Place,
        may_burst: bool,
        cx: &mut Context<'_>,
        mut ask: impl FnMut(&mut Calls) -> Option<T>,
    ) -> Poll<Result<T, ConnectionError>> {
        let mut calls = self.calls();
        if let Some(found) = ask(&mut calls) {
            return Poll::Ready(Ok(found));
        }
        drop(calls);
        if let Some(over) = self.link.over() {
            return Poll::Ready(Err(over.clone()));
        }
        if let Some(mut rx) = self.link.try_rx()
            && let Some(found) = self.read_for_a_while(&mut rx, may_burst, &mut ask)
        {
            drop(rx);
            self.hand_over();
            return Poll::Ready(found);
        }
        let mut calls = self.calls();
        if let Some(found) = ask(&mut calls) {
            return Poll::Ready(Ok(found));
        }
        calls.register(place, Waiter::Task(cx.waker().clone()));
        drop(calls);
        self.watch();
        // SYNC: pairs with the fence in `hand_over`: the reader that leaves sees
        // that a task waits, or we can read ourselves.
        std::sync::atomic::fence(Ordering::SeqCst);
        if let Some(mut rx) = self.link.try_rx()
            && self.link.is_ready_after_lying_down(&mut rx)
        {
            self.link.get_up(&mut rx);
            self.watchers.nudge();
        }
        self.nudge_if_missed();
        self.hand_over_to_threads();
        match self.link.over() {
            Some(over) => Poll::Ready(Err(over.clone())),
            None => Poll::Pending,
        }
    }

    pub(super) fn read_for_a_while<T>(
        &self,
        rx: &mut Rx,
        may_burst: bool,
        ask: &mut impl FnMut(&mut Calls) -> Option<T>,
    ) -> Option<Result<T, ConnectionError>> {
        let window = if may_burst {
            rx.window.length().min(BURST)
        } else {
            Duration::ZERO
        };
        let began = Instant::now();
        loop {
            match self.link.pump(rx, &mut Client(self)) {
                Ok(0) => {}
                Ok(_) => {
                    if let Some(found) = ask(&mut self.calls()) {
                        rx.window.paid_off();
                        return Some(Ok(found));
                    }
                    continue;
                }
                Err(over) => {
                    self.end(over.clone());
                    return Some(Err(over));
                }
            }
            for _ in 0..LOOKS {
                if self.link.is_ready(rx) {
                    break;
                }
                std::hint::spin_loop();
            }
            if began.elapsed() >= window {
                if may_burst {
                    rx.window.sleeps();
                }
                return None;
            }
        }
    }

    /// As [`hand_over`](Self::hand_over), for who has looked after the tasks.
    pub(super) fn hand_over_to_threads(&self) {
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.waiting.threads.load(Ordering::SeqCst) > 0
            && let Some(thread) = self.calls().any_thread()
        {
            thread.unpark();
        }
    }
}
