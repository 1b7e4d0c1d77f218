//! Calls with streams, as a client sees them.

use std::marker::PhantomData;
use std::time::Instant;

use nowire_memory::data::Shared;
use nowire_protocol::frame::{Message, ResetCode, StreamId};

use super::bound::Bound;
use super::call_error::CallError;
use super::calls::Ticket;
use super::reply::Reply;
use super::value::Sent;

/// What goes in, and what comes back.
type Types<Q, P, R, E> = fn(Q) -> (P, R, E);

/// A call with streams: requests of `Q` to the server, replies of `P` from it,
/// and `R` at the end. Dropped before that, it gives the call up.
#[must_use = "a call that is dropped is given up"]
pub struct Exchange<'a, Q, P, R, E> {
    pub(super) bound: &'a Bound,
    pub(super) ticket: Option<Ticket>,
    pub(super) stream: StreamId,
    pub(super) code: u16,
    pub(super) deadline: Option<Instant>,
    pub(super) ended: bool,
    pub(super) taken: u32,
    pub(super) what: PhantomData<Types<Q, P, R, E>>,
}

impl<Q, P, R, E> std::fmt::Debug for Exchange<'_, Q, P, R, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange")
            .field("service", &self.bound.name)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl<Q: Shared, P: Shared, R: Shared, E: Shared> Exchange<'_, Q, P, R, E> {
    /// Sends an item; waits while the server has many that it did not take. False
    /// if the server takes no more, as it has replied: see
    /// [`finish`](Self::finish).
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn send<'s, U>(&mut self, item: U) -> Result<bool, CallError<E>>
    where
        Q: Shared<At<'s> = U>,
        U: Shared,
    {
        let Some(ticket) = self.ticket.filter(|_| !self.ended) else {
            return Ok(false);
        };
        let shared = self.bound.shared();
        let mut outgoing = self.bound.outgoing(self.code, &item, None, false)?;
        let takes = shared
            .wait_credit(ticket, self.deadline)
            .map_err(|failed| self.bound.failed(failed))?;
        if !takes {
            return Ok(false);
        }
        outgoing.message.stream = self.stream;
        outgoing.message.flags |= Message::ITEM;
        shared.send_more(&outgoing.message, &outgoing.sent(), outgoing.run.clone())?;
        Ok(true)
    }

    /// Says that no more items come.
    ///
    /// # Errors
    /// If the connection is over.
    pub fn end(&mut self) -> Result<(), CallError<E>> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        let message = Message {
            stream: self.stream,
            flags: Message::END,
            code: self.code,
            timeout_us: 0,
            page: 0,
            bytes: 0,
            inline: [0; 4],
        };
        let shared = self.bound.shared();
        Ok(shared.send_more(&message, &Sent::Inline, None)?)
    }

    /// Waits for the next item of the reply; none after the last.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn next_reply(&mut self) -> Result<Option<Reply<P>>, CallError<E>> {
        let Some(ticket) = self.ticket else {
            return Ok(None);
        };
        let came = self
            .bound
            .shared()
            .wait_item(ticket, self.stream, &mut self.taken, self.deadline)
            .map_err(|failed| self.bound.failed(failed))?;
        came.map(|came| self.bound.typed(came)).transpose()
    }

    /// Says that no more items come, leaves what the server still sends, and
    /// waits for what the method returns.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn finish(mut self) -> Result<Reply<R>, CallError<E>> {
        self.end()?;
        while self.next_reply()?.is_some() {}
        let ticket = self.ticket.take().expect("taken here only");
        let came = self.bound.wait_last(ticket, self.deadline)?;
        self.bound.typed(came)
    }
}

impl<Q, P, R, E> Drop for Exchange<'_, Q, P, R, E> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.bound.shared().abandon(ticket, ResetCode::Cancelled);
        }
    }
}
