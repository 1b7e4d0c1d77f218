//! The tasks that read a client's ring while only tasks wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use nowire_protocol::turn::{Turn, Wake};
use tokio::runtime::{Handle, Id};
use tokio::sync::Notify;

use super::calls::Waiter;
use super::client::Shared;
use crate::error::ConnectionError;
use crate::watched::{self, Watched};

/// The watchers of a channel: one in each runtime whose tasks have waited, as a
/// runtime may rest while another's tasks wait.
#[derive(Debug, Default)]
pub(super) struct Watchers(Mutex<Vec<(Id, Arc<Notify>)>>);

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, Vec<(Id, Arc<Notify>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells them to look.
    pub(super) fn nudge(&self) {
        for (_, nudge) in self.lock().iter() {
            nudge.notify_one();
        }
    }
}

impl Shared {
    /// Has this runtime read the ring when no caller does.
    ///
    /// # Errors
    /// If it cannot, for want of a descriptor.
    pub(super) fn watch(self: &Arc<Self>) -> Result<(), ConnectionError> {
        let runtime = Handle::current();
        let mut watchers = self.watchers.lock();
        if watchers.iter().any(|(id, _)| *id == runtime.id()) {
            return Ok(());
        }
        let socket = self.link.socket().try_clone_to_owned();
        let socket = socket
            .and_then(watched::watch)
            .map_err(|error| ConnectionError::Socket {
                peer: self.link.label(),
                error: Arc::new(error),
            })?;
        let nudge = Arc::new(Notify::new());
        watchers.push((runtime.id(), Arc::clone(&nudge)));
        drop(watchers);
        let watcher = Watcher {
            shared: Arc::downgrade(self),
            runtime: runtime.id(),
        };
        runtime.spawn(watcher.run(socket, nudge));
        Ok(())
    }
}

/// The task that reads the ring for other tasks. It goes with its runtime; the
/// next task that waits starts another.
struct Watcher {
    shared: Weak<Shared>,
    runtime: Id,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.watchers.lock().retain(|(id, _)| *id != self.runtime);
            let waiters = shared.calls().take_waiters();
            waiters.into_iter().for_each(Waiter::wake);
        }
    }
}

impl Watcher {
    async fn run(self, socket: Watched, nudge: Arc<Notify>) {
        let mut missed = false;
        loop {
            tokio::select! {
                ready = socket.readable(), if !missed => if ready.is_err() { return },
                () = nudge.notified() => {}
            }
            // Tells tokio that what was there is taken; the link takes it.
            let _ = socket.try_io(tokio::io::Interest::READABLE, |_| {
                Err::<(), _>(std::io::ErrorKind::WouldBlock.into())
            });
            let Some(shared) = self.shared.upgrade() else {
                return;
            };
            let turn = Turn::take_or_be_nudged(&*shared);
            missed = turn.is_none();
            if let Some(mut turn) = turn
                && !shared.read_all(&mut turn)
            {
                return;
            }
        }
    }
}
