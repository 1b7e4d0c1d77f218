//! Arguments that a handler holds beyond its call.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use nowire_memory::data::{Lent, Scope, ScopeError, Shared};
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
    giver: Option<Arc<Giver>>,
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
        Self { part, giver }
    }

    /// The argument.
    #[inline]
    pub fn get(&self) -> &T::At<'_> {
        self.part.get()
    }

    /// Whether it lies where the caller built it, so that the caller cannot use
    /// that memory again.
    pub fn in_place(&self) -> bool {
        self.giver.is_some()
    }

    /// Lends the argument, or a part of it, in a reply: `out` is what the reply is
    /// built in, and the reply points to nothing else. If it goes to the client that
    /// gave the argument, and that lies [in place](Self::in_place), the client reads
    /// it where it has built it. Otherwise it is copied into `out`, so that the reply
    /// is of the same type. Anything that is no part of the argument is copied too.
    ///
    /// What is lent stays readable for the client as long as it holds its reply,
    /// whatever becomes of this.
    ///
    /// # Errors
    /// [`ScopeError::Lends`] if `out` lends something already,
    /// [`ScopeError::Full`] for a copy.
    pub fn lend<'r, P: Shared>(
        &self,
        out: &'r Scope,
        part: &P,
    ) -> Result<Lent<'r, P::At<'r>>, ScopeError> {
        let giver = self.giver.as_ref().map(|giver| {
            let keep: Arc<dyn Any + Send + Sync> = Arc::clone(giver) as _;
            (giver.link.link.heap(), keep)
        });
        self.part.lend(out, part, giver)
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
