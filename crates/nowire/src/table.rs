//! The streams open on one connection, by their index.

use std::sync::Arc;

use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::StreamId;

use crate::cell::StreamCell;

/// Which streams are open; the same rules on both sides.
///
/// The client picks an index that is free and counts its calls up; the server
/// follows. A frame of an earlier call of an index is late and is ignored, one of
/// a later call must open it.
#[derive(Debug)]
pub(crate) struct Table {
    entries: Vec<Entry>,
    free: Vec<u32>,
    limit: u32,
    open: usize,
}

#[derive(Debug, Default)]
struct Entry {
    call: u32,
    cell: Option<Arc<StreamCell>>,
}

/// What a frame's stream is to the table.
#[derive(Debug)]
pub(crate) enum Found {
    /// It is open.
    Open(Arc<StreamCell>),
    /// It was open once; the frame is late.
    Over,
    /// It is not open, and a frame with a header block would open it.
    Fresh,
}

impl Table {
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            limit,
            open: 0,
        }
    }

    /// Streams open now.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// Client: opens a stream at a free index, if there is one.
    pub(crate) fn open_next(
        &mut self,
        cell: impl FnOnce(StreamId) -> Arc<StreamCell>,
    ) -> Option<Arc<StreamCell>> {
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.entries.len() < self.limit as usize => {
                self.entries.push(Entry::default());
                self.entries.len() as u32 - 1
            }
            None => return None,
        };
        let entry = &mut self.entries[index as usize];
        entry.call = entry.call.wrapping_add(1);
        let cell = cell(StreamId {
            index,
            call: entry.call,
        });
        entry.cell = Some(Arc::clone(&cell));
        self.open += 1;
        Some(cell)
    }

    /// Finds the stream of a frame that came.
    pub(crate) fn find(&self, stream: StreamId) -> Result<Found, PeerMisbehaved> {
        if stream.index >= self.limit {
            return Err(PeerMisbehaved::StreamLimit {
                stream,
                limit: self.limit,
            });
        }
        let Some(entry) = self.entries.get(stream.index as usize) else {
            return Ok(Found::Fresh);
        };
        if entry.call == stream.call {
            return Ok(entry
                .cell
                .as_ref()
                .map_or(Found::Over, |cell| Found::Open(Arc::clone(cell))));
        }
        if !stream.is_after(entry.call) {
            return Ok(Found::Over);
        }
        if entry.cell.is_some() {
            Err(PeerMisbehaved::StreamInUse(stream))
        } else {
            Ok(Found::Fresh)
        }
    }

    /// Server: opens the stream of a frame that was found [`Found::Fresh`].
    pub(crate) fn open_at(&mut self, stream: StreamId, cell: Arc<StreamCell>) {
        let index = stream.index as usize;
        if self.entries.len() <= index {
            self.entries.resize_with(index + 1, Entry::default);
        }
        self.entries[index] = Entry {
            call: stream.call,
            cell: Some(cell),
        };
        self.open += 1;
    }

    /// Closes a stream if it is still open; true if it was.
    pub(crate) fn close(&mut self, stream: StreamId) -> bool {
        let Some(entry) = self.entries.get_mut(stream.index as usize) else {
            return false;
        };
        if entry.call != stream.call || entry.cell.take().is_none() {
            return false;
        }
        self.open -= 1;
        true
    }

    /// Client: lets the index of a stream that was closed be used again.
    pub(crate) fn vacate(&mut self, stream: StreamId) {
        self.free.push(stream.index);
    }

    /// Closes all streams and returns them.
    pub(crate) fn close_all(&mut self) -> Vec<Arc<StreamCell>> {
        self.open = 0;
        self.entries
            .iter_mut()
            .filter_map(|entry| entry.cell.take())
            .collect()
    }
}
