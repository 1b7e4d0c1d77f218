use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering;

use nowire_protocol::geometry::{CURSOR_OFFSET, Geometry};
use nowire_protocol::memory::{PrivateMemory, ReadMemory, WriteMemory};

use crate::input::Input;

/// A peer's outbox that changes under its reader: before every access the input
/// may rewrite a word. A second thread would do so at moments nobody could repeat.
pub(crate) struct Restless<'a> {
    geometry: Geometry,
    memory: PrivateMemory,
    changes: RefCell<Input<'a>>,
    /// One access in so many is preceded by a change; 0 for none.
    every: usize,
    accesses: Cell<usize>,
    cursor_seen: Cell<Option<u64>>,
}

impl<'a> Restless<'a> {
    pub(crate) fn new(geometry: Geometry, changes: &'a [u8], every: usize) -> Self {
        Self {
            geometry,
            memory: PrivateMemory::zeroed(geometry.outbox_bytes()),
            changes: RefCell::new(Input::new(changes)),
            every,
            accesses: Cell::new(0),
            cursor_seen: Cell::new(None),
        }
    }

    /// The memory itself, for the peer to write.
    pub(crate) fn memory(&self) -> &PrivateMemory {
        &self.memory
    }

    /// The cursor as it was at the last look, if there was one since this was
    /// last asked.
    pub(crate) fn cursor_seen(&self) -> Option<u64> {
        self.cursor_seen.take()
    }

    fn stir(&self) {
        self.accesses.set(self.accesses.get() + 1);
        let mut changes = self.changes.borrow_mut();
        if self.every == 0
            || !self.accesses.get().is_multiple_of(self.every)
            || changes.is_used_up()
        {
            return;
        }
        let words = self.memory.size_bytes() / 8;
        let at = usize::from(changes.short()) % words * 8;
        self.memory.store(at, changes.long(), Ordering::Relaxed);
    }
}

impl ReadMemory for Restless<'_> {
    fn size_bytes(&self) -> usize {
        self.memory.size_bytes()
    }

    fn load(&self, offset: usize, order: Ordering) -> u64 {
        self.stir();
        let value = self.memory.load(offset, order);
        if offset == CURSOR_OFFSET {
            self.cursor_seen.set(Some(value));
        }
        value
    }

    fn copy_out(&self, offset: usize, into: &mut [u8]) {
        let data = self.geometry.data_offset();
        let end = data + self.geometry.data_bytes() as usize;
        assert!(
            offset >= data && offset + into.len() <= end,
            "{} bytes at {offset} are not in the data area {data}..{end}",
            into.len()
        );
        self.stir();
        self.memory.copy_out(offset, into);
    }
}
