//! The state of a client's connection, and what it does with what comes.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{Message, MessageKind, ResetCode, StreamId};
use nowire_protocol::ring::Control;
use nowire_protocol::turn::{Task, Turn, Turns, Wake};
use tokio::task::coop;

use super::binding::Known;
use super::calls::{Calls, Came, Delivered, Place, Spot, Ticket, WINDOW_ITEMS, Waiter};
use super::held::Given;
use super::link::{Bell, Link, Receive, Rx};
use super::outgoing::Outgoing;
use super::value::{Arrived, Sent};
use super::watcher::Watchers;
use crate::crash::crash_point;
use crate::error::ConnectionError;

pub(crate) struct Shared {
    pub(crate) link: Link,
    /// Who reads the ring.
    pub(super) turns: Turns<Rx, Waiter>,
    pub(super) calls: Mutex<Calls>,
    pub(super) watchers: Watchers,
    /// Services whose methods the server has told.
    pub(super) known: Known,
}

/// Why waiting led to nothing.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The time was up.
    Deadline,
    /// The connection is over.
    Over(ConnectionError),
}

impl From<ConnectionError> for Failed {
    fn from(error: ConnectionError) -> Self {
        Self::Over(error)
    }
}

/// What comes for a client. The calls stay locked from one reply to the next.
struct Client<'a> {
    shared: &'a Shared,
    calls: Option<MutexGuard<'a, Calls>>,
}

impl<'a> Client<'a> {
    /// With the calls not locked from here.
    fn unlocked(&mut self) -> &'a Shared {
        self.calls = None;
        self.shared
    }
}

impl Receive for Client<'_> {
    fn call(&mut self, message: &Message, _arrived: Arrived) -> Result<(), PeerMisbehaved> {
        Err(PeerMisbehaved::Order {
            stream: message.stream,
            what: "a call from a server",
        })
    }

    #[inline]
    fn reply(&mut self, message: &Message, mut arrived: Arrived) -> Result<(), PeerMisbehaved> {
        crash_point!("reply.off-the-ring");
        let shared = self.shared;
        if message.has(Message::LENT) {
            arrived.set_lent(self.unlocked().lent(message.page)?);
        }
        let calls = self.calls.get_or_insert_with(|| shared.calls());
        let delivered = calls.deliver(message, arrived)?;
        crash_point!("reply.delivered");
        if let Some(delivered) = delivered {
            self.unlocked()
                .see_to(delivered, message.has(Message::KEPT));
        }
        Ok(())
    }

    fn credit(&mut self, stream: StreamId, items: u32) -> Result<(), PeerMisbehaved> {
        let waiter = self.unlocked().calls().grant(stream, items)?;
        if let Some(waiter) = waiter {
            waiter.wake();
        }
        Ok(())
    }

    fn reset(&mut self, stream: StreamId, _code: ResetCode) -> Result<(), PeerMisbehaved> {
        Err(PeerMisbehaved::Order {
            stream,
            what: "a reset where a reply was due",
        })
    }

    fn go_away(&mut self) {
        let mut calls = self.unlocked().calls();
        calls.going_away = true;
        let waiters = calls.take_waiters();
        drop(calls);
        waiters.into_iter().for_each(Waiter::wake);
    }
}

impl Shared {
    pub(super) fn new(link: Link, rx: Rx) -> Self {
        Self {
            calls: Mutex::new(Calls::new(link.streams)),
            link,
            turns: Turns::new(rx),
            watchers: Watchers::default(),
            known: Known::default(),
        }
    }

    pub(super) fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up to a batch of frames off the ring; how many.
    pub(super) fn pump(&self, rx: &mut Rx) -> Result<usize, ConnectionError> {
        let mut client = Client {
            shared: self,
            calls: None,
        };
        self.link.pump(rx, &mut client)
    }

    /// Does what is left to do once a reply was taken in.
    fn see_to(&self, delivered: Delivered, is_kept: bool) {
        if let Some(given) = delivered.given
            && is_kept
        {
            self.link.hold(given);
        }
        if let Some(waiter) = delivered.waiter {
            waiter.wake();
        }
        if let Some(waiter) = delivered.vacancy {
            waiter.wake();
        }
        if let Some(came) = delivered.unwanted {
            self.discard(&came);
        }
    }

    /// Takes in what has come, unless somebody does already.
    pub(super) fn take_notice(&self) {
        if let Some(mut turn) = Turn::take(self) {
            self.read_all(&mut turn);
        }
    }

