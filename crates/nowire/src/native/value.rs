//! Root values on their way: the bytes of an argument tuple or a result, as they
//! are in memory.

use std::sync::{Mutex, PoisonError};

use nowire_memory::data::{self, Shared};
use nowire_protocol::head::Block;
use nowire_protocol::ring::Outgoing;

use super::attached::Attached;
use super::held::Given;
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
    /// The root that is these bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self::Long(words_of(bytes))
    }

    /// The root as bytes, at least `bytes` of them.
    pub(crate) fn to_bytes(&self, bytes: usize) -> Vec<u8> {
        match self {
            Self::Inline(words) => bytes_of(words, bytes),
            Self::Long(words) => bytes_of(words, bytes),
        }
    }

    /// Whether such a root fits into a message.
    #[inline]
    pub(crate) const fn is_inline<T>() -> bool {
        size_of::<T>() <= INLINE_WORDS * 8
    }

    /// The root of a value, padding zeroed.
    #[inline]
    pub(crate) fn of<T: Shared>(value: &T) -> Self {
        if const { Self::is_inline::<T>() } {
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

/// Bytes as whole words, zeros behind them.
fn words_of(bytes: &[u8]) -> Box<[u64]> {
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_ne_bytes(word)
    });
    words.collect()
}

/// The first bytes of words, up to `bytes` of them.
fn bytes_of(words: &[u64], bytes: usize) -> Vec<u8> {
    let mut all: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    all.truncate(bytes);
    all
}

/// A root as it came, not checked, and what came with it. That is small as long as
/// nothing did: it is moved some times before somebody takes it.
#[derive(Debug)]
pub(crate) struct Arrived {
    inline: [u64; INLINE_WORDS],
    besides: Option<Box<Besides>>,
}

#[derive(Debug, Default)]
struct Besides {
    /// Instead of what is inline.
    root: Option<Box<[u64]>>,
    metadata: Option<Box<Block>>,
    attached: Attached,
    /// What the root points to, if it is lent.
    lent: Option<Given>,
}

impl Arrived {
    /// With nothing besides.
    #[inline]
    pub(crate) fn inline(inline: [u64; INLINE_WORDS]) -> Self {
        Self {
            inline,
            besides: None,
        }
    }

    /// What came ahead of its message: a root, metadata, and bytes of blobs.
    pub(crate) fn ahead(root: &[u8], metadata: Block, bytes: Vec<u8>) -> Self {
        let besides = Besides {
            root: Some(words_of(root)),
            metadata: (!metadata.is_empty()).then(|| Box::new(metadata)),
            attached: Attached::of_bytes(bytes),
            lent: None,
        };
        Self {
            inline: [0; INLINE_WORDS],
            besides: Some(Box::new(besides)),
        }
    }

    /// The root in whole words.
    #[inline]
    pub(crate) fn words(&self) -> &[u64] {
        match &self.besides {
            None => &self.inline,
            Some(besides) => besides.root.as_deref().unwrap_or(&self.inline),
        }
    }

    /// Whether the root came ahead of its message.
    pub(crate) fn is_long(&self) -> bool {
        let besides = self.besides.as_ref();
        besides.is_some_and(|besides| besides.root.is_some())
    }

    #[inline]
    pub(crate) fn take_metadata(&mut self) -> Option<Box<Block>> {
        self.besides.as_mut()?.metadata.take()
    }

    #[inline]
    pub(crate) fn take_attached(&mut self) -> Attached {
        match &mut self.besides {
            None => Attached::default(),
            Some(besides) => std::mem::take(&mut besides.attached),
        }
    }

    pub(crate) fn attached(&mut self) -> &mut Attached {
        &mut self.besides.get_or_insert_default().attached
    }

    /// Lets go of what no item has.
    pub(crate) fn keep_as_item(&mut self) {
        if let Some(besides) = &mut self.besides {
            besides.metadata = None;
            besides.attached.drop_bytes();
        }
    }

    /// What the root points to, if it is lent.
    #[inline]
    pub(crate) fn lent(&self) -> Option<&Given> {
        self.besides.as_ref()?.lent.as_ref()
    }

    pub(crate) fn set_lent(&mut self, lent: Given) {
        self.besides.get_or_insert_default().lent = Some(lent);
    }

    /// The text of a failure.
    pub(crate) fn text(&self) -> String {
        let bytes = bytes_of(self.words(), usize::MAX);
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
