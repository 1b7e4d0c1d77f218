//! Taking turns: of all who wait for what comes on a connection, one reads, for
//! all of them.
//!
//! The [turn](Turn) is a lock that nobody waits for. Whoever waits tries to take
//! it, and reads until its own has come. A thread that does not get it goes
//! asleep in a queue, to be woken when what it waits for has been read, or to
//! read on. Tasks do not read for long: when only they wait, the reading side
//! lies down, and a watcher that the bell wakes reads for them.
//!
//! That nobody sleeps while nobody reads rests on these rules:
//!
//! 1. Who is about to sleep says so first, passes a full fence, and tries once
//!    more to take the turn.
//! 2. Who has left the turn passes a full fence and looks whether somebody
//!    sleeps. So one of the two sees the other, whatever the timing, and who did
//!    not get the turn may rely on whoever has it.
//! 3. Leaving *offers* the turn to one thread, by taking it off the queue. It
//!    takes the turn, or finds that somebody else has: or, if what it waits for
//!    has come meanwhile, takes the turn and leaves it again.
//! 4. Where tasks wait and no thread, whoever leaves the turn takes it again to
//!    lie down, looks whether anything has come before, and nudges the watchers
//!    if so, or if one of them did not get the turn when it was rung.
//!
//! What is waited for has a lock of its own, under which a waiter looks for it
//! and leaves word whom to wake, and whoever reads puts it there.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

#[cfg(loom)]
use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize},
};
#[cfg(not(loom))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicUsize},
};

use crate::memory::full_fence;
use crate::try_lock::{Guard, TryLock};

/// Whom the queue wakes: a thread that is asleep, or about to be.
pub trait Wake {
    /// Wakes it; if it is not asleep yet, it will not go asleep.
    fn wake(self);
}

/// All who wait for what comes on one connection.
pub trait Readers {
    /// What whoever has the turn may use: the reading side.
    type Reading;
    /// A thread in the queue.
    type Sleeper: Wake;

    /// Whose turn it is.
    fn turns(&self) -> &Turns<Self::Reading, Self::Sleeper>;

    /// Has the bell ring once more for what comes from now on. True, and no bell
    /// rings, if something is there already.
    fn lie_down(&self, reading: &mut Self::Reading) -> bool;

    /// Has all watchers look, once.
    fn nudge(&self);
}

/// Whose turn it is to read, and who sleeps meanwhile.
#[derive(Debug)]
pub struct Turns<R, S> {
    reading: TryLock<R>,
    /// Threads in the queue; stored with the queue locked.
    threads: AtomicUsize,
    tasks: AtomicUsize,
    /// A watcher was rung, and did not get the turn.
    missed: AtomicBool,
    queue: Mutex<Queue<S>>,
}

#[derive(Debug)]
struct Queue<S> {
    next: u64,
    sleepers: VecDeque<(u64, S)>,
}

impl<R, S: Wake> Turns<R, S> {
    /// Nobody waits, and nobody reads.
    pub fn new(reading: R) -> Self {
        Self {
            reading: TryLock::new(reading),
            threads: AtomicUsize::new(0),
            tasks: AtomicUsize::new(0),
            missed: AtomicBool::new(false),
            queue: Mutex::new(Queue {
                next: 0,
                sleepers: VecDeque::new(),
            }),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<S>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, sleeper: S) -> u64 {
        let mut queue = self.queue();
        let number = queue.next;
        queue.next += 1;
        queue.sleepers.push_back((number, sleeper));
        self.threads.store(queue.sleepers.len(), Ordering::Relaxed);
        number
    }

    /// False if it was taken off before: the turn was offered to it.
    fn remove(&self, number: u64) -> bool {
        let mut queue = self.queue();
        let sleepers = &mut queue.sleepers;
        let Ok(at) = sleepers.binary_search_by_key(&number, |(number, _)| *number) else {
            return false;
        };
        let removed = sleepers.remove(at);
        self.threads.store(sleepers.len(), Ordering::Relaxed);
        drop(queue);
        drop(removed);
        true
    }

    /// Offers the turn to the thread that has waited longest; false if none does.
    fn offer(&self) -> bool {
        let mut queue = self.queue();
        let Some((_, sleeper)) = queue.sleepers.pop_front() else {
            return false;
        };
        self.threads.store(queue.sleepers.len(), Ordering::Relaxed);
        drop(queue);
        sleeper.wake();
        true
    }

    /// Whether somebody may be asleep; to be asked after a full fence.
    #[inline]
    fn is_awaited(&self) -> bool {
        self.threads.load(Ordering::Relaxed) + self.tasks.load(Ordering::Relaxed) > 0
    }
}

/// The turn to read. Dropped, it goes to another.
#[derive(Debug)]
pub struct Turn<'a, W: Readers> {
    // Dropped in this order.
    reading: Guard<'a, W::Reading>,
    leaving: Leaving<'a, W>,
}

