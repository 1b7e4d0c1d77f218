//! Waiting for what comes on a connection: one [reads](nowire_protocol::turn) the
//! ring for all who wait. Tasks have the [`watcher`](super::watcher) read for
//! them.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use nowire_protocol::turn::{Queued, Readers, Task, Turn, Turns, Wake};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::calls::{Calls, Place, Waiter};
use super::client::{Failed, Shared, Waits};
use super::link::Rx;
use crate::error::ConnectionError;
use crate::wait::BURST;

/// Looks at the ring between two looks at the clock.
const LOOKS: u32 = 32;
/// How often a thread looks whether another has found room for its call.
const ROOM_LOOK: Duration = Duration::from_millis(1);

impl Readers for Shared {
    type Reading = Rx;
    type Sleeper = Waiter;

    #[inline]
    fn turns(&self) -> &Turns<Rx, Waiter> {
        &self.turns
    }

    fn lie_down(&self, rx: &mut Rx) -> bool {
        let link = &self.link;
        // The bell may have rung for the last time that this side lay down.
        link.get_up(rx);
        let came = link.is_ready_after_lying_down(rx) || link.over().is_some();
        if came {
            link.get_up(rx);
        }
        came
    }

    fn nudge(&self) {
        self.watchers.nudge();
    }
}

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
        if let Some(found) = ask(&mut self.calls()) {
            return Ok(found);
        }
        match Turn::take(self) {
            Some(mut turn) => self.read(&mut turn, deadline, &mut ask),
            None => self.wait_for_turn(place, deadline, &mut ask),
        }
    }

    /// Sleeps until `ask` finds something, as somebody else reads the ring; reads
    /// on when that leaves.
    #[cold]
    fn wait_for_turn<T>(
        &self,
        place: Place,
        deadline: Option<Instant>,
        ask: &mut impl FnMut(&mut Calls) -> Option<T>,
    ) -> Result<T, Failed> {
        let me = || Waiter::Thread(std::thread::current());
        loop {
            let mut calls = self.calls();
            if let Some(found) = ask(&mut calls) {
                return Ok(found);
            }
            calls.register(place, me());
            drop(calls);
            let turn = Turn::take_or_queue(self, me());
            let failed = match &turn {
                Ok(_) => None,
                Err(_) => self.sleep(deadline),
            };
            let mut calls = self.calls();
            calls.unregister(place);
            let found = ask(&mut calls);
            drop(calls);
            if let Some(found) = found {
                return Ok(found);
            }
            if let Some(failed) = failed {
                return Err(failed);
            }
            if let Some(mut turn) = turn.map_or_else(Queued::take, Some) {
                return self.read(&mut turn, deadline, ask);
            }
        }
    }

    /// Sleeps until woken, or until the deadline, unless that or the connection is
    /// over.
    fn sleep(&self, deadline: Option<Instant>) -> Option<Failed> {
        if let Some(over) = self.link.over() {
            return Some(Failed::Over(over.clone()));
        }
        let now = Instant::now();
        match deadline {
            Some(deadline) if now >= deadline => return Some(Failed::Deadline),
            Some(deadline) => std::thread::park_timeout(deadline - now),
            None => std::thread::park(),
        }
        None
    }

    /// Reads the ring until `ask` finds something.
    fn read<T>(
        &self,
        rx: &mut Rx,
        deadline: Option<Instant>,
        ask: &mut impl FnMut(&mut Calls) -> Option<T>,
    ) -> Result<T, Failed> {
        let link = &self.link;
        if let Some(found) = ask(&mut self.calls()) {
            return Ok(found);
        }
        if let Err(over) = link.stay_up(rx) {
            return Err(self.end(over));
        }
        let mut since = None;
        'look: loop {
            match self.pump(rx) {
                Ok(0) => {
                    // There is room, and the kernel may refuse what is to go ahead.
                    let late = |deadline| Instant::now() >= deadline;
                    if link.wants_room() && deadline.is_some_and(late) {
                        return ask(&mut self.calls()).ok_or(Failed::Deadline);
                    }
                }
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
            rx.window.is_crowded();
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

    /// Blocks while calls wait for room in the ring, as nobody may wait for
    /// anything for long. Whoever reads the ring sends them as well.
    #[cold]
    pub(super) fn make_room(&self, deadline: Option<Instant>) {
        let link = &self.link;
        let mut rx = loop {
            match Turn::take_or_queue(self, Waiter::Thread(std::thread::current())) {
                Ok(turn) => break turn,
                Err(queued) => {
                    // Whoever reads sends them as well, but does not say so.
                    std::thread::park_timeout(ROOM_LOOK);
                    if let Some(turn) = queued.take() {
                        break turn;
                    }
                }
            }
            let too_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if too_late || !link.has_unsent() || link.over().is_some() {
                return;
            }
        };
        while link.has_unsent() {
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                // Whoever waits for the reply finds out.
                return;
            }
            let came = self.pump(&mut rx).and_then(|taken| {
                if taken > 0 || link.is_ready_after_lying_down(&mut rx) {
                    link.get_up(&mut rx);
                    return Ok(());
                }
                self.poll_socket(deadline.map(|deadline| deadline - now));
                link.answer(&mut rx)?;
                if link.is_ready(&rx) {
                    return Ok(());
                }
                link.check_alive(&rx)
            });
            if let Err(over) = came {
                self.end(over);
                return;
            }
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
        self.link.forget_unsent();
        let waiters = self.calls().take_waiters();
        waiters.into_iter().for_each(Waiter::wake);
        self.watchers.nudge();
        Failed::Over(over)
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
            match self.pump(rx) {
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
}

impl Waits<'_> {
    /// Waits until `ask` finds something; `may_burst` if it is worth looking for a
    /// while.
    pub(super) fn poll<T>(
        &mut self,
        place: Place,
        may_burst: bool,
        cx: &mut Context<'_>,
        mut ask: impl FnMut(&mut Calls) -> Option<T>,
    ) -> Poll<Result<T, ConnectionError>> {
        let shared = self.shared;
        if let Some(found) = ask(&mut shared.calls()) {
            return Poll::Ready(Ok(found));
        }
        if let Some(over) = shared.link.over() {
            return Poll::Ready(Err(over.clone()));
        }
        let mut turn = Turn::take(&**shared);
        if let Some(turn) = &mut turn
            && let Some(found) = shared.read_for_a_while(turn, may_burst, &mut ask)
        {
            return Poll::Ready(found);
        }
        let mut calls = shared.calls();
        if let Some(found) = ask(&mut calls) {
            return Poll::Ready(Ok(found));
        }
        calls.register(place, Waiter::Task(cx.waker().clone()));
        drop(calls);
        if let Err(error) = shared.watch() {
            return Poll::Ready(Err(error));
        }
        self.counted.get_or_insert_with(|| Task::new(&**shared));
        // Now that the task counts, this is what has the bell rung.
        drop(turn);
        match shared.link.over() {
            Some(over) => Poll::Ready(Err(over.clone())),
            None => Poll::Pending,
        }
    }
}
