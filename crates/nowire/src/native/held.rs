//! The runs of a heap that the peer reads beyond the call they were sent with.

use std::collections::HashMap;
use std::sync::Arc;

use nowire_memory::heap::Run;
use nowire_protocol::PeerMisbehaved;

/// A run, and how much of it the peer was given.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) run: Arc<Run>,
    /// From the start of the run on.
    pub(crate) bytes: u32,
}

impl Given {
    /// All that is built in the run by now.
    pub(crate) fn all_of(run: Arc<Run>) -> Self {
        let bytes = run.used_bytes();
        Self { run, bytes }
    }
}

/// Runs that come back when the peer releases them.
#[derive(Debug, Default)]
pub(crate) struct Held(HashMap<u32, Hold>);

#[derive(Debug)]
struct Hold {
    given: Given,
    times: usize,
}

impl Held {
    /// Keeps a run until it is released once more than before.
    pub(crate) fn hold(&mut self, given: Given) {
        let bytes = given.bytes;
        let hold = self
            .0
            .entry(given.run.page())
            .or_insert(Hold { given, times: 0 });
        hold.times += 1;
        hold.given.bytes = hold.given.bytes.max(bytes);
    }

    /// The run at `page`, if the peer holds it.
    pub(crate) fn find(&self, page: u32) -> Option<Given> {
        self.0.get(&page).map(|hold| hold.given.clone())
    }

    /// The peer no longer reads the run at `page`.
    pub(crate) fn release(&mut self, page: u32) -> Result<(), PeerMisbehaved> {
        let Some(hold) = self.0.get_mut(&page) else {
            return Err(PeerMisbehaved::Release { page });
        };
        hold.times -= 1;
        if hold.times == 0 {
            self.0.remove(&page);
        }
        Ok(())
    }

    /// How many runs are held.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
