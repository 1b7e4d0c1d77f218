//! Descriptors that the kernel does not take yet: of a user without privileges it
//! lets only so many be on their way. Their frames are in the ring, and the peer
//! waits there for them.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::time::Duration;

use nowire_memory::socket;
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use tokio::time::Sleep;

use crate::error::ConnectionError;
use crate::shared::Shared;

/// How often the kernel is asked again: nothing tells when others have taken theirs.
const ASK_AGAIN: Duration = Duration::from_millis(1);

/// In the order of their frames.
#[derive(Debug, Default)]
pub(crate) struct Owed(VecDeque<OwnedFd>);

impl Owed {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Hands a descriptor over, now or when the kernel takes it.
    pub(crate) fn hand_over(
        &mut self,
        control: BorrowedFd<'_>,
        descriptor: BorrowedFd<'_>,
    ) -> Result<(), Errno> {
        if self.is_empty() {
            match socket::hand_over(control, descriptor) {
                Err(Errno::TOOMANYREFS) => {}
                handed => return handed,
            }
        }
        self.0.push_back(fcntl_dupfd_cloexec(descriptor, 0)?);
        Ok(())
    }

    /// Hands over what the kernel takes by now.
    fn settle(&mut self, control: BorrowedFd<'_>) -> Result<(), Errno> {
        while let Some(descriptor) = self.0.front() {
            match socket::hand_over(control, descriptor.as_fd()) {
                Ok(()) => drop(self.0.pop_front()),
                Err(Errno::TOOMANYREFS) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Shared {
    /// Hands over what is owed, and sees to it that the task which `cx` is of comes
    /// back while something is.
    pub(crate) fn poll_owed(
        &self,
        timer: &mut Option<Pin<Box<Sleep>>>,
        cx: &mut Context<'_>,
    ) -> Result<(), ConnectionError> {
        while self.owes.load(Ordering::Relaxed) {
            let mut tx = self.tx();
            let settled = tx.owed.settle(self.socket.as_fd());
            let is_settled = tx.owed.is_empty();
            self.owes.store(!is_settled, Ordering::Relaxed);
            drop(tx);
            settled.map_err(|error| self.not_handed_over(error))?;
            if is_settled {
                break;
            }
            let again = || Box::pin(tokio::time::sleep(ASK_AGAIN));
            let waiting = timer.get_or_insert_with(again);
            if waiting.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            *timer = None;
        }
        *timer = None;
        // Others may have waited for this with their references.
        self.give_room()
    }
}
