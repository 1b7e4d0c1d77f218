//! Where refs come from.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{RefError, familiar};
use crate::heap::Keeping;

/// What is known of a peer that passes refs on one connection.
#[derive(Debug)]
pub struct Source {
    connection: u64,
    uid: u32,
    keeping: Keeping,
    limit: usize,
    label: Arc<str>,
    held: AtomicUsize,
    over: AtomicBool,
}

impl Source {
    /// A peer on `connection` (see [`Audience`](super::Audience)), of the user
    /// `uid`, that is kept from changing what is read as `keeping` says. At most
    /// `limit` descriptors that came from it are held at a time: too few, and calls
    /// that pass many refs fail; too many, and the peer can use up this process's.
    /// Errors name it by `label`.
    pub fn new(
        connection: u64,
        uid: u32,
        keeping: Keeping,
        limit: usize,
        label: &str,
    ) -> Arc<Self> {
        Arc::new(Self {
            connection,
            uid,
            keeping,
            limit,
            label: label.into(),
            held: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        })
    }

    /// To be called when the connection is over: what came on it stays good, but what
    /// is kept mapped for the next ref is let go of. Otherwise that is done when the
    /// last ref that came from there is gone, too.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        // SYNC: by the lock that is taken there, as where it is looked at.
        familiar::forget(self.connection);
    }

    /// Whether the connection is [over](Self::end).
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// How many descriptors that came from this peer are held now, by refs and by
    /// what was made of them.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// The peer's user.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    pub(super) fn connection(&self) -> u64 {
        self.connection
    }

    pub(super) fn keeping(&self) -> Keeping {
        self.keeping
    }

    pub(super) fn label(&self) -> Arc<str> {
        Arc::clone(&self.label)
    }

    /// Counts `more` descriptors.
    #[inline]
    pub(super) fn hold(&self, more: usize) -> Result<(), RefError> {
        let within = |held: usize| held.checked_add(more).filter(|&sum| sum <= self.limit);
        // Only a number: what it counts is ordered by who owns it.
        let counted = (self.held).fetch_update(Ordering::Relaxed, Ordering::Relaxed, within);
        match counted {
            Ok(_) => Ok(()),
            Err(held) => Err(self.too_many(held, more)),
        }
    }

    #[cold]
    fn too_many(&self, held: usize, more: usize) -> RefError {
        RefError::TooMany {
            peer: self.label(),
            held,
            more,
            limit: self.limit,
        }
    }

    pub(super) fn let_go(&self) {
        self.held.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        familiar::forget(self.connection);
    }
}
