//! One call on a connection, as its two halves.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{ResetCode, StreamId};
use nowire_protocol::head::Block;
use nowire_protocol::ring::{Control, Outgoing};
use nowire_protocol::stream::{REFERENCE_BYTES, Side};

use crate::Peer;
use crate::cell::{Half, StreamCell, StreamState};
use crate::connection::Connection;
use crate::error::StreamError;
use crate::refs::{Carrier, Passings};
use crate::sending::Batch;
use crate::wait::Calling;

/// A stream that the client has opened.
#[derive(Debug)]
pub struct Stream {
    /// Sends the request. Dropped before its end, it cancels the call.
    pub sender: Sender,
    /// Receives the answer. Dropped before its end, it cancels the call.
    pub receiver: Receiver,
}

/// A stream that has come to the server.
#[derive(Debug)]
pub struct Incoming {
    /// The header block of the request.
    pub head: Block,
    /// Sends the answer. Dropped before its end, it fails the call.
    pub sender: Sender,
    /// Receives the request. Once dropped, what still comes is thrown away.
    pub receiver: Receiver,
}

impl Incoming {
    /// The halves of a stream whose header block has come; none if it is over
    /// already.
    pub(crate) fn new(connection: Connection, cell: Arc<StreamCell>) -> Option<Self> {
        let head = {
            let mut state = cell.lock();
            if state.failure.is_some() {
                return None;
            }
            state.head.take()?
        };
        let sender = Sender::new(connection.clone(), Arc::clone(&cell));
        Some(Self {
            head,
            sender,
            receiver: Receiver::new(connection, cell),
        })
    }
}

/// What is to be sent on a stream: each part at most once, in this order.
/// Parts disappear from here as they are sent.
#[derive(Debug)]
pub struct Sending<'a> {
    /// The header block.
    pub head: Option<&'a [u8]>,
    /// Message data.
    pub data: Bytes,
    /// The trailer block; only a server sends one, and nothing after it.
    pub tail: Option<&'a [u8]>,
    /// Nothing follows.
    pub end: bool,
    /// References whose tokens are in the data; they go ahead of it.
    pub references: &'a mut Passings,
}

impl Sending<'_> {
    fn forget(&mut self) {
        self.head = None;
        self.data = Bytes::new();
        self.tail = None;
        self.references.clear();
    }
}

/// The sending half of a stream.
#[derive(Debug)]
pub struct Sender {
    connection: Connection,
    cell: Arc<StreamCell>,
    ended: bool,
}

impl Sender {
    pub(crate) fn new(connection: Connection, cell: Arc<StreamCell>) -> Self {
        Self {
            connection,
            cell,
            ended: false,
        }
    }

    /// The stream.
    pub fn id(&self) -> StreamId {
        self.cell.id
    }

    /// Longest header block, and longest trailer block, that can be sent, in bytes.
    pub fn block_limit(&self) -> usize {
        self.connection.shared().piece_bytes()
    }

