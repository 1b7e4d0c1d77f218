//! The calls a client has open: which reply is for whom.
//!
//! A call has a place on the wire, used again once its last reply came, and a
//! ticket, with which its caller takes what came.

use std::collections::VecDeque;
use std::task::Waker;
use std::thread::Thread;

use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{Message, StreamId};
use nowire_protocol::turn::Wake;

use super::held::Given;
use super::value::Arrived;

/// Items of a stream that may be on their way before the other side takes some.
pub(crate) const WINDOW_ITEMS: u32 = 64;

/// A reply, or an item of one, as it came.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) flags: u8,
    /// The status of a reply.
    pub(crate) code: u16,
    /// Where the scope of what it points to begins.
    pub(crate) page: u32,
    pub(crate) bytes: u32,
    pub(crate) arrived: Arrived,
}

impl Came {
    #[inline]
    pub(crate) fn new(message: &Message, arrived: Arrived) -> Self {
        Self {
            flags: message.flags,
            code: message.code,
            page: message.page,
            bytes: message.bytes,
            arrived,
        }
    }
}

/// Somebody who is to be told.
#[derive(Debug)]
pub(crate) enum Waiter {
    Thread(Thread),
    Task(Waker),
}

impl Wake for Waiter {
    fn wake(self) {
        match self {
            Self::Thread(thread) => thread.unpark(),
            Self::Task(waker) => waker.wake(),
        }
    }
}

/// With what a caller takes what came for its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u32);

/// Who stands in the queue for a call that may be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spot(u64);

/// What somebody waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// Something that comes for a call.
    Call(Ticket),
    /// That another call may be begun.
    Vacancy(Spot),
}

#[derive(Debug, Default)]
struct Wire {
    call: u32,
    open: bool,
    /// None: the caller has given up.
    ticket: Option<Ticket>,
    /// The scope of the arguments: not used again before the last reply.
    given: Option<Given>,
}

#[derive(Debug, Default)]
struct Slip {
    stream: Option<StreamId>,
    last: Option<Came>,
    items: VecDeque<Came>,
    /// Items that the server takes.
    credit: u32,
    waiter: Option<Waiter>,
}

#[derive(Debug)]
pub(crate) struct Calls {
    wires: Vec<Wire>,
    free_wires: Vec<u32>,
    slips: Vec<Slip>,
    free_slips: Vec<u32>,
    limit: u32,
    vacancies: VecDeque<(Spot, Waiter)>,
    spots: u64,
    pub(crate) going_away: bool,
}

/// What is left of a call after its last reply, to be seen to and dropped without the
/// lock.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) waiter: Option<Waiter>,
    pub(crate) vacancy: Option<Waiter>,
    /// The run of the arguments, which the server no longer reads, or holds.
    pub(crate) given: Option<Given>,
    /// A reply that nobody takes.
    pub(crate) unwanted: Option<Came>,
}

