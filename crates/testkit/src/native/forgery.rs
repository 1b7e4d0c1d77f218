//! Bytes that look like a thing, until one of them is changed.

use std::mem::offset_of;
use std::sync::Arc;

use nowire_memory::heap::{PAGE_BYTES, RUN_HEADER_BYTES, Run};
use nowire_protocol::frame::{Message, MessageKind, StreamId};
use nowire_protocol::ring::Control;
use nowire_protocol::stream::Side;
use rustix::fd::AsFd;

use super::survey::{Thing, code_of};
use crate::hostile::{Failure, HostilePeer};

/// The bytes of a thing and what it points to, and where they will lie.
#[derive(Clone, Debug)]
pub(crate) struct Forgery {
    /// Address of the first byte, in its owner.
    pub(crate) base: u64,
    pub(crate) bytes: Vec<u8>,
    /// The root.
    pub(crate) root: [u64; 4],
}

/// Where something lies in a [`Forgery`].
pub(crate) mod at {
    use super::*;

    pub(crate) const THING: usize = size_of::<Thing<'_>>().next_multiple_of(8);

    pub(crate) const TEXT: usize = offset_of!(Thing<'_>, text);
    pub(crate) const NUMBERS: usize = offset_of!(Thing<'_>, numbers);
    pub(crate) const CHILDREN: usize = offset_of!(Thing<'_>, children);
    pub(crate) const NEXT: usize = offset_of!(Thing<'_>, next);
    pub(crate) const NAMES: usize = offset_of!(Thing<'_>, names);
    pub(crate) const SHAPE: usize = offset_of!(Thing<'_>, shape);
    pub(crate) const FLAG: usize = offset_of!(Thing<'_>, flag);
    pub(crate) const LETTER: usize = offset_of!(Thing<'_>, letter);
    pub(crate) const MAYBE: usize = offset_of!(Thing<'_>, maybe);
    pub(crate) const COUNT: usize = offset_of!(Thing<'_>, count);

    /// Five bytes of text.
    pub(crate) const LETTERS: usize = THING;
    /// Three numbers.
    pub(crate) const DIGITS: usize = LETTERS + 8;
    /// The only entry of the map: text and a number.
    pub(crate) const ENTRY: usize = DIGITS + 24;
    /// Its text.
    pub(crate) const NAME: usize = ENTRY + 24;
    /// The next thing.
    pub(crate) const OTHER: usize = NAME + 8;
    pub(crate) const END: usize = OTHER + THING;

    /// The length of a slice, behind its address.
    pub(crate) const LENGTH: usize = 8;
}

impl Forgery {
    pub(crate) fn honest(base: u64) -> Self {
        let mut forgery = Self {
            base,
            bytes: vec![0; at::END],
            root: [base, 0, 0, 0],
        };
        forgery.slice(at::TEXT, at::LETTERS, 5);
        forgery.put(at::LETTERS, b"hello");
        forgery.slice(at::NUMBERS, at::DIGITS, 3);
        forgery.slice(at::NAMES, at::ENTRY, 1);
        forgery.slice(at::ENTRY, at::NAME, 3);
        forgery.put(at::NAME, b"one");
        forgery.nothing(at::CHILDREN);
        forgery.plain(0);
        forgery.point(at::NEXT, at::OTHER);
        forgery.empty(at::OTHER);
        forgery
    }

    /// Puts a thing there that is empty but good.
    pub(crate) fn empty(&mut self, thing: usize) {
        for slice in [at::TEXT, at::NUMBERS, at::NAMES, at::CHILDREN] {
            self.nothing(thing + slice);
        }
        self.plain(thing);
    }

    fn plain(&mut self, thing: usize) {
        self.put(thing + at::LETTER, &u32::from('x').to_le_bytes());
        self.put(thing + at::COUNT, &1_u32.to_le_bytes());
    }

    fn nothing(&mut self, slice: usize) {
        self.word(slice, 8);
    }

    fn slice(&mut self, slice: usize, target: usize, length: u64) {
        self.point(slice, target);
        self.word(slice + at::LENGTH, length);
    }

    /// Lets the pointer at `pointer` lead to what is at `target`.
    pub(crate) fn point(&mut self, pointer: usize, target: usize) {
        self.word(pointer, self.base + target as u64);
    }

    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn word(&mut self, at: usize, word: u64) {
        self.put(at, &word.to_le_bytes());
    }
}

/// The bytes of a good thing that lies at the address `base`, and its root.
pub fn forged(base: u64) -> (Vec<u8>, [u64; 4]) {
    let Forgery { bytes, root, .. } = Forgery::honest(base);
    (bytes, root)
}

/// What was forged, in a heap.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Laid {
    pub(crate) root: [u64; 4],
    pub(crate) page: u32,
    pub(crate) bytes: u32,
}

/// Grows the heap of a hostile peer by an honest segment and takes a run of it.
pub(crate) fn run_of(peer: &mut HostilePeer, bytes: usize) -> Result<Arc<Run>, Failure> {
    let pages = (bytes + RUN_HEADER_BYTES).div_ceil(PAGE_BYTES) as u32;
    let heap = peer.heaps().own.clone();
    if let Some(run) = heap.allocate(pages) {
        return Ok(run);
    }
    let grown = heap.grow(pages).expect("room in an own heap");
    peer.hand_over(grown.descriptor.as_fd());
    peer.send_control(Control::Segment {
        page: grown.page,
        pages: grown.pages,
    })?;
    grown.open();
    Ok(heap.allocate(pages).expect("it has just grown"))
}

/// Forges a thing, changed for the worse.
pub(crate) fn forge(
    peer: &mut HostilePeer,
    worsen: impl FnOnce(&mut Forgery),
) -> Result<Laid, Failure> {
    forge_longer(peer, 0, worsen)
}

/// Forges a thing with so many bytes more than it needs.
pub(crate) fn forge_longer(
    peer: &mut HostilePeer,
    more_bytes: usize,
    worsen: impl FnOnce(&mut Forgery),
) -> Result<Laid, Failure> {
    let run = run_of(peer, at::END + more_bytes)?;
    let base = peer.heaps().own.base() + u64::from(run.page()) * PAGE_BYTES as u64;
    let mut forgery = Forgery::honest(base + RUN_HEADER_BYTES as u64);
    forgery.bytes.resize(at::END + more_bytes, 0);
    worsen(&mut forgery);
    let scope = Arc::clone(&run).scope();
    let laid = scope.fill(forgery.bytes.len(), |into| {
        into.copy_from_slice(&forgery.bytes);
    });
    assert_eq!(
        laid.expect("it fits").as_ptr().addr() as u64,
        forgery.base,
        "a run begins with its header"
    );
    let (page, bytes) = (run.page(), run.used_bytes());
    peer.runs.push(run);
    Ok(Laid {
        root: forgery.root,
        page,
        bytes,
    })
}

/// A call of the method, or the reply to the call.
pub(crate) fn message(side: Side, method: &str, stream: StreamId) -> (MessageKind, Message) {
    let kind = match side {
        Side::Client => MessageKind::Call,
        Side::Server => MessageKind::Reply,
    };
    let code = match side {
        Side::Client => code_of(method),
        Side::Server => 0,
    };
    let message = Message {
        stream,
        flags: 0,
        code,
        timeout_us: 0,
        page: 0,
        bytes: 0,
        inline: [0; 4],
    };
    (kind, message)
}

/// Passes what was forged: as the argument of a call that takes a thing, or as
/// the reply to a call that gives one.
pub(crate) fn pass(peer: &mut HostilePeer, stream: StreamId, laid: Laid) -> Result<(), Failure> {
    let stream = match peer.side() {
        Side::Client => StreamId { index: 1, call: 1 },
        Side::Server => stream,
    };
    let (kind, mut message) = message(peer.side(), "measure", stream);
    message.inline = laid.root;
    message.page = laid.page;
    message.bytes = laid.bytes;
    peer.send_message(kind, &message)
}
