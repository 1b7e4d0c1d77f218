//! Descriptors that have come on the control socket and wait for their frames.

use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};

use nowire_memory::socket;
use nowire_protocol::PeerMisbehaved;
use rustix::io::Errno;

/// Descriptors of references that may be on their way to a peer that has not read
/// their frames yet.
pub(crate) const UNREAD_REFERENCES: usize = 64;

/// A descriptor, in its place among those that came.
#[derive(Debug)]
pub(crate) enum Handed {
    Over(OwnedFd),
    /// This process had no number free for it.
    Lost,
}

impl Handed {
    pub(crate) fn descriptor(self) -> Option<OwnedFd> {
        match self {
            Self::Over(descriptor) => Some(descriptor),
            Self::Lost => None,
        }
    }
}

/// What the control socket held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Socket {
    /// This many rings, descriptors included.
    Rung(u32),
    /// Nothing; the peer is still there.
    Empty,
    HungUp,
}

#[derive(Debug)]
pub(crate) struct Descriptors {
    waiting: VecDeque<Handed>,
    limit: usize,
}

impl Descriptors {
    /// At most `limit` may wait.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            limit,
        }
    }

    /// Takes what has come on the control socket, up to one descriptor.
    pub(crate) fn take_in(&mut self, socket: BorrowedFd<'_>) -> Result<Socket, PeerMisbehaved> {
        let answered = match socket::answer_doorbell(socket) {
            Ok(answered) if answered.rung == 0 => return Ok(Socket::HungUp),
            Ok(answered) => answered,
            Err(Errno::AGAIN) => return Ok(Socket::Empty),
            Err(_) => return Ok(Socket::HungUp),
        };
        let come = answered.lost + usize::from(answered.descriptor.is_some());
        if answered.surplus || self.waiting.len() + come > self.limit {
            return Err(PeerMisbehaved::Heap(
                "more descriptors came than segments".to_owned(),
            ));
        }
        self.waiting
            .extend((0..answered.lost).map(|_| Handed::Lost));
        self.waiting.extend(answered.descriptor.map(Handed::Over));
        Ok(Socket::Rung(answered.rung as u32))
    }

    /// Closes what waits: no frame comes for it any more.
    pub(crate) fn give_up(&mut self) {
        self.waiting = VecDeque::new();
    }

    /// The next, if one waits.
    pub(crate) fn next(&mut self) -> Option<Handed> {
        self.waiting.pop_front()
    }
}

/// What is wrong where one was lost.
pub(crate) const LOST: &str =
    "no number was free for its descriptor; raise the limit of open files of this process";