impl<'a, W: Readers> Turn<'a, W> {
    /// The turn, unless somebody else has it.
    #[inline]
    pub fn take(readers: &'a W) -> Option<Self> {
        Some(Self {
            reading: readers.turns().reading.try_lock()?,
            leaving: Leaving(readers),
        })
    }

    /// The turn, or else a place in the queue for `sleeper`. With it a thread may
    /// sleep: whoever has the turn knows.
    pub fn take_or_queue(readers: &'a W, sleeper: W::Sleeper) -> Result<Self, Queued<'a, W>> {
        let queued = Queued {
            readers,
            number: readers.turns().enter(sleeper),
        };
        // SYNC: pairs with the fence in `Leaving::drop`.
        full_fence();
        queued.take_or_stay()
    }

    /// The turn, for a watcher that was rung. If somebody else has it, the watcher
    /// is nudged once that has left it: it need not heed the bell before.
    pub fn take_or_be_nudged(readers: &'a W) -> Option<Self> {
        Self::take(readers).or_else(|| {
            readers.turns().missed.store(true, Ordering::Relaxed);
            // SYNC: pairs with the fences in `Leaving::drop` and `hand_over`.
            full_fence();
            Self::take(readers)
        })
    }

    /// Who takes turns.
    #[inline]
    pub fn readers(&self) -> &'a W {
        self.leaving.0
    }
}

impl<W: Readers> Deref for Turn<'_, W> {
    type Target = W::Reading;

    #[inline]
    fn deref(&self) -> &W::Reading {
        &self.reading
    }
}

impl<W: Readers> DerefMut for Turn<'_, W> {
    #[inline]
    fn deref_mut(&mut self) -> &mut W::Reading {
        &mut self.reading
    }
}

/// What is left of a turn once it has been left.
#[derive(Debug)]
struct Leaving<'a, W: Readers>(&'a W);

impl<W: Readers> Drop for Leaving<'_, W> {
    #[inline]
    fn drop(&mut self) {
        // SYNC: pairs with the fences in `Turn::take_or_queue`, `Task::new` and
        // `Turn::take_or_be_nudged`.
        full_fence();
        if self.0.turns().is_awaited() {
            hand_over(self.0);
        }
    }
}

#[cold]
fn hand_over<W: Readers>(readers: &W) {
    let turns = readers.turns();
    loop {
        if turns.threads.load(Ordering::Relaxed) > 0 && turns.offer() {
            return;
        }
        if turns.tasks.load(Ordering::Relaxed) == 0 {
            return;
        }
        let Some(mut reading) = turns.reading.try_lock() else {
            return;
        };
        let missed = turns.missed.load(Ordering::Relaxed);
        if missed {
            // Another that misses it now is nudged with the rest.
            turns.missed.store(false, Ordering::Relaxed);
        }
        let came = readers.lie_down(&mut reading);
        drop(reading);
        if missed || came {
            readers.nudge();
        }
        // SYNC: pairs with the fences in `Turn::take_or_queue` and
        // `Turn::take_or_be_nudged`: who failed to take the turn from us.
        full_fence();
        if turns.threads.load(Ordering::Relaxed) == 0 && !turns.missed.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// A thread's place in the queue. Dropped, it leaves the queue; a turn that was
/// offered to it goes to another.
#[derive(Debug)]
pub struct Queued<'a, W: Readers> {
    readers: &'a W,
    number: u64,
}

impl<'a, W: Readers> Queued<'a, W> {
    /// The turn, for a thread that was woken before what it waits for has come.
    /// None if somebody else has it: the thread queues again.
    pub fn take(self) -> Option<Turn<'a, W>> {
        let readers = self.readers;
        readers.turns().remove(self.number);
        std::mem::forget(self);
        Turn::take(readers)
    }

    fn take_or_stay(self) -> Result<Turn<'a, W>, Self> {
        match Turn::take(self.readers) {
            Some(turn) => {
                turn.readers().turns().remove(self.number);
                std::mem::forget(self);
                Ok(turn)
            }
            None => Err(self),
        }
    }
}

impl<W: Readers> Drop for Queued<'_, W> {
    fn drop(&mut self) {
        if !self.readers.turns().remove(self.number) {
            drop(Turn::take(self.readers));
        }
    }
}

/// A task that waits, while this lives.
#[derive(Debug)]
pub struct Task<'a, W: Readers>(&'a W);

impl<'a, W: Readers> Task<'a, W> {
    /// Counts a task: from now on the bell wakes the watchers when nobody reads.
    /// The calling thread must not have the turn, or else drops it afterwards.
    pub fn new(readers: &'a W) -> Self {
        let turns = readers.turns();
        turns.tasks.fetch_add(1, Ordering::Relaxed);
        // SYNC: pairs with the fence in `Leaving::drop`.
        full_fence();
        // Leaving it is what lies down.
        drop(Turn::take(readers));
        Self(readers)
    }
}

impl<W: Readers> Drop for Task<'_, W> {
    fn drop(&mut self) {
        self.0.turns().tasks.fetch_sub(1, Ordering::Relaxed);
    }
}
