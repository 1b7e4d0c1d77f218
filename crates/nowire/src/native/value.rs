//! Root values on their way: the bytes of an argument tuple or a result, as they
//! are in memory.

use std::sync::{Mutex, PoisonError};

use nowire_memory::data::{self, Shared};
use nowire_protocol::frame::Message;
use nowire_protocol::head::Block;
use nowire_protocol::ring::Outgoing;

use super::attached::Attached;
use crate::refs::Passing;

/// Words of a root that fit into a message.
const INLINE_WORDS: usize = 4;

/// The words of a root value.
#[derive(Clone, Debug)]
pub(crate) enum Root {
    /// At most 32 bytes, zeros behind them.
    Inline([u64; INLINE_WORDS]),
    /// More, or with metadata.
    Long(Box<[u64]>),
}

impl Root {
    /// The root in whole words.
    #[inline]
    pub(crate) fn words(&self) -> &[u64] {
        match self {
            Self::Inline(words) => words,
            Self::Long(words) => words,
        }
    }

    /// The root that came as bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let words = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        });
        Self::Long(words.collect())
    }

    /// The root as bytes, at least `bytes` of them.
    pub(crate) fn to_bytes(&self, bytes: usize) -> Vec<u8> {
        let mut all: Vec<u8> = self.words().iter().flat_map(|w| w.to_ne_bytes()).collect();
        all.truncate(bytes);
        all
    }

    /// The root of a value, padding zeroed.
    #[inline]
    pub(crate) fn of<T: Shared>(value: &T) -> Self {
        if const { size_of::<T>() <= INLINE_WORDS * 8 } {
            let mut words = [0; INLINE_WORDS];
            data::write_root(value, &mut words);
            Self::Inline(words)
        } else {
            let mut words = vec![0; size_of::<T>().div_ceil(8)];
            data::write_root(value, &mut words);
            Self::Long(words.into())
        }
    }
}

/// A root, metadata and references as they came, not checked.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) root: Root,
    pub(crate) metadata: Option<Box<Block>>,
    pub(crate) attached: Attached,
}

impl Arrived {
    #[inline]
    pub(crate) fn inline(message: &Message) -> Self {
        Self {
            root: Root::Inline(message.inline),
            metadata: None,
            attached: Attached::default(),
        }
    }

    /// The text of a failure.
    pub(crate) fn text(&self) -> String {
        let bytes = self.root.to_bytes(usize::MAX);
        let end = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |i| i + 1);
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }
}

/// Where the root of a message goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sent<'a> {
    /// It is in the message.
    Inline,
    /// Something goes ahead of it.
    With(&'a With),
}

/// What goes ahead of a message.
#[derive(Debug)]
pub(crate) struct With {
    references: Mutex<Vec<Passing>>,
    /// What does not fit into the message.
    pub(crate) parts: Option<Parts>,
}

/// A root, metadata, and the bytes of blobs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    pub(crate) root: Vec<u8>,
    pub(crate) metadata: Block,
    pub(crate) bytes: Vec<u8>,
}

impl Parts {
    /// As what goes into the ring.
    pub(crate) fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            head: Some(&self.metadata),
            data: Some(&self.root),
            tail: (!self.bytes.is_empty()).then_some(&self.bytes),
            ..Outgoing::default()
        }
    }
}

impl With {
    pub(crate) fn new(references: Vec<Passing>, parts: Option<Parts>) -> Self {
        Self {
            references: Mutex::new(references),
            parts,
        }
    }

    /// The references, once.
    pub(crate) fn take_references(&self) -> Vec<Passing> {
        let mut references = self
            .references
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut references)
    }
}
