//! The tasks that read a client's ring while only tasks wait.

use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::runtime::{Handle, Id};
use tokio::sync::Notify;

use super::calls::Waiter;
use super::client::{Client, Shared};

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
    /// Starts the task that reads the ring when no caller does, once in each
    /// runtime.
    pub(super) fn watch(self: &Arc<Self>) {
        self.waiting.tasks.store(1, Ordering::SeqCst);
        let runtime = Handle::current();
        let mut watchers = self.watchers.lock();
        if watchers.iter().any(|(id, _)| *id == runtime.id()) {
            return;
        }
        if let Ok(socket) = self.link.socket().try_clone_to_owned()
            && let Ok(socket) = tokio::net::UnixStream::from_std(socket.into())
        {
            let nudge = Arc::new(Notify::new());
            watchers.push((runtime.id(), Arc::clone(&nudge)));
            drop(watchers);
            let watcher = Watcher {
                shared: Arc::downgrade(self),
                runtime: runtime.id(),
            };
            runtime.spawn(watcher.run(socket, nudge));
        }
    }

    /// Reads what there is; false when nobody needs that any more.
    fn read_for_tasks(&self) -> bool {
        let mut rx = self.link.try_rx();
        if rx.is_none() {
            self.waiting.missed.store(true, Ordering::SeqCst);
            // SYNC: pairs with the fence in `nudge_if_missed`: whoever reads sees
            // that when it leaves, or has left.
            fence(Ordering::SeqCst);
            rx = self.link.try_rx();
        }
        let Some(mut rx) = rx else {
            return true;
        };
        let read = self.link.answer(&mut rx).and_then(|()| {
            loop {
                while self.link.pump(&mut rx, &mut Client(self))? > 0 {}
                if !self.link.is_ready_after_lying_down(&mut rx) {
                    return self.link.check_alive(&rx);
                }
                self.link.get_up(&mut rx);
            }
        });
        drop(rx);
        self.nudge_if_missed();
        self.hand_over_to_threads();
        if let Err(over) = read {
            self.end(over);
            return false;
        }
        true
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
    async fn run(self, socket: tokio::net::UnixStream, nudge: Arc<Notify>) {
        loop {
            tokio::select! {
                ready = socket.readable() => if ready.is_err() { return },
                () = nudge.notified() => {}
            }
            // Tells tokio that what was there is taken; the link takes it.
            let _ = socket.try_io(tokio::io::Interest::READABLE, || {
                Err::<(), _>(std::io::ErrorKind::WouldBlock.into())
            });
            match self.shared.upgrade() {
                Some(shared) if shared.read_for_tasks() => {}
                _ => return,
            }
        }
    }
}
