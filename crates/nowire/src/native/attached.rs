//! References that go with a message. Its root says which is which by their order.

use nowire_memory::refs::{Pool, Ref, RefError};

use crate::Shared;
use crate::refs::{Passing, References};

/// Most references that go with a message: as many as it has arguments.
pub(crate) const ATTACHED_LIMIT: usize = 8;

/// Where a root names a reference: by its place among those that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Shared)]
pub struct RefIndex {
    index: u32,
}

/// A reference of no bytes, for which nothing is sent.
const EMPTY: RefIndex = RefIndex { index: u32::MAX };

/// References that are to go with a message, in their order.
#[derive(Debug, Default)]
pub struct Attaching(Vec<Ref>);

impl Attaching {
    /// None yet.
    #[inline]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Has a reference go along.
    pub fn put(&mut self, reference: Ref) -> RefIndex {
        if reference.is_empty() {
            return EMPTY;
        }
        let index = self.0.len() as u32;
        self.0.push(reference);
        RefIndex { index }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes them ready to be sent.
    pub(crate) fn pass(&self, references: &References) -> Result<Vec<Passing>, RefError> {
        let numbered = self.0.iter().zip(0..);
        numbered
            .map(|(reference, number)| references.pass(number, reference))
            .collect()
    }
}

/// References that came with a message and that nobody has taken yet.
#[derive(Debug, Default)]
pub struct Attached(Box<[Place]>);

/// None once it was taken.
type Place = Option<Result<Ref, RefError>>;

/// Why there is no reference where a root names one.
#[derive(Debug, thiserror::Error)]
pub enum NoReference {
    /// It came and cannot be used here.
    #[error(transparent)]
    Unusable(#[from] RefError),
    /// There is none, or it was named before.
    #[error("no reference came as number {index}")]
    NotThere {
        /// Its place.
        index: u32,
    },
}

impl Attached {
    #[cold]
    pub(crate) fn new(references: impl Iterator<Item = Result<Ref, RefError>>) -> Self {
        Self(references.map(Some).collect())
    }

    /// Takes the reference that a root names; each can be taken once.
    pub(crate) fn take(&mut self, at: RefIndex) -> Result<Ref, NoReference> {
        if at == EMPTY {
            return Ok(Pool::process().copy_of(&[]).map_err(RefError::from)?);
        }
        let index = at.index;
        let place = self.0.get_mut(index as usize).and_then(Option::take);
        Ok(place.ok_or(NoReference::NotThere { index })??)
    }
}
