//! This side's heap: runs for scopes, and what the peer is told of it.

use std::os::fd::AsFd;
use std::sync::Arc;

use nowire_memory::data::{self, Shared};
use nowire_memory::heap::{Grown, HeapError, MAX_UNSEALED, PAGE_BYTES, Run};
use nowire_protocol::ring::Control;

use super::{Link, lock};
use crate::crash::crash_point;
use crate::error::ConnectionError;
use crate::native::held::Given;

/// Memory of sealed scopes that are gone, from which on it is given back before
/// there is another.
const SPENT_BYTES: usize = 8 << 20;

impl Link {
    /// A run of at least `bytes` of this side's heap, which grows for it.
    pub(crate) fn allocate(&self, bytes: usize) -> Result<Arc<Run>, AllocateError> {
        let pages = u32::try_from(bytes.div_ceil(PAGE_BYTES))
            .unwrap_or(u32::MAX)
            .max(1);
        loop {
            if let Some(run) = self.heap.allocate(pages) {
                return Ok(run);
            }
            let _one = lock(&self.growing);
            if let Some(run) = self.heap.allocate(pages) {
                return Ok(run);
            }
            let spare_pages = self.may_grow(pages)?;
            let at_most_pages = pages.saturating_add(spare_pages);
            let grown = self.heap.grow_within(pages, at_most_pages)?;
            self.announce(grown)?;
        }
    }

    /// A run in a segment of its own, which can be sealed; an ordinary one, which
    /// the peer has to copy, while there are as many as can be, or the peer is
    /// held up and has not taken those there are.
    pub(crate) fn allocate_sealable(&self, bytes: usize) -> Result<Arc<Run>, AllocateError> {
        if self.heap.spent_bytes() >= SPENT_BYTES {
            self.shrink();
        }
        if self.unread_segments() >= MAX_UNSEALED {
            return self.allocate(bytes);
        }
        match self.grow_sealable(bytes) {
            Err(AllocateError::Heap(HeapError::Segments { .. })) => self.allocate(bytes),
            grown => grown,
        }
    }

    fn grow_sealable(&self, bytes: usize) -> Result<Arc<Run>, AllocateError> {
        let pages = u32::try_from(bytes.div_ceil(PAGE_BYTES))
            .unwrap_or(u32::MAX)
            .max(1);
        let _one = lock(&self.growing);
        self.may_grow(pages)?;
        let (run, grown) = self.heap.grow_sealable(pages)?;
        self.announce(grown)?;
        Ok(run)
    }

    /// Whether everything `value` points to, not followed, lies in what the scope
    /// of `run` has used.
    pub(crate) fn lies_in<T: Shared>(&self, value: &T, run: &Run) -> bool {
        let start = self.heap.base() as usize + run.page() as usize * PAGE_BYTES;
        data::points_into(value, start, run.used_bytes() as usize)
    }

    /// Keeps a run until the peer releases it.
    pub(crate) fn hold(&self, given: Given) {
        lock(&self.held).hold(given);
    }

    /// The run at `page`, if the peer holds it.
    pub(crate) fn held_at(&self, page: u32) -> Option<Given> {
        lock(&self.held).find(page)
    }

    /// Runs that the peer holds.
    pub(crate) fn held_runs(&self) -> usize {
        lock(&self.held).len()
    }

    /// How many pages more than these the heap may have.
    fn may_grow(&self, pages: u32) -> Result<u32, AllocateError> {
        let bytes = self.heap.size_bytes() + pages as usize * PAGE_BYTES;
        match self.charge.may_grow_to(bytes) {
            Ok(spare_bytes) => Ok(u32::try_from(spare_bytes / PAGE_BYTES).unwrap_or(u32::MAX)),
            Err(exceeded) => Err(AllocateError::Server(exceeded.to_string())),
        }
    }

    /// With `growing` held: descriptors come in the order of their frames.
    fn announce(&self, grown: Grown) -> Result<(), ConnectionError> {
        crash_point!("build.memory-made");
        self.send_segment(grown.page, grown.pages, grown.descriptor.as_fd())?;
        crash_point!("build.segment-told");
        grown.open();
        self.charge.has_grown_to(self.heap.size_bytes());
        Ok(())
    }

    /// Gives memory back that no scope, call or keeper uses.
    pub(crate) fn shrink(&self) {
        let _one = lock(&self.growing);
        let pages = self.heap.shrink();
        if pages.is_empty() {
            return;
        }
        self.charge.has_grown_to(self.heap.size_bytes());
        crash_point!("retire.unmapped");
        for page in pages {
            if self.send_control(Control::Retire { page }).is_err() {
                return;
            }
        }
    }
}

impl AllocateError {
    /// Whether there may be memory once others have given theirs back.
    pub(crate) fn is_lack(&self) -> bool {
        match self {
            Self::Heap(error) => matches!(
                error,
                HeapError::Quota { .. } | HeapError::WindowFull { .. } | HeapError::Segments { .. }
            ),
            Self::Server(_) => true,
            Self::Connection(_) => false,
        }
    }
}

/// Why there is no memory for a scope.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AllocateError {
    #[error(transparent)]
    Heap(#[from] HeapError),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// All connections of the server together have as much as it allows.
    #[error("{0}")]
    Server(String),
}
