//! What a call gives back, read where the server built it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use nowire_memory::data::Shared;
use nowire_memory::heap::Taken;
use nowire_protocol::head::Block;

use super::{client, context};
use crate::crash::crash_point;

/// A reply: checked, and read in place until dropped, then given back to the
/// server. It keeps its connection's memory, so it can outlive the server. What the
/// server [lends](super::Kept::lend) to the client that built it lies where it was
/// built, and is not changed meanwhile.
pub struct Reply<T: Shared> {
    taken: Taken<T>,
    metadata: Option<Box<Block>>,
    /// After what lies there.
    _release: Option<Release>,
}

/// Gives a scope of the server's heap back.
pub(crate) struct Release {
    shared: Arc<client::Shared>,
    page: u32,
}

impl Release {
    pub(crate) fn new(shared: Arc<client::Shared>, page: u32) -> Self {
        Self { shared, page }
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        crash_point!("release.reply-dropped");
        self.shared.link.release(self.page);
    }
}

impl<T: Shared> Reply<T> {
    pub(crate) fn new(
        taken: Taken<T>,
        metadata: Option<Box<Block>>,
        release: Option<Release>,
    ) -> Self {
        // What was copied is read here; the server's scope has gone back.
        let release = release.filter(|_| taken.in_place());
        Self {
            taken,
            metadata,
            _release: release,
        }
    }

    /// The value.
    #[inline]
    pub fn get(&self) -> &T::At<'_> {
        self.taken.get()
    }

    /// The first value of that name in the metadata that came with the reply.
    pub fn metadata(&self, name: &str) -> Option<String> {
        context::value_of(self.metadata.as_deref(), name)
    }

    /// The metadata that came with the reply, in its order.
    pub fn all_metadata(&self) -> Vec<(String, String)> {
        context::all(self.metadata.as_deref())
    }
}

impl<T> Deref for Reply<T>
where
    T: for<'a> Shared<At<'a> = T>,
{
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.taken.get()
    }
}

impl<T: Shared> fmt::Debug for Reply<T>
where
    for<'a> T::At<'a>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