    /// Answers the bell and reads what there is; false once the connection is over.
    pub(super) fn read_all(&self, rx: &mut Rx) -> bool {
        let read = self.link.answer(rx).and_then(|()| {
            while self.pump(rx)? > 0 {}
            self.link.check_alive(rx)
        });
        match read {
            Ok(()) => true,
            Err(over) => {
                self.end(over);
                false
            }
        }
    }

    /// The run that the server says it lends. The reply gets a share in it now, as
    /// the server may release the run with the next frame.
    #[cold]
    fn lent(&self, page: u32) -> Result<Given, PeerMisbehaved> {
        // What one call keeps another may lend before the first is answered.
        let given = self.link.held_at(page);
        given
            .or_else(|| self.calls().given_at(page))
            .ok_or(PeerMisbehaved::Lent { page })
    }

    /// Gives back what a reply nobody takes has in the server's heap.
    pub(super) fn discard(&self, came: &Came) {
        if came.bytes > 0 {
            self.link.release(came.page);
        }
    }

    fn begin(
        &self,
        calls: &mut Calls,
        given: &mut Option<Given>,
    ) -> Option<Result<(StreamId, Ticket), ConnectionError>> {
        if let Some(over) = self.link.over() {
            return Some(Err(over.clone()));
        }
        if calls.going_away {
            return Some(Err(ConnectionError::GoingAway {
                peer: self.link.label(),
            }));
        }
        calls.begin(given).map(Ok)
    }

    #[inline]
    fn send_call(
        &self,
        (stream, ticket): (StreamId, Ticket),
        outgoing: &mut Outgoing,
    ) -> Result<Ticket, ConnectionError> {
        outgoing.message.stream = stream;
        crash_point!("publish.call-begun");
        let (message, sent) = (&outgoing.message, outgoing.sent());
        match self.link.send(MessageKind::Call, message, &sent, Bell::Now) {
            Ok(()) => Ok(ticket),
            Err(error) => {
                self.calls().abandon(ticket);
                Err(error)
            }
        }
    }

    /// Sends a call, when another may be begun.
    #[inline]
    pub(super) fn open(
        &self,
        outgoing: &mut Outgoing,
        deadline: Option<Instant>,
    ) -> Result<Ticket, Failed> {
        let begun = self.begin(&mut self.calls(), &mut outgoing.given);
        let begun = match begun {
            Some(begun) => begun,
            None => {
                let place = Place::Vacancy(self.calls().spot());
                let given = &mut outgoing.given;
                self.wait(place, deadline, |calls| self.begin(calls, given))?
            }
        };
        let ticket = begun.and_then(|begun| self.send_call(begun, outgoing));
        if self.link.wants_room() {
            self.make_room(deadline);
        }
        ticket.map_err(Failed::Over)
    }

