//! The runs of a heap that the peer reads beyond the call they were sent with.

use std::collections::HashMap;
use std::sync::Arc;

use nowire_memory::heap::Run;
use nowire_protocol::PeerMisbehaved;

/// Runs that come back when the peer releases them.
#[derive(Debug, Default)]
pub(crate) struct Held(HashMap<u32, (Arc<Run>, usize)>);

impl Held {
    /// Keeps a run until it is released once more than before.
    pub(crate) fn hold(&mut self, run: Arc<Run>) {
        self.0.entry(run.page()).or_insert((run, 0)).1 += 1;
    }

    /// The peer no longer reads the run at `page`.
    pub(crate) fn release(&mut self, page: u32) -> Result<(), PeerMisbehaved> {
        let Some((_, times)) = self.0.get_mut(&page) else {
            return Err(PeerMisbehaved::Release { page });
        };
        *times -= 1;
        if *times == 0 {
            self.0.remove(&page);
        }
        Ok(())
    }

    /// How many runs are held.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
