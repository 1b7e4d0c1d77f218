//! Sleeping and waking without losing a wake-up.
//!
//! A side that wants to sleep makes a word in its own outbox odd, passes a full
//! fence and looks once more whether there is anything to do. A side that has
//! published something passes a full fence and looks at that word; if it is odd
//! it rings the doorbell, once for each value. Whatever the timing, one of the
//! two sees the other (Dekker's argument, on two words with one writer each).

use std::sync::atomic::Ordering;

use crate::memory::{ReadMemory, WriteMemory, full_fence};

/// The side that may sleep: owner of the word.
#[derive(Debug)]
pub struct Sleeper {
    offset: usize,
    value: u64,
}

impl Sleeper {
    /// The owner of the word at `offset` of its outbox, awake.
    pub fn new(offset: usize) -> Self {
        Self { offset, value: 0 }
    }

    /// Whether the word says that the owner sleeps.
    pub fn is_down(&self) -> bool {
        self.value % 2 == 1
    }

    /// Announces that the owner goes to sleep. It must look once more for work
    /// afterwards, and [`get_up`](Self::get_up) when there is any.
    pub fn lie_down(&mut self, outbox: &impl WriteMemory) {
        if !self.is_down() {
            self.value = self.value.wrapping_add(1);
            outbox.store(self.offset, self.value, Ordering::Relaxed);
        }
        // SYNC: pairs with the fence in `Ringer::must_ring`.
        full_fence();
    }

    /// Announces that the owner is awake and needs no doorbell.
    pub fn get_up(&mut self, outbox: &impl WriteMemory) {
        if self.is_down() {
            self.value = self.value.wrapping_add(1);
            outbox.store(self.offset, self.value, Ordering::Relaxed);
        }
    }
}

/// The side that wakes: reader of the word.
#[derive(Debug)]
pub struct Ringer {
    offset: usize,
    rung_for: u64,
}

impl Ringer {
    /// The reader of the word at `offset` of the peer's outbox.
    pub fn new(offset: usize) -> Self {
        Self {
            offset,
            rung_for: 0,
        }
    }

    /// Whether the peer sleeps and has not been rung since it lay down. True only
    /// once for each time the peer lies down. To be asked after publishing; whoever
    /// asks before, and is told true, must ring after it without asking again.
    pub fn must_ring(&mut self, peer: &impl ReadMemory) -> bool {
        // SYNC: pairs with the fence in `Sleeper::lie_down`.
        full_fence();
        let value = peer.load(self.offset, Ordering::Relaxed);
        if value.is_multiple_of(2) || value == self.rung_for {
            return false;
        }
        self.rung_for = value;
        true
    }

    /// The peer was not rung after all: the next question is answered as if this one
    /// had not been asked.
    pub fn did_not_ring(&mut self) {
        // No peer that sleeps says so.
        self.rung_for = 0;
    }

    /// Whether the word says that the peer is down, however often it was rung.
    pub fn is_down(&self, peer: &impl ReadMemory) -> bool {
        peer.load(self.offset, Ordering::Relaxed) % 2 == 1
    }
}
