//! Calls with streams, as a client sees them: one that blocks, and one that
//! awaits.

use std::marker::PhantomData;
use std::time::Instant;

use nowire_memory::data::Shared;
use nowire_memory::refs::Travel;
use nowire_protocol::frame::{Message, ResetCode, StreamId};

use super::attached::Attaching;
use super::bound::Bound;
use super::call_error::CallError;
use super::calls::Ticket;
use super::outgoing::Outgoing;
use super::value::Sent;
use super::way::{Item, Replied, Way};

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

impl<'a, Q, P, R, E> Exchange<'a, Q, P, R, E> {
    pub(super) fn new(
        bound: &'a Bound,
        ticket: Ticket,
        code: u16,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            bound,
            ticket: Some(ticket),
            stream: bound.shared().stream_of(ticket),
            code,
            deadline,
            ended: false,
            taken: 0,
            what: PhantomData,
        }
    }
}

impl<Q, P, R, E> Exchange<'_, Q, P, R, E>
where
    Q: Travel<As: Way>,
    P: Travel<As: Way>,
    R: Travel<As: Way>,
    E: Shared,
{
    /// Sends an item; waits while the server has many that it did not take. False
    /// if the server takes no more, as it has replied: see
    /// [`finish`](Self::finish).
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn send(&mut self, item: Item<'_, Q>) -> Result<bool, CallError<E>> {
        let Some((ticket, outgoing)) = self.item(item)? else {
            return Ok(false);
        };
        let shared = self.bound.shared();
        let takes = shared
            .wait_credit(ticket, self.deadline)
            .map_err(|failed| self.bound.failed(failed))?;
        if takes {
            self.put(&outgoing)?;
        }
        Ok(takes)
    }

    /// An item ready to be sent; none if the server takes no more.
    fn item(&self, item: Item<'_, Q>) -> Result<Option<(Ticket, Outgoing)>, CallError<E>> {
        let Some(ticket) = self.ticket.filter(|_| !self.ended) else {
            return Ok(None);
        };
        let mut attaching = Attaching::for_item::<Q>(&self.bound.shared().link);
        let root = <Q::As as Way>::send(item, &mut attaching);
        let attaching = <Q::As as Way>::ATTACHES.then(|| Box::new(attaching));
        let mut outgoing = self
            .bound
            .outgoing(self.code, &root, attaching, None, false)?;
        outgoing.message.stream = self.stream;
        outgoing.message.flags |= Message::ITEM;
        Ok(Some((ticket, outgoing)))
    }

    fn put(&self, outgoing: &Outgoing) -> Result<(), CallError<E>> {
        let shared = self.bound.shared();
        Ok(shared.send_more(&outgoing.message, &outgoing.sent(), outgoing.given.clone())?)
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
    pub fn next_reply(&mut self) -> Result<Option<Replied<P>>, CallError<E>> {
        let Some(ticket) = self.ticket else {
            return Ok(None);
        };
        let came = self
            .bound
            .shared()
            .wait_item(ticket, self.stream, &mut self.taken, self.deadline)
            .map_err(|failed| self.bound.failed(failed))?;
        came.map(|came| self.bound.typed::<P, E>(came)).transpose()
    }

    /// Says that no more items come, leaves what the server still sends, and
    /// waits for what the method returns.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn finish(mut self) -> Result<Replied<R>, CallError<E>> {
        self.end()?;
        while self.next_reply()?.is_some() {}
        let ticket = self.ticket.take().expect("taken here only");
        let came = self.bound.wait_last(ticket, self.deadline)?;
        self.bound.typed::<R, E>(came)
    }
}

impl<Q, P, R, E> Drop for Exchange<'_, Q, P, R, E> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.bound.shared().abandon(ticket, ResetCode::Cancelled);
        }
    }
}

/// A call with streams, for a task: requests of `Q` to the server, replies of `P`
/// from it, and `R` at the end. Dropped before that, it gives the call up.
#[must_use = "a call that is dropped is given up"]
pub struct AsyncExchange<'a, Q, P, R, E>(pub(super) Exchange<'a, Q, P, R, E>);

impl<Q, P, R, E> std::fmt::Debug for AsyncExchange<'_, Q, P, R, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AsyncExchange")
            .field("service", &self.0.bound.name)
            .field("stream", &self.0.stream)
            .finish_non_exhaustive()
    }
}

impl<Q, P, R, E> AsyncExchange<'_, Q, P, R, E>
where
    Q: Travel<As: Way>,
    P: Travel<As: Way>,
    R: Travel<As: Way>,
    E: Shared,
{
    /// Sends an item, once the server has taken enough of those before. False if
    /// the server takes no more, as it has replied: see [`finish`](Self::finish).
    /// The item goes out when awaited, or not at all.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn send(&mut self, item: Item<'_, Q>) -> impl Future<Output = Result<bool, CallError<E>>> {
        let item = self.0.item(item);
        async {
            let Some((ticket, outgoing)) = item? else {
                return Ok(false);
            };
            let Exchange {
                bound, deadline, ..
            } = self.0;
            let credit = bound.shared().wait_credit_async(ticket);
            let credit = async { Ok(credit.await?) };
            let takes = bound.in_time::<_, E>(deadline, credit).await?;
            if takes {
                self.0.put(&outgoing)?;
            }
            Ok(takes)
        }
    }

    /// Says that no more items come.
    ///
    /// # Errors
    /// If the connection is over.
    pub fn end(&mut self) -> Result<(), CallError<E>> {
        self.0.end()
    }

    /// The next item of the reply; none after the last. No item is lost when the
    /// future is dropped.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn next_reply(&mut self) -> Result<Option<Replied<P>>, CallError<E>> {
        let exchange = &mut self.0;
        let Some(ticket) = exchange.ticket else {
            return Ok(None);
        };
        let bound = exchange.bound;
        let (stream, taken) = (exchange.stream, &mut exchange.taken);
        let item = bound.shared().wait_item_async(ticket, stream, taken);
        let item = async { Ok(item.await?) };
        let came = bound.in_time::<_, E>(exchange.deadline, item).await?;
        came.map(|came| bound.typed::<P, E>(came)).transpose()
    }

    /// Says that no more items come, leaves what the server still sends, and
    /// awaits what the method returns.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn finish(mut self) -> Result<Replied<R>, CallError<E>> {
        self.end()?;
        while self.next_reply().await?.is_some() {}
        let ticket = self.0.ticket.expect("taken here only");
        let bound = self.0.bound;
        // The last reply has come.
        let last = bound
            .shared()
            .wait_async(ticket, |calls| calls.take_last_or_error(ticket));
        let last = last.await?;
        self.0.ticket = None;
        let shared = bound.shared();
        let came = last.map_err(|what| bound.failed(shared.end(shared.link.misbehaved(what))))?;
        bound.typed::<R, E>(came)
    }
}
