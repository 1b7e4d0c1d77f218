//! The task that reads a client's ring while only tasks wait.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use super::calls::Waiter;
use super::client::{Client, Shared};

impl Shared {
    /// Starts the task that reads the ring when no caller does, once.
    pub(super) fn watch(self: &Arc<Self>) {
        self.waiting.tasks.store(1, Ordering::SeqCst);
        if !self.watched.swap(true, Ordering::SeqCst) {
            let watcher = Watcher(Arc::downgrade(self));
            let nudge = Arc::clone(&self.nudge);
            if let Ok(socket) = self.link.socket().try_clone_to_owned()
                && let Ok(socket) = tokio::net::UnixStream::from_std(socket.into())
            {
                tokio::spawn(watcher.run(socket, nudge));
            }
        }
    }

    /// Reads what there is; false when nobody needs that any more.
    fn read_for_tasks(&self) -> bool {
        let Some(mut rx) = self.link.try_rx() else {
            // Whoever reads nudges when it leaves.
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
struct Watcher(Weak<Shared>);

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.watched.store(false, Ordering::SeqCst);
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
            match self.0.upgrade() {
                Some(shared) if shared.read_for_tasks() => {}
                _ => return,
            }
        }
    }
}