impl Calls {
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            wires: Vec::new(),
            free_wires: Vec::new(),
            slips: Vec::new(),
            free_slips: Vec::new(),
            limit,
            vacancies: VecDeque::new(),
            spots: 0,
            going_away: false,
        }
    }

    /// Begins a call; none while as many are open as may be.
    #[inline]
    pub(crate) fn begin(&mut self, given: &mut Option<Given>) -> Option<(StreamId, Ticket)> {
        let index = match self.free_wires.pop() {
            Some(index) => index,
            None if self.wires.len() < self.limit as usize => {
                self.wires.push(Wire::default());
                self.wires.len() as u32 - 1
            }
            None => return None,
        };
        let slip = self.free_slips.pop().unwrap_or_else(|| {
            self.slips.push(Slip::default());
            self.slips.len() as u32 - 1
        });
        let ticket = Ticket(slip);
        let wire = &mut self.wires[index as usize];
        wire.call = wire.call.wrapping_add(1);
        wire.open = true;
        wire.ticket = Some(ticket);
        wire.given = given.take();
        let stream = StreamId {
            index,
            call: wire.call,
        };
        let slip = &mut self.slips[slip as usize];
        slip.stream = Some(stream);
        slip.credit = WINDOW_ITEMS;
        Some((stream, ticket))
    }

    fn wire(&mut self, stream: StreamId) -> Result<&mut Wire, PeerMisbehaved> {
        self.wires
            .get_mut(stream.index as usize)
            .filter(|wire| wire.open && wire.call == stream.call)
            .ok_or(PeerMisbehaved::UnknownStream(stream))
    }

    /// Takes in a reply, or an item of one; what is then left to be seen to.
    #[inline]
    pub(crate) fn deliver(
        &mut self,
        message: &Message,
        arrived: Arrived,
    ) -> Result<Option<Delivered>, PeerMisbehaved> {
        let stream = message.stream;
        let is_item = message.has(Message::ITEM);
        let wire = self.wire(stream)?;
        let (mut given, mut vacancy) = (None, None);
        let ticket = if is_item {
            wire.ticket
        } else {
            wire.open = false;
            given = wire.given.take();
            let ticket = wire.ticket.take();
            self.free_wires.push(stream.index);
            vacancy = self.next_in_queue();
            ticket
        };
        let came = Came::new(message, arrived);
        let Some(Ticket(slip)) = ticket else {
            return Ok(Some(Delivered {
                waiter: None,
                vacancy,
                given,
                unwanted: Some(came),
            }));
        };
        let slip = &mut self.slips[slip as usize];
        if !is_item {
            slip.last = Some(came);
        } else if slip.items.len() >= WINDOW_ITEMS as usize {
            return Err(PeerMisbehaved::Order {
                stream,
                what: "more items than were asked for",
            });
        } else {
            slip.items.push_back(came);
        }
        let waiter = slip.waiter.take();
        let something = waiter.is_some() || vacancy.is_some() || given.is_some();
        Ok(something.then(|| Delivered {
            waiter,
            vacancy,
            given,
            unwanted: None,
        }))
    }

    /// The run at `page` of the arguments of a call that the server has not
    /// answered yet.
    pub(crate) fn given_at(&self, page: u32) -> Option<Given> {
        let given = self.wires.iter().filter_map(|wire| wire.given.as_ref());
        let there = given.filter(|given| given.run.page() == page);
        there.max_by_key(|given| given.bytes).cloned()
    }

    /// The server takes more items.
    pub(crate) fn grant(
        &mut self,
        stream: StreamId,
        items: u32,
    ) -> Result<Option<Waiter>, PeerMisbehaved> {
        let Some(Ticket(slip)) = self.wire(stream)?.ticket else {
            return Ok(None);
        };
        let slip = &mut self.slips[slip as usize];
        slip.credit = slip
            .credit
            .checked_add(items)
            .filter(|credit| *credit <= WINDOW_ITEMS)
            .ok_or(PeerMisbehaved::Order {
                stream,
                what: "credit beyond the window",
            })?;
        Ok(slip.waiter.take())
    }

    /// The last reply of a call, which ends the ticket. Its items were taken
    /// before; if there are any, the call has no stream, the ticket goes on, and
    /// [`take_last_or_error`](Self::take_last_or_error) tells.
    #[inline]
    pub(crate) fn take_last(&mut self, ticket: Ticket) -> Option<Came> {
        let slip = &mut self.slips[ticket.0 as usize];
        let last = slip.last.take_if(|_| slip.items.is_empty())?;
        self.end(ticket);
        Some(last)
    }

    /// [`take_last`](Self::take_last), or why it will never be there to be taken.
    pub(crate) fn take_last_or_error(
        &mut self,
        ticket: Ticket,
    ) -> Option<Result<Came, PeerMisbehaved>> {
        if let Some(last) = self.take_last(ticket) {
            return Some(Ok(last));
        }
        self.is_done(ticket).then(|| {
            Err(PeerMisbehaved::Order {
                stream: self.stream_of(ticket),
                what: "items of a call without a stream",
            })
        })
    }

    /// The stream of an open call.
    pub(crate) fn stream_of(&self, ticket: Ticket) -> StreamId {
        let stream = self.slips[ticket.0 as usize].stream;
        stream.expect("a ticket has a stream until it ends")
    }

    /// Whether the last reply of a call has come.
    pub(crate) fn is_done(&self, ticket: Ticket) -> bool {
        self.slips[ticket.0 as usize].last.is_some()
    }

    /// The next item of a reply, `Some(None)` after the last.
    pub(crate) fn next_item(&mut self, ticket: Ticket) -> Option<Option<Came>> {
        match self.slips[ticket.0 as usize].items.pop_front() {
            Some(came) => Some(Some(came)),
            None => self.is_done(ticket).then_some(None),
        }
    }

    /// Uses credit for one item, once there is some; false if the server has
    /// replied.
    pub(crate) fn use_credit(&mut self, ticket: Ticket) -> Option<bool> {
        if self.is_done(ticket) {
            return Some(false);
        }
        let slip = &mut self.slips[ticket.0 as usize];
        let some = slip.credit > 0;
        slip.credit -= u32::from(some);
        some.then_some(true)
    }

    /// Gives a call up: what came and was not taken, and whether the server is
    /// to be told.
    pub(crate) fn abandon(&mut self, ticket: Ticket) -> (Vec<Came>, Option<StreamId>) {
        let slip = &mut self.slips[ticket.0 as usize];
        let mut unwanted: Vec<_> = slip.items.drain(..).collect();
        unwanted.extend(slip.last.take());
        let stream = slip.stream;
        self.end(ticket);
        let open = stream.filter(|stream| match self.wire(*stream) {
            Ok(wire) => {
                wire.ticket = None;
                true
            }
            Err(_) => false,
        });
        (unwanted, open)
    }

    fn end(&mut self, ticket: Ticket) {
        let slip = &mut self.slips[ticket.0 as usize];
        slip.stream = None;
        slip.waiter = None;
        debug_assert!(slip.items.is_empty(), "items are taken before the end");
        self.free_slips.push(ticket.0);
    }

    /// Remembers whom to wake.
    pub(crate) fn register(&mut self, place: Place, waiter: Waiter) {
        match place {
            Place::Call(ticket) => self.slips[ticket.0 as usize].waiter = Some(waiter),
            Place::Vacancy(spot) => match self.vacancies.iter_mut().find(|(s, _)| *s == spot) {
                Some((_, before)) => *before = waiter,
                None => self.vacancies.push_back((spot, waiter)),
            },
        }
    }

    /// A place in the queue for a call that may be begun.
    pub(crate) fn spot(&mut self) -> Spot {
        self.spots += 1;
        Spot(self.spots)
    }

    /// Leaves the queue, with or without a call begun. Who was called up and
    /// begins none lets the next one go: that is to be woken.
    pub(crate) fn leave_queue(&mut self, spot: Spot, has_begun: bool) -> Option<Waiter> {
        let before = self.vacancies.len();
        self.vacancies.retain(|(s, _)| *s != spot);
        let was_called_up = self.vacancies.len() == before;
        if was_called_up && !has_begun {
            self.next_in_queue()
        } else {
            None
        }
    }

    fn next_in_queue(&mut self) -> Option<Waiter> {
        self.vacancies.pop_front().map(|(_, waiter)| waiter)
    }

    /// Forgets the thread that no longer waits.
    pub(crate) fn unregister(&mut self, place: Place) {
        match place {
            Place::Call(ticket) => self.slips[ticket.0 as usize].waiter = None,
            Place::Vacancy(spot) => self.vacancies.retain(|(s, _)| *s != spot),
        }
    }

    /// Everybody who waits.
    pub(crate) fn take_waiters(&mut self) -> Vec<Waiter> {
        let calls = self.slips.iter_mut().filter_map(|slip| slip.waiter.take());
        let mut waiters: Vec<_> = calls.collect();
        waiters.extend(self.vacancies.drain(..).map(|(_, waiter)| waiter));
        waiters
    }
}
