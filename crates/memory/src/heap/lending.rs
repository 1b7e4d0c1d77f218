//! What a keeper lends to whoever gave it: the reader has it in his own heap.
//!
//! Rules of the unsafe code here:
//! 1. The bytes of a run from behind its header to what is settled stay as they are
//!    while a share in the run is held.
//! 2. What is lent in a scope is kept until the scope is gone.

use std::any::Any;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::owner::{Heap, Run};
use super::peer::{TakeError, check_length};
use super::taken::{Kept, Part, Taken};
use super::{PAGE_BYTES, RUN_HEADER_BYTES};
use crate::data::{self, CheckBuffers, Lent, Region, Scope, ScopeError, Shared};

/// What a reply lends, which is built in some run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lending {
    /// In what everything lies.
    start: usize,
    bytes: usize,
    place: ReplyPlace,
}

/// Where everything lies that a reply points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyPlace {
    /// In the run in which it was built.
    Here,
    /// In the heap of the reader.
    Reader {
        /// Where its scope begins there.
        page: u32,
    },
}

impl<P: Shared> Part<P> {
    /// Lends `value`, a piece of what was passed, in a reply that is built in `out`:
    /// where it lies, if it lies in the memory of the reader, and otherwise as a
    /// copy in `out`. `giver` is the heap in which replies to the peer that passed
    /// it are built, and what is to be dropped when it no longer reads it.
    ///
    /// # Errors
    /// [`ScopeError::Lends`] if there was something lent in `out` before,
    /// [`ScopeError::Full`] for a copy.
    pub fn lend<'r, T: Shared>(
        &self,
        out: &'r Scope,
        value: &T,
        giver: Option<(&Heap, Arc<dyn Any + Send + Sync>)>,
    ) -> Result<Lent<'r, T::At<'r>>, ScopeError> {
        // What lies in a private scope is no reply.
        let run = out.kept_by::<Run>();
        if run.is_some_and(|run| run.lending().is_some()) {
            return Err(ScopeError::Lends);
        }
        if let Some((heap, giver)) = giver
            && let Some(run) = run
            && run.is_of(heap)
            && let Kept::Segment(segment, stretch) = self.kept()
            && let start = segment.at(*stretch).as_ptr().addr()
            && let bytes = stretch.bytes as usize
            && lies_in(value, start + RUN_HEADER_BYTES, start + bytes)
        {
            out.keep_too([Arc::clone(segment) as _, giver])?;
            let place = ReplyPlace::Reader { page: stretch.page };
            run.lend(Lending {
                start,
                bytes,
                place,
            });
            let value = NonNull::from(value).cast();
            #[expect(unsafe_code, reason = "a reference is lent for longer")]
            // SAFETY: rule 2; it is a part of the stretch, which is not changed.
            return Ok(unsafe { Lent::new(value) });
        }
        let before = out.used_bytes();
        let copy = out.copy(value)?.give();
        if let Some(run) = run {
            run.lend(Lending {
                start: out.address() + before,
                bytes: out.used_bytes() - before,
                place: ReplyPlace::Here,
            });
        }
        Ok(copy)
    }
}

/// Whether a value lies wholly in a range, and as what others point to.
fn lies_in<T>(value: &T, start: usize, end: usize) -> bool {
    let at = ptr::from_ref(value).addr();
    let bytes = size_of::<T>();
    bytes > 0 && at.is_multiple_of(size_of::<u64>()) && at >= start && at + bytes <= end
}

impl Run {
    /// Where everything lies that `value` points to, which was built in this run:
    /// here, or all of it in what this run lends. None if it lies elsewhere.
    pub fn place_of<T: Shared>(&self, value: &T) -> Option<ReplyPlace> {
        let Some(lending) = self.lending() else {
            let start = self.base().as_ptr().addr();
            let bytes = self.used_bytes() as usize;
            return data::points_into(value, start, bytes).then_some(ReplyPlace::Here);
        };
        data::points_into(value, lending.start, lending.bytes).then_some(lending.place)
    }

    /// Takes what the peer lends back of this run: a `T` with whose bytes `words`
    /// begin, and which points into the first `bytes` bytes of the run, those that
    /// the peer was given. It is checked, as the peer chose the pointers, and read
    /// here, where nothing changes while it is.
    ///
    /// # Errors
    /// See [`TakeError`]; [`TakeError::Unsettled`] if it may be good, but another
    /// thread, or a caller further up, still fills what lies before it.
    pub fn take_back<T: Shared>(
        self: &Arc<Self>,
        words: &[u64],
        bytes: u32,
        buffers: &mut CheckBuffers,
    ) -> Result<Taken<T>, TakeError> {
        check_length::<T>(words)?;
        let settled_bytes = self.settled_bytes();
        let here = self.base();
        let region = Region {
            claimed: here.as_ptr().addr(),
            here,
            bytes: bytes.min(settled_bytes) as usize,
            writable: false,
            header_bytes: RUN_HEADER_BYTES,
        };
        #[expect(unsafe_code, reason = "the checker is told what memory it may read")]
        // SAFETY: rule 1; a run begins at a page, and is mapped at its address.
        let checked = unsafe { data::check(words, Some(region), buffers) };
        match checked {
            Ok(root) => Ok(Taken::new(root, Kept::Own(Arc::clone(self)))),
            Err(flaw) if settled_bytes < bytes => Err(TakeError::Unsettled(flaw)),
            Err(flaw) => Err(flaw.into()),
        }
    }
}

const _: () = assert!(RUN_HEADER_BYTES < 512 && RUN_HEADER_BYTES < PAGE_BYTES);
