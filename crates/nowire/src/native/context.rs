//! What a handler can learn of its call, besides the arguments.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nowire_protocol::head::{Block, Field, Fields, TABLE};

use super::serving::ServerLink;
use crate::Peer;

/// Circumstances of a call.
pub struct Context {
    pub(crate) link: Arc<ServerLink>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) metadata: Option<Box<Block>>,
    pub(crate) cancelled: Option<Arc<AtomicBool>>,
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
        self.all_metadata()
            .into_iter()
            .find_map(|(found, value)| (found == name).then_some(value))
    }

    /// The caller's metadata, in its order.
    pub fn all_metadata(&self) -> Vec<(String, String)> {
        let Some(block) = &self.metadata else {
            return Vec::new();
        };
        // What cannot be read was refused before the handler was begun.
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Fields::new(block)
            .filter_map(Result::ok)
            .map(|field| match field {
                Field::Entry(tag, value) => (TABLE[usize::from(tag) - 1].0.to_owned(), text(value)),
                Field::Literal(name, value) => (text(name), text(value)),
            })
            .collect()
    }
}