    /// Puts what is to be sent into the ring, in as many pieces as it takes;
    /// ready when all of it is there. Pending while the ring is full, or while
    /// the peer's reader has not read enough.
    ///
    /// A client's sender is also ready, with nothing more sent, when the answer
    /// has ended before the request.
    ///
    /// # Errors
    /// If the stream was reset or the connection is over.
    ///
    /// # Panics
    /// If a block is longer than [`block_limit`](Self::block_limit), or after
    /// the end was sent.
    pub fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        sending: &mut Sending<'_>,
    ) -> Poll<Result<(), StreamError>> {
        assert!(!self.ended, "sending after the end");
        // As in `poll_data`: who always finds room must let others run.
        let coop = ready!(tokio::task::coop::poll_proceed(cx));
        let sent = self.poll_send_now(cx, sending);
        // What ends a stream happens once: its answer counts, or what was asked.
        if sent.is_ready() && !self.ended {
            coop.made_progress();
        }
        sent
    }

    fn poll_send_now(
        &mut self,
        cx: &mut Context<'_>,
        sending: &mut Sending<'_>,
    ) -> Poll<Result<(), StreamError>> {
        let shared = self.connection.shared();
        let piece_bytes = shared.piece_bytes();
        loop {
            let can_send = |state: &mut StreamState| {
                if let Some(failure) = &state.failure {
                    return Some(Err(failure.clone()));
                }
                if shared.side == Side::Client && state.inbound.has_ended() {
                    return Some(Ok(None));
                }
                let credit = state.outbound.credit_bytes();
                let needed = match sending.references.is_empty() {
                    true => 1,
                    false => REFERENCE_BYTES as usize,
                };
                (credit >= needed
                    || sending.head.is_some()
                    || (sending.data.is_empty() && sending.references.is_empty()))
                .then_some(Ok(Some(credit)))
            };
            let credit = match self.connection.shared().poll_half(
                &self.cell,
                Half::Writer,
                shared.side == Side::Client,
                cx,
                can_send,
            ) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Ready(Ok(None)) => {
                    self.ended = true;
                    sending.forget();
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(Some(credit))) => credit,
            };
            let batch = shared.batch(sending.references, credit);
            let all = batch.len() == sending.references.len();
            let is_spent = credit == batch.bytes();
            let parted = !all || (batch.len() > 0 && is_spent && !sending.data.is_empty());
            if parted && sending.head.is_none() {
                // What has to wait for more room or credit waits with the data.
                match self.send_references(sending.references, credit, cx) {
                    Poll::Ready(Ok(())) => continue,
                    waiting => return waiting,
                }
            }
            let batch = if all { batch } else { Batch::default() };
            let references_bytes = batch.bytes();
            let credit = credit - references_bytes;
            let head_bytes = sending.head.map_or(0, <[u8]>::len);
            let data_bytes = match all {
                true => sending.data.len().min(piece_bytes - head_bytes).min(credit),
                // The header block goes alone: behind it the stream is known.
                false => 0,
            };
            let data_done = all && data_bytes == sending.data.len();
            let tail_bytes = sending.tail.map_or(0, <[u8]>::len);
            let done = data_done && head_bytes + data_bytes + tail_bytes <= piece_bytes;
            let parts = Outgoing {
                head: sending.head,
                data: (data_bytes > 0).then(|| &sending.data[..data_bytes]),
                tail: if done { sending.tail } else { None },
                end: done && (sending.end || sending.tail.is_some()),
            };
            if parts.head.is_none() && parts.data.is_none() && !parts.end {
                return Poll::Ready(Ok(()));
            }
            if parts.end && shared.side == Side::Server {
                // What still comes of the request is not wanted any more, and
                // the client may use the place again as soon as it sees the end.
                shared.forget(self.cell.id);
            }
            let spent_bytes = data_bytes + references_bytes;
            if spent_bytes > 0 {
                self.cell.lock().outbound.spend(spent_bytes);
            }
            let sent = shared.send_parts(&self.cell, batch, Some(&parts));
            if !matches!(sent, Ok(true)) && spent_bytes > 0 {
                self.cell.lock().outbound.unspend(spent_bytes);
            }
            match sent {
                Ok(true) => {}
                Ok(false) => {
                    if let Some(failure) = self.cell.lock().failure.clone() {
                        return Poll::Ready(Err(failure));
                    }
                    match shared.poll_room(cx) {
                        Poll::Ready(Ok(())) => continue,
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                        Poll::Pending => return Poll::Pending,
                    }
                }
                Err(error) => {
                    // For the receiving half as well, before this one is dropped.
                    self.cell.fail(error.clone());
                    return Poll::Ready(Err(error));
                }
            }
            let references = batch.len();
            if references > 0 {
                // None is sent with a frame but all.
                sending.references.clear();
                self.cell.lock().references.sent(references);
            }
            self.ended = parts.end;
            if parts.end {
                self.cell.sender_ended();
            }
            sending.head = None;
            sending.data.advance(data_bytes);
            if done {
                sending.tail = None;
                return Poll::Ready(Ok(()));
            }
            if shared.others_want_room() {
                // One piece each: a small call must not wait for a large one.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Sends as many references by themselves as may go together.
    #[cold]
    fn send_references(
        &self,
        references: &mut Passings,
        credit_bytes: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), StreamError>> {
        let shared = self.connection.shared();
        let batch = shared.batch(references, credit_bytes);
        let (count, bytes) = (batch.len(), batch.bytes());
        self.cell.lock().outbound.spend(bytes);
        let sent = shared.send_parts(&self.cell, batch, None);
        if !matches!(sent, Ok(true)) {
            self.cell.lock().outbound.unspend(bytes);
        }
        match sent {
            Ok(true) => {
                references.drain(..count);
                self.cell.lock().references.sent(count);
                Poll::Ready(Ok(()))
            }
            Ok(false) => shared.poll_room(cx).map_err(StreamError::from),
            Err(error) => {
                self.cell.fail(error.clone());
                Poll::Ready(Err(error))
            }
        }
    }

    /// What messages with references are encoded for; none if the peer takes no
    /// references.
    pub fn carrier(&self) -> Option<Carrier> {
        self.connection.shared().references.clone().map(Carrier)
    }

    /// Counts references that are to be sent on this stream.
    pub(crate) fn will_send(&self, count: usize) {
        self.cell.will_send(count);
    }

    /// Whether the end has been sent, or is not wanted any more.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Ends the stream on both sides at once.
    pub fn reset(&mut self, code: ResetCode) {
        self.ended = true;
        self.connection.shared().reset(&self.cell, code);
    }

    /// Waits until the stream is over before its time: reset by the peer or cut
    /// off with the connection.
    pub fn poll_failed(&mut self, cx: &mut Context<'_>) -> Poll<StreamError> {
        let mut state = self.cell.lock();
        if let Some(failure) = &state.failure {
            return Poll::Ready(failure.clone());
        }
        state.watch(cx.waker());
        Poll::Pending
    }

    /// Who the peer is.
    pub fn peer(&self) -> &Peer {
        self.connection.peer()
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if !self.ended {
            let code = match self.connection.shared().side {
                Side::Client => ResetCode::Cancelled,
                Side::Server => ResetCode::Failed,
            };
            self.connection.shared().reset(&self.cell, code);
        }
    }
}

/// The receiving half of a stream.
#[derive(Debug)]
pub struct Receiver {
    connection: Connection,
    cell: Arc<StreamCell>,
    _calling: Option<Calling>,
}

impl Receiver {
    pub(crate) fn new(connection: Connection, cell: Arc<StreamCell>) -> Self {
        let calling = (connection.shared().side == Side::Client).then(Calling::new);
        Self {
            connection,
            cell,
            _calling: calling,
        }
    }

    /// The header block of the answer. To be asked once.
    ///
    /// # Errors
    /// If the stream was reset or the connection is over.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Block, StreamError>> {
        // Whose turn is over may not have sent its request: nobody shall look for
        // the answer.
        let coop = ready!(tokio::task::coop::poll_proceed(cx));
        let head = self.connection.shared().poll_half(
            &self.cell,
            Half::Reader,
            self.may_burst(),
            cx,
            |state| match state.head.take() {
                Some(head) => Some(Ok(head)),
                None => state.failure.clone().map(Err),
            },
        );
        if head.is_ready() {
            coop.made_progress();
        }
        head
    }

    /// The next data, none at its end. The trailer block is there by then.
    ///
    /// # Errors
    /// If the stream was reset or the connection is over; what came before that
    /// comes first.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StreamError>>> {
        // Who always finds data must let other tasks run, such as the driver of
        // this connection, which may wait on the same thread.
        let coop = ready!(tokio::task::coop::poll_proceed(cx));
        let mut credit = None;
        let mut credit_of_references = None;
        let data = self.connection.shared().poll_half(
            &self.cell,
            Half::Reader,
            self.may_burst(),
            cx,
            |state| {
                if let Some(bytes) = state.read_references() {
                    credit_of_references = Some(credit_of_references.unwrap_or(0) + bytes);
                }
                if let Some(data) = state.take_data() {
                    credit = state.inbound.consume(data.len() as u32);
                    return Some(Some(Ok(data)));
                }
                if state.is_read_out() {
                    return Some(None);
                }
                state.failure.clone().map(|failure| Some(Err(failure)))
            },
        );
        if let Some(bytes) = credit
            .into_iter()
            .chain(credit_of_references)
            .reduce(u32::saturating_add)
        {
            // A connection that is over needs no credit.
            let _ = self.connection.shared().send_control(Control::Credit {
                stream: self.cell.id,
                bytes,
            });
        }
        if let Poll::Ready(Some(_)) = data {
            coop.made_progress();
        }
        data
    }

    /// Whether all that is left to do is to wait for the server. On a server,
    /// and while a request is being written, other tasks of this process have
    /// work to do, and the driver looks after the ring.
    fn may_burst(&self) -> bool {
        self.connection.shared().side == Side::Client && self.cell.sender_has_ended()
    }

    /// The trailer block, if one has come.
    pub fn take_tail(&mut self) -> Option<Block> {
        self.cell.lock().tail.take()
    }

    /// Ends the whole connection, because the peer sent on this stream what no
    /// honest peer sends.
    pub fn cut_off(&self, what: PeerMisbehaved) {
        self.connection.shared().cut_off(what);
    }

    /// Who the peer is.
    pub fn peer(&self) -> &Peer {
        self.connection.peer()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let shared = self.connection.shared();
        match shared.side {
            Side::Client => shared.reset(&self.cell, ResetCode::Cancelled),
            Side::Server => {
                let mut state = self.cell.lock();
                let bytes = state.discard();
                let credit = state.inbound.consume(bytes);
                let over = state.failure.is_some();
                drop(state);
                if let (Some(bytes), false) = (credit, over) {
                    let _ = shared.send_control(Control::Credit {
                        stream: self.cell.id,
                        bytes,
                    });
                }
            }
        }
    }
}
