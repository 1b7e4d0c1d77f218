//! What this process knows of one stream.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{Parts, StreamId};
use nowire_protocol::head::Block;
use nowire_protocol::stream::{Inbound, Outbound, REFERENCE_BYTES};

use crate::error::StreamError;
use crate::refs::{Counts, References};
use crate::wait::Waiting;

/// Data shorter than this is gathered, so that a peer who sends single bytes
/// cannot make this side pay for a buffer each.
const GATHERED_BYTES: usize = 2048;

const UNHEARD_OF: u8 = 0;
const ANNOUNCED: u8 = 1;
const WITHHELD: u8 = 2;

/// One stream, shared by the tasks that use it and whoever reads the ring.
#[derive(Debug)]
pub(crate) struct StreamCell {
    pub(crate) id: StreamId,
    /// This side has sent its end. A hint only: nothing is ordered by it.
    sender_ended: AtomicBool,
    /// How far the peer has heard of this stream; looked at and changed with the
    /// connection's `tx` held.
    announcement: AtomicU8,
    /// None if the two sides pass no references.
    references: Option<Arc<References>>,
    state: Mutex<StreamState>,
}

#[derive(Debug)]
pub(crate) struct StreamState {
    pub(crate) inbound: Inbound,
    pub(crate) outbound: Outbound,
    pub(crate) head: Option<Block>,
    pub(crate) tail: Option<Block>,
    pub(crate) failure: Option<StreamError>,
    /// Nobody will read the data; it is dropped as it comes.
    pub(crate) discards: bool,
    pub(crate) references: Counts,
    /// References that came and that the reader was not told of.
    unread_references: u32,
    data: VecDeque<Bytes>,
    gathered: Vec<u8>,
    reader: Option<Parked>,
    writer: Option<Parked>,
    watcher: Option<Waker>,
}

/// A task that waits for this stream.
#[derive(Debug)]
struct Parked {
    waker: Waker,
    _waiting: Waiting,
}

/// Which of the two tasks of a stream waits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Half {
    Reader,
    Writer,
}

