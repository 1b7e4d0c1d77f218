//! A peer that writes into its outbox and heap what the input says.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use nowire::Met;
use nowire::macro_support::inline;
use nowire_memory::heap::{Heap, PAGE_BYTES, RUN_HEADER_BYTES, Run};
use nowire_memory::socket::{self, Drained};
use nowire_memory::{OwnedSegment, PeerSegment};
use nowire_protocol::frame::{Frame, KIND_PING, KIND_REPLY, KIND_SEGMENT, Message};
use nowire_protocol::geometry::SLOT_BYTES;
use nowire_protocol::memory::{PrivateMemory, ReadMemory, WriteMemory};
use nowire_protocol::ring::Consumer;

use super::subject::describe;
use super::{GEOMETRY, PATIENCE};
use crate::input::Input;
use crate::slot;

/// Pages of the scope that an input brings.
const PAGES: u32 = 2;

/// Whether the honest side is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Still {
    There,
    Gone,
}

/// A peer that writes what the input says.
pub(super) struct Liar {
    socket: OwnedFd,
    outbox: OwnedSegment,
    inbox: PeerSegment,
    consumer: Consumer,
    /// Where frames are made before the honest side can see them.
    draft: PrivateMemory,
    sent: u64,
    /// Address of what was laid out.
    base: u64,
    descriptor: OwnedFd,
    heap: Heap,
    runs: Vec<Arc<Run>>,
}

impl Liar {
    /// Lays the bytes out where the honest side can read them, and tells it.
    pub(super) fn new(met: Met, mut bytes: Vec<u8>) -> Self {
        let heap = met.heaps.expect("native calls").own;
        let grown = heap.grow(PAGES).expect("a segment");
        let descriptor = grown.descriptor.try_clone().expect("a descriptor");
        let pages = grown.pages;
        grown.open();
        let run = heap.allocate(PAGES).expect("it has just grown");
        let base = heap.base() + RUN_HEADER_BYTES as u64;
        bytes.truncate(PAGES as usize * PAGE_BYTES - RUN_HEADER_BYTES);
        for word in bytes.as_chunks_mut::<8>().0 {
            *word = moved(u64::from_le_bytes(*word), base).to_le_bytes();
        }
        let scope = Arc::clone(&run).scope();
        let filled = scope.fill(bytes.len(), |into| into.copy_from_slice(&bytes));
        filled.expect("it fits");
        drop(scope);
        let mut liar = Self {
            socket: met.socket,
            outbox: met.outbox,
            inbox: met.inbox,
            consumer: Consumer::new(met.inbox_geometry),
            draft: PrivateMemory::zeroed(GEOMETRY.outbox_bytes()),
            sent: 0,
            base,
            descriptor,
            heap,
            runs: vec![run],
        };
        liar.say(&[2], 1);
        let segment = [KIND_SEGMENT, 0, 0, 0, 0, 0, pages as u8];
        liar.post(&mut Input::new(&segment));
        liar
    }

    /// Lays a description of the service out and sends it as the reply to a call.
    pub(super) fn describe(&mut self, index: u8, call: u8) -> Still {
        let run = self.heap.allocate(4).expect("there is room");
        let scope = Arc::clone(&run).scope();
        let root = inline(&describe(&scope).expect("it fits"));
        let mut frame = vec![KIND_REPLY, 0, index, call, 0, 0, 0, 0];
        frame.extend((run.page() as u16).to_le_bytes());
        frame.extend((run.used_bytes() as u16).to_le_bytes());
        frame.extend(0_u16.to_le_bytes());
        frame.extend(root.into_iter().flat_map(u64::to_le_bytes));
        drop(scope);
        self.runs.push(run);
        let still = self.post(&mut Input::new(&frame));
        self.say(&[1], 0);
        still
    }

    /// Waits for a call; none if the honest side is gone.
    pub(super) fn take_call(&mut self) -> Option<Message> {
        let began = Instant::now();
        loop {
            while let Some(frame) = self.take() {
                if let Frame::Call(call) = frame {
                    return Some(call);
                }
            }
            if self.is_cut_off() {
                return None;
            }
            assert!(began.elapsed() < PATIENCE, "the honest side hangs");
            std::thread::yield_now();
        }
    }

