//! What a handler can learn of its call, besides the arguments.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use nowire_protocol::head::{self, Block, Field, Fields, HeadError, TABLE};

use super::serving::ServerLink;
use crate::Peer;

/// Circumstances of a call.
pub struct Context {
    pub(crate) link: Arc<ServerLink>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) metadata: Option<Box<Block>>,
    pub(crate) cancelled: Option<Arc<AtomicBool>>,
    pub(crate) reply_metadata: Mutex<Option<Box<Block>>>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("peer", self.peer())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl Context {
    /// The caller's process.
    pub fn peer(&self) -> &Peer {
        &self.link.link.peer
    }

    /// When the caller stops waiting, if it said so.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the caller has given up, died, or stopped waiting. A method in the
    /// pool looks at this between the steps of long work; a task is dropped.
    pub fn is_cancelled(&self) -> bool {
        self.link.link.over().is_some()
            || self
                .cancelled
                .as_ref()
                .is_some_and(|cancelled| cancelled.load(Ordering::Acquire))
            || self
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The first value of that name in the caller's metadata.
    pub fn metadata(&self, name: &str) -> Option<String> {
        value_of(self.metadata.as_deref(), name)
    }

    /// The caller's metadata, in its order.
    pub fn all_metadata(&self) -> Vec<(String, String)> {
        all(self.metadata.as_deref())
    }

    /// Sends metadata with the reply.
    ///
    /// # Errors
    /// If the name is longer than 255 bytes or the value than 65,535.
    pub fn reply_metadata(&self, name: &str, value: &str) -> Result<(), HeadError> {
        let mut metadata = self
            .reply_metadata
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let block = metadata.get_or_insert_default();
        let before = block.len();
        let written = head::write_field(block, name, value.as_bytes());
        if written.is_err() {
            block.truncate(before);
        }
        written
    }
}

/// The first value of that name.
pub(crate) fn value_of(metadata: Option<&Block>, name: &str) -> Option<String> {
    all(metadata)
        .into_iter()
        .find_map(|(found, value)| (found == name).then_some(value))
}

/// Names and values.
pub(crate) fn all(metadata: Option<&Block>) -> Vec<(String, String)> {
    let Some(block) = metadata else {
        return Vec::new();
    };
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let read = |field| match field {
        Field::Entry(tag, value) => (TABLE[usize::from(tag) - 1].0.to_owned(), text(value)),
        Field::Literal(name, value) => (text(name), text(value)),
    };
    // The link has refused what cannot be read.
    Fields::new(block)
        .filter_map(Result::ok)
        .map(read)
        .collect()
}