impl StreamCell {
    pub(crate) fn new(
        id: StreamId,
        inbound: Inbound,
        outbound: Outbound,
        references: Option<Arc<References>>,
    ) -> Self {
        let state = StreamState {
            inbound,
            outbound,
            head: None,
            tail: None,
            failure: None,
            discards: false,
            references: Counts::default(),
            unread_references: 0,
            data: VecDeque::new(),
            gathered: Vec::new(),
            reader: None,
            writer: None,
            watcher: None,
        };
        Self {
            id,
            sender_ended: AtomicBool::new(false),
            announcement: AtomicU8::new(UNHEARD_OF),
            references,
            state: Mutex::new(state),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, StreamState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many references are going to be sent.
    pub(crate) fn will_send(&self, count: usize) {
        if let Some(references) = &self.references {
            references.will_send(&mut self.lock().references, count);
        }
    }

    /// So many references that were sent are consumed.
    pub(crate) fn settled(&self, count: usize) {
        if let Some(references) = &self.references {
            references.settled(count);
        }
    }

    pub(crate) fn sender_ended(&self) {
        self.sender_ended.store(true, Ordering::Relaxed);
    }

    pub(crate) fn sender_has_ended(&self) -> bool {
        self.sender_ended.load(Ordering::Relaxed)
    }

    /// Whether the peer knows this stream, so that it has to be told of its end.
    pub(crate) fn is_announced(&self) -> bool {
        self.announcement.load(Ordering::Relaxed) == ANNOUNCED
    }

    /// The peer knows this stream.
    pub(crate) fn announced(&self) {
        self.announcement.store(ANNOUNCED, Ordering::Relaxed);
    }

    /// Whether the peer shall never hear of this stream.
    pub(crate) fn is_withheld(&self) -> bool {
        self.announcement.load(Ordering::Relaxed) == WITHHELD
    }

    /// The peer shall never hear of this stream.
    pub(crate) fn withhold(&self) {
        self.announcement.store(WITHHELD, Ordering::Relaxed);
    }

    /// Ends the stream for the tasks that use it.
    pub(crate) fn fail(&self, failure: StreamError) {
        let mut state = self.lock();
        if state.failure.is_none() {
            state.failure = Some(failure);
        }
        let reader = state.reader.take();
        let writer = state.writer.take();
        let watcher = state.watcher.take();
        drop(state);
        if let Some(watcher) = watcher {
            watcher.wake();
        }
        for parked in [reader, writer].into_iter().flatten() {
            parked.waker.wake();
        }
    }
}

impl Drop for StreamCell {
    fn drop(&mut self) {
        if let Some(references) = &self.references {
            let state = self.state.get_mut();
            let state = state.unwrap_or_else(PoisonError::into_inner);
            references.over(self.id, &state.references);
        }
    }
}

impl StreamState {
    /// Takes in a frame; `head` and `tail` are its blocks, `data` its data.
    /// Returns the task to wake and credit to send at once, if any.
    pub(crate) fn deliver(
        &mut self,
        parts: &Parts,
        head: Option<Block>,
        data: Data,
        tail: Option<Block>,
    ) -> Result<(Option<Waker>, Option<u32>), PeerMisbehaved> {
        self.inbound.accept(parts)?;
        let mut credit = None;
        if head.is_some() {
            self.head = head;
        }
        if tail.is_some() {
            self.tail = tail;
        }
        let bytes = parts.data_bytes.unwrap_or(0);
        if self.discards {
            credit = self.inbound.consume(bytes);
        } else if bytes > 0 {
            match data {
                Data::Short(short) if self.gathered.is_empty() && self.data.is_empty() => {
                    self.gathered = short
                }
                Data::Short(short) => {
                    self.gathered.extend_from_slice(&short);
                    if self.gathered.len() >= 4 * GATHERED_BYTES {
                        self.close_gathered();
                    }
                }
                Data::Piece(piece) => {
                    self.close_gathered();
                    self.data.push_back(piece);
                }
            }
        }
        let waker = self.reader.take().map(|parked| parked.waker);
        Ok((waker, credit))
    }

    /// Accounts for a reference that came; returns credit to send at once, if any.
    pub(crate) fn bring_reference(&mut self) -> Result<Option<u32>, PeerMisbehaved> {
        self.inbound.accept_reference()?;
        self.references.came = true;
        if self.discards || self.reader.is_some() {
            // Who waits for data takes what comes with it.
            return Ok(self.inbound.consume(REFERENCE_BYTES));
        }
        self.unread_references += 1;
        Ok(None)
    }

    /// Accounts for the references that came before the reader looked; returns
    /// credit to send, if any.
    pub(crate) fn read_references(&mut self) -> Option<u32> {
        match std::mem::take(&mut self.unread_references) {
            0 => None,
            count => self.inbound.consume(count * REFERENCE_BYTES),
        }
    }

    fn close_gathered(&mut self) {
        if !self.gathered.is_empty() {
            self.data
                .push_back(std::mem::take(&mut self.gathered).into());
        }
    }

    /// The next data there is.
    pub(crate) fn take_data(&mut self) -> Option<Bytes> {
        match self.data.pop_front() {
            Some(data) => Some(data),
            None if self.gathered.is_empty() => None,
            None => Some(std::mem::take(&mut self.gathered).into()),
        }
    }

    /// Whether all that will come has come and been read.
    pub(crate) fn is_read_out(&self) -> bool {
        self.inbound.has_ended() && self.data.is_empty() && self.gathered.is_empty()
    }

    /// Drops what has come and will come; returns how many bytes it was.
    pub(crate) fn discard(&mut self) -> u32 {
        self.discards = true;
        let bytes = self.data.iter().map(Bytes::len).sum::<usize>() + self.gathered.len();
        self.data.clear();
        self.gathered = Vec::new();
        bytes as u32 + std::mem::take(&mut self.unread_references) * REFERENCE_BYTES
    }

    /// Remembers a task to be woken when something happens to its half.
    pub(crate) fn park(&mut self, half: Half, waker: &Waker) {
        let place = match half {
            Half::Reader => &mut self.reader,
            Half::Writer => &mut self.writer,
        };
        match place {
            Some(parked) => parked.waker.clone_from(waker),
            None => {
                *place = Some(Parked {
                    waker: waker.clone(),
                    _waiting: Waiting::new(),
                })
            }
        }
    }

    /// Remembers a task to be woken when the stream fails.
    pub(crate) fn watch(&mut self, waker: &Waker) {
        match &mut self.watcher {
            Some(watcher) => watcher.clone_from(waker),
            None => self.watcher = Some(waker.clone()),
        }
    }

    /// The task that waits for this half, if one does.
    pub(crate) fn unpark(&mut self, half: Half) -> Option<Waker> {
        let place = match half {
            Half::Reader => &mut self.reader,
            Half::Writer => &mut self.writer,
        };
        place.take().map(|parked| parked.waker)
    }
}

/// Data of a frame, copied out of the peer's memory.
#[derive(Debug)]
pub(crate) enum Data {
    Short(Vec<u8>),
    Piece(Bytes),
}

impl Data {
    /// Whether `bytes` of data are to be gathered.
    pub(crate) fn is_short(bytes: usize) -> bool {
        bytes < GATHERED_BYTES
    }
}
