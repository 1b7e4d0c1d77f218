//! Where refs come from.

use std::sync::Arc;

use crate::heap::Keeping;

/// What is known of a peer that passes refs on one connection.
#[derive(Debug)]
pub struct Source {
    connection: u64,
    uid: u32,
    keeping: Keeping,
    limit: usize,
    label: Arc<str>,
}

impl Source {
    /// A peer on `connection` (see [`Audience`](super::Audience)), of the user
    /// `uid`, that is kept from changing what is read as `keeping` says. At most
    /// `limit` descriptors that came from it are held at a time. Errors name it
    /// by `label`.
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
        })
    }

    /// How many descriptors that came from this peer are held now.
    pub fn held(&self) -> usize {
        0
    }
}
