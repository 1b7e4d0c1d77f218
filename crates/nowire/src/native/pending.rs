//! Calls that are waited for later.

use std::marker::PhantomData;
use std::time::Instant;

use nowire_memory::data::Shared;
use nowire_memory::refs::Travel;
use nowire_protocol::frame::ResetCode;

use super::bound::Bound;
use super::call_error::CallError;
use super::calls::Ticket;
use super::way::{Replied, Way};

/// A call on its way. What it was given stays borrowed until the reply is there;
/// dropped, it gives the call up.
#[must_use = "a call that is dropped is given up"]
pub struct Pending<'a, R, E> {
    pub(super) bound: &'a Bound,
    pub(super) ticket: Option<Ticket>,
    pub(super) deadline: Option<Instant>,
    pub(super) what: PhantomData<fn() -> (R, E)>,
}

impl<R, E> std::fmt::Debug for Pending<'_, R, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending")
            .field("service", &self.bound.name)
            .finish_non_exhaustive()
    }
}

impl<R: Travel<As: Way>, E: Shared> Pending<'_, R, E> {
    /// Waits for the reply.
    ///
    /// # Errors
    /// See [`CallError`].
    #[inline]
    pub fn wait(mut self) -> Result<Replied<R>, CallError<E>> {
        let ticket = self.ticket.take().expect("taken here only");
        let came = self.bound.wait_last(ticket, self.deadline)?;
        self.bound.typed::<R, E>(came)
    }
}

impl<R, E> Drop for Pending<'_, R, E> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.bound.shared().abandon(ticket, ResetCode::Cancelled);
        }
    }
}