    /// [`open`](Self::open), for a task.
    pub(super) fn poll_open(
        self: &Arc<Self>,
        outgoing: &mut Outgoing,
        waits: &mut Waits<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Ticket, ConnectionError>> {
        let begun = self.begin(&mut self.calls(), &mut outgoing.given);
        let begun = match begun {
            Some(begun) => begun,
            None => {
                let place = Place::Vacancy(waits.spot());
                let given = &mut outgoing.given;
                match waits.poll(place, false, cx, |calls| self.begin(calls, given)) {
                    Poll::Ready(Ok(begun)) => begun,
                    Poll::Ready(Err(over)) => Err(over),
                    Poll::Pending => return Poll::Pending,
                }
            }
        };
        waits.leave_queue(begun.is_ok());
        Poll::Ready(begun.and_then(|begun| self.send_call(begun, outgoing)))
    }

    /// Waits for the last reply of a call.
    #[inline]
    pub(crate) fn wait_last(
        &self,
        ticket: Ticket,
        deadline: Option<Instant>,
    ) -> Result<Came, Failed> {
        // Of many calls on their way, most have been answered by the time
        // somebody asks.
        if let Some(last) = self.calls().take_last(ticket) {
            return Ok(last);
        }
        let last = self.wait(Place::Call(ticket), deadline, |calls| {
            calls.take_last_or_error(ticket)
        })?;
        last.map_err(|what| self.end(self.link.misbehaved(what)))
    }

    /// Waits for the next item of a reply; none after the last.
    pub(crate) fn wait_item(
        &self,
        ticket: Ticket,
        stream: StreamId,
        taken: &mut u32,
        deadline: Option<Instant>,
    ) -> Result<Option<Came>, Failed> {
        let came = self.wait(Place::Call(ticket), deadline, |calls| {
            calls.next_item(ticket)
        })?;
        if came.is_some() {
            self.has_taken_item(stream, taken)?;
        }
        Ok(came)
    }

    /// [`wait_item`](Self::wait_item), for a task.
    pub(super) async fn wait_item_async(
        self: &Arc<Self>,
        ticket: Ticket,
        stream: StreamId,
        taken: &mut u32,
    ) -> Result<Option<Came>, ConnectionError> {
        let came = self
            .wait_async(ticket, |calls| calls.next_item(ticket))
            .await?;
        if came.is_some() {
            self.has_taken_item(stream, taken)?;
        }
        Ok(came)
    }

    /// Lets the server send more, now and then.
    fn has_taken_item(&self, stream: StreamId, taken: &mut u32) -> Result<(), ConnectionError> {
        *taken += 1;
        if *taken < WINDOW_ITEMS / 2 {
            return Ok(());
        }
        let bytes = std::mem::take(taken);
        self.link.send_control(Control::Credit { stream, bytes })
    }

    /// Waits until the server takes another item; false if it has replied.
    pub(crate) fn wait_credit(
        &self,
        ticket: Ticket,
        deadline: Option<Instant>,
    ) -> Result<bool, Failed> {
        self.wait(Place::Call(ticket), deadline, |calls| {
            calls.use_credit(ticket)
        })
    }

    /// [`wait_credit`](Self::wait_credit), for a task.
    pub(super) async fn wait_credit_async(
        self: &Arc<Self>,
        ticket: Ticket,
    ) -> Result<bool, ConnectionError> {
        self.wait_async(ticket, |calls| calls.use_credit(ticket))
            .await
    }

    /// Waits until `ask` finds something that came for a call.
    pub(super) async fn wait_async<T>(
        self: &Arc<Self>,
        ticket: Ticket,
        mut ask: impl FnMut(&mut Calls) -> Option<T>,
    ) -> Result<T, ConnectionError> {
        let mut waits = Waits::new(self);
        let mut first = true;
        poll_fn(|cx| {
            // A server that sends without end must not keep other tasks waiting.
            let turn = ready!(coop::poll_proceed(cx));
            let may_burst = std::mem::replace(&mut first, false);
            let found = ready!(waits.poll(Place::Call(ticket), may_burst, cx, &mut ask));
            turn.made_progress();
            Poll::Ready(found)
        })
        .await
    }

    /// Sends one more message of a call.
    pub(crate) fn send_more(
        &self,
        message: &Message,
        sent: &Sent<'_>,
        given: Option<Given>,
    ) -> Result<(), ConnectionError> {
        if let Some(given) = given {
            // Before the server can release it.
            self.link.hold(given);
            crash_point!("publish.item-held");
        }
        self.link.send(MessageKind::Call, message, sent, Bell::Now)
    }

    /// The stream of an open call.
    pub(crate) fn stream_of(&self, ticket: Ticket) -> StreamId {
        self.calls().stream_of(ticket)
    }

    /// Gives a call up.
    pub(crate) fn abandon(&self, ticket: Ticket, code: ResetCode) {
        let (unwanted, open) = self.calls().abandon(ticket);
        for came in &unwanted {
            self.discard(came);
        }
        if let Some(stream) = open {
            // A connection that is over needs no reset.
            let _ = self.link.send_control(Control::Reset { stream, code });
            crash_point!("give-up.reset-sent");
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.link.close(ConnectionError::Closed {
            peer: self.link.label(),
        });
        self.watchers.nudge();
    }
}

/// A task that makes a call, for as long as it may have to wait.
pub(super) struct Waits<'a> {
    pub(super) shared: &'a Arc<Shared>,
    /// Where it stands in the queue for a call that may be begun.
    spot: Option<Spot>,
    /// Since it has slept.
    pub(super) counted: Option<Task<'a, Shared>>,
}

impl<'a> Waits<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>) -> Self {
        Self {
            shared,
            spot: None,
            counted: None,
        }
    }

    fn spot(&mut self) -> Spot {
        *self.spot.get_or_insert_with(|| self.shared.calls().spot())
    }

    fn leave_queue(&mut self, has_begun: bool) {
        if let Some(spot) = self.spot.take() {
            let next = self.shared.calls().leave_queue(spot, has_begun);
            if let Some(next) = next {
                next.wake();
            }
        }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.leave_queue(false);
    }
}
