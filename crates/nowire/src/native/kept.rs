//! Arguments that a handler holds beyond its call.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use nowire_memory::data::Shared;
use nowire_memory::heap::Part;

use super::serving::ServerLink;
use crate::crash::crash_point;

/// An argument that its handler may hold for as long as it likes: where the
/// caller built it, or a copy, as the server keeps arguments still. The caller's
/// scope comes back when this is dropped. It stays readable when the caller is
/// gone.
pub struct Kept<T: Shared> {
    part: Part<T>,
    /// After what lies there.
    _giver: Option<Arc<Giver>>,
}

/// Gives the caller its scope back.
pub(crate) struct Giver {
    link: Arc<ServerLink>,
    page: u32,
}

impl Giver {
    pub(crate) fn new(link: Arc<ServerLink>, page: u32) -> Self {
        Self { link, page }
    }
}

impl Drop for Giver {
    fn drop(&mut self) {
        crash_point!("keep.let-go");
        self.link.link.release(self.page);
    }
}

impl<T: Shared> Kept<T> {
    pub(crate) fn new(part: Part<T>, giver: Option<Arc<Giver>>) -> Self {
        Self {
            part,
            _giver: giver,
        }
    }

    /// The argument.
    #[inline]
    pub fn get(&self) -> &T::At<'_> {
        self.part.get()
    }

    /// Whether it lies where the caller built it, so that the caller cannot use
    /// that memory again.
    pub fn in_place(&self) -> bool {
        self._giver.is_some()
    }
}

impl<T> Deref for Kept<T>
where
    T: for<'a> Shared<At<'a> = T>,
{
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.part.get()
    }
}

impl<T: Shared> fmt::Debug for Kept<T>
where
    for<'a> T::At<'a>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
