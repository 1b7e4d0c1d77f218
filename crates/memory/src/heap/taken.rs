//! What was taken from a peer's heap.
//!
//! Rules of this module:
//! 1. A `Taken` or `Part` is made of a value that was checked together with what
//!    it points to, and `kept` keeps that where and as it was: a segment that
//!    nobody can change or that the caller trusts nobody to change, a copy that
//!    nobody else knows, a run of this side's own that is not changed while it is
//!    shared, or nothing where there are no pointers.
//! 2. Checked values have no destructor and are only read, so the bytes of one
//!    that is kept may be read as another of the same type, with `kept` shared.

use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;

use super::owner::Run;
use super::peer::Segment;
use super::pool::Pooled;
use crate::data::{Root, Shared};

/// What a peer passed, checked, and still where it stays unchanged.
///
/// It outlives the [`PeerHeap`](super::PeerHeap) and the peer: it keeps what it
/// lies in.
pub struct Taken<T: Shared> {
    root: Root<T>,
    kept: Kept,
}

/// What holds the memory a checked value points to. Its tag is a whole word, as what
/// was just written in small parts is slow to move.
#[derive(Debug, Clone)]
#[repr(u64)]
pub(super) enum Kept {
    Nothing,
    Segment(Arc<Segment>, Stretch),
    Copy(Arc<Pooled>),
    #[expect(dead_code, reason = "kept as it is")]
    Own(Arc<Run>),
}

/// Bytes of a peer's heap, in one segment of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub(super) page: u32,
    pub(super) bytes: u32,
}

impl<T: Shared> Taken<T> {
    /// `kept` holds what `root` was checked with.
    pub(super) fn new(root: Root<T>, kept: Kept) -> Self {
        Self { root, kept }
    }

    /// The value.
    #[inline]
    pub fn get(&self) -> &T::At<'_> {
        // SAFETY: rule 1.
        unsafe { self.root.get() }
    }

    /// Whether it lies in the peer's memory rather than in this process's own:
    /// the peer must be told when it is dropped.
    #[inline]
    pub fn in_place(&self) -> bool {
        matches!(self.kept, Kept::Segment(..))
    }

    /// The copy that was checked, if one was made, with its pointers as they are
    /// here: for those who check it once more.
    #[doc(hidden)]
    pub fn copied_bytes(&self) -> Option<&[u8]> {
        let Kept::Copy(copy) = &self.kept else {
            return None;
        };
        let base = copy.base().as_ptr();
        // SAFETY: so many bytes were copied there, and nobody changes them (rule 1).
        Some(unsafe { slice::from_raw_parts(base, copy.copied_bytes()) })
    }

    /// What `project` picks of the value, to be held by itself. It keeps all that
    /// was taken.
    pub fn part<P: Shared>(
        &self,
        project: impl for<'a> FnOnce(&'a T::At<'a>) -> &'a P::At<'a>,
    ) -> Part<P> {
        let value = self.get();
        let picked = ptr::from_ref(project(value)).cast::<P>();
        let root = ptr::from_ref(value).addr();
        let in_root = picked.addr().wrapping_sub(root) < size_of::<T>();
        let place = if in_root {
            // SAFETY: rule 2; `P` and `P::At` are one type but for lifetimes.
            Place::Here(unsafe { picked.cast::<MaybeUninit<P>>().read() })
        } else {
            // SAFETY: it was a reference.
            Place::There(unsafe { NonNull::new_unchecked(picked.cast_mut()) })
        };
        Part {
            place,
            kept: self.kept.clone(),
        }
    }
}

impl<T: Shared> fmt::Debug for Taken<T>
where
    for<'a> T::At<'a>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// A part of what a peer passed, held by itself: see [`Taken::part`].
pub struct Part<P: Shared> {
    place: Place<P>,
    kept: Kept,
}

enum Place<P> {
    There(NonNull<P>),
    Here(MaybeUninit<P>),
}

// SAFETY: it is a value, or a shared reference to one that is kept.
unsafe impl<P: Shared + Send + Sync> Send for Part<P> {}
// SAFETY: as above.
unsafe impl<P: Shared + Send + Sync> Sync for Part<P> {}

impl<P: Shared> Part<P> {
    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The value.
    #[inline]
    pub fn get(&self) -> &P::At<'_> {
        let place = match &self.place {
            Place::There(place) => place.as_ptr().cast_const(),
            Place::Here(value) => value.as_ptr(),
        };
        // SAFETY: rules 1 and 2; `P` and `P::At` are one type but for lifetimes.
        unsafe { &*place.cast() }
    }

    /// Whether it lies in the peer's memory rather than in this process's own.
    #[inline]
    pub fn in_place(&self) -> bool {
        matches!(self.kept, Kept::Segment(..))
    }
}

impl<P: Shared> fmt::Debug for Part<P>
where
    for<'a> P::At<'a>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