    /// Does what the input says until it is used up, or the honest side is gone;
    /// it must be there at the end, or gone.
    pub(super) fn act(&mut self, input: &mut Input<'_>) {
        while !input.is_used_up() {
            let mut still = Still::There;
            match input.byte() % 16 {
                0 => {
                    let descriptors = input.byte();
                    self.say(&[1 + descriptors / 128], usize::from(descriptors % 5));
                }
                1 => still = self.sync(),
                2 => {
                    let area = GEOMETRY.data_bytes() as usize / 8;
                    let at = GEOMETRY.data_offset() + usize::from(input.short()) % area * 8;
                    self.outbox.store(at, input.long(), Ordering::Relaxed);
                }
                _ => still = self.post(input),
            }
            if still == Still::Gone {
                return;
            }
        }
        self.sync();
    }

    fn take(&mut self) -> Option<Frame> {
        let frame = self.consumer.peek(&self.inbox).expect("an honest frame");
        let Some(frame) = frame else {
            self.consumer.publish(&self.outbox);
            return None;
        };
        let bytes = match &frame {
            Frame::Parts(parts) => parts.payload_bytes(),
            _ => 0,
        };
        self.consumer.advance(&self.outbox, bytes);
        Some(frame)
    }

    /// Takes what the honest side has sent, up to the answer to a ping.
    fn drain(&mut self, token: u64) -> Still {
        while let Some(frame) = self.take() {
            if matches!(frame, Frame::Ping { token: found, .. } if found == token) {
                return Still::There;
            }
        }
        Still::Gone
    }

    fn is_cut_off(&self) -> bool {
        loop {
            match socket::drain_doorbell(self.socket.as_fd()) {
                Ok(Drained::Rung(_)) => {}
                Ok(Drained::Empty) => return false,
                Ok(Drained::HungUp) | Err(_) => return true,
            }
        }
    }

    /// Writes the next frame. The last of each turn of the ring asks whether all
    /// before it were taken, so that no place is written too early.
    fn post(&mut self, input: &mut Input<'_>) -> Still {
        self.write(input);
        let slots = u64::from(GEOMETRY.ring_slots());
        if self.sent % slots == slots - 1 {
            return self.sync();
        }
        Still::There
    }

    fn write(&mut self, input: &mut Input<'_>) {
        slot::write(&self.draft, GEOMETRY, self.sent, input);
        let at = slot::offset_of(GEOMETRY, self.sent);
        let word = |index: usize| self.draft.load(at + index * 8, Ordering::Relaxed);
        for index in 1..SLOT_BYTES / 8 {
            let word = moved(word(index), self.base);
            self.outbox.store(at + index * 8, word, Ordering::Relaxed);
        }
        // SYNC: pairs with the acquire load in `Consumer::peek`.
        self.outbox.store(at, word(0), Ordering::Release);
        self.sent += 1;
    }

    /// Asks the honest side whether it is there, and waits.
    fn sync(&mut self) -> Still {
        let token = 0x7000 + self.sent;
        let mut ping = vec![KIND_PING, 0, 0, 0];
        ping.extend((token as u16).to_le_bytes());
        self.write(&mut Input::new(&ping));
        // Whoever is gone shows below.
        let _ = socket::ring_doorbell(self.socket.as_fd());
        let began = Instant::now();
        loop {
            if self.drain(token) == Still::There {
                return Still::There;
            }
            if self.is_cut_off() {
                return Still::Gone;
            }
            assert!(began.elapsed() < PATIENCE, "the honest side hangs");
            std::thread::yield_now();
        }
    }

    pub(super) fn say(&self, bytes: &[u8], descriptors: usize) {
        let all = [self.descriptor.as_fd(); socket::DESCRIPTORS_LIMIT];
        let descriptors = &all[..descriptors.min(all.len())];
        // Whoever is gone shows elsewhere.
        let _ = socket::send_with_descriptors(self.socket.as_fd(), bytes, descriptors);
    }
}

/// Pointers in an input refer to where the heap was when it was made.
fn moved(word: u64, base: u64) -> u64 {
    let offset = word.wrapping_sub(crate::typed::BASE as u64);
    if offset < 1 << 16 {
        base + offset
    } else {
        word
    }
}
