//! What goes with a message besides its root: references, and the bytes of blobs
//! that are too short for one. The root says which is which by their order.

use std::sync::Arc;

use bytes::Bytes;
use nowire_memory::refs::{Pool, Ref, RefError, Travel};

use super::link::Link;
use super::way::Way;
use crate::Shared;
use crate::refs::{Blob, Passing, References};

/// Most references that go with a message: as many as it has arguments.
pub(crate) const ATTACHED_LIMIT: usize = 8;

/// Where a root names a reference: by its place among those that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Shared)]
pub struct RefIndex {
    index: u32,
}

/// Where a root names a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Shared)]
pub struct BlobIndex {
    reference: RefIndex,
    /// How many of the bytes that came are its; without a reference.
    bytes: u32,
}

/// A reference of no bytes, for which nothing is sent.
const EMPTY: RefIndex = RefIndex { index: u32::MAX };

/// What is to go with a message, in its order.
#[derive(Debug, Default)]
pub struct Attaching {
    refs: Vec<Ref>,
    bytes: Vec<u8>,
    /// How many bytes may go by value.
    room_bytes: usize,
    references: Option<Arc<References>>,
    /// Why something cannot go.
    failure: Option<RefError>,
}

/// What goes with a message, ready to be sent.
#[derive(Debug, Default)]
pub(crate) struct Going {
    pub(crate) passing: Vec<Passing>,
    pub(crate) bytes: Vec<u8>,
}

impl Going {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.passing.is_empty() && self.bytes.is_empty()
    }
}

/// Why something cannot go with a message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotGo {
    #[error(transparent)]
    Reference(#[from] RefError),
    #[error("the peer takes no references")]
    NoReferences,
}

impl Attaching {
    /// Nothing, with a message that nothing can go with.
    #[inline]
    const fn none() -> Self {
        Self {
            refs: Vec::new(),
            bytes: Vec::new(),
            room_bytes: 0,
            references: None,
            failure: None,
        }
    }

    /// Nothing yet, with a message on this connection.
    pub(crate) fn on(link: &Link) -> Self {
        Self {
            // The rest is for the root and metadata.
            room_bytes: link.root_limit_bytes() / 2,
            ..Self::by_reference(link)
        }
    }

    /// [`on`](Self::on), for an item of a stream: what goes with it goes by
    /// reference only.
    pub(crate) fn for_item<T: Travel<As: Way>>(link: &Link) -> Self {
        if <T::As as Way>::ATTACHES {
            Self::by_reference(link)
        } else {
            Self::none()
        }
    }

    fn by_reference(link: &Link) -> Self {
        Self {
            references: link.references().cloned(),
            ..Self::none()
        }
    }

    /// Has a reference go along.
    pub(super) fn put(&mut self, reference: Ref) -> RefIndex {
        if reference.is_empty() {
            return EMPTY;
        }
        let index = self.refs.len() as u32;
        self.refs.push(reference);
        RefIndex { index }
    }

    /// Has a blob go along, by value or by reference.
    pub(super) fn put_blob(&mut self, blob: Blob) -> BlobIndex {
        let placed = self.place_blob(blob);
        placed.unwrap_or_else(|error| {
            self.failure.get_or_insert(error);
            BlobIndex {
                reference: EMPTY,
                bytes: 0,
            }
        })
    }

    fn place_blob(&mut self, blob: Blob) -> Result<BlobIndex, RefError> {
        let references = self.references.clone();
        let pool = match &references {
            Some(references) => references.pool(),
            None => Pool::process(),
        };
        let from_bytes = references.as_deref().map(References::reference_from_bytes);
        let long = from_bytes.and_then(|from| blob.to_send(from, || Some(pool.clone())).cloned());
        let reference = match long {
            Some(reference) => reference,
            None if blob.len() <= self.room_bytes => {
                let bytes = blob.open()?;
                self.bytes.extend_from_slice(&bytes);
                self.room_bytes -= bytes.len();
                return Ok(BlobIndex {
                    reference: EMPTY,
                    bytes: bytes.len() as u32,
                });
            }
            None => blob.into_ref(pool)?,
        };
        Ok(BlobIndex {
            reference: self.put(reference),
            bytes: 0,
        })
    }

    /// Makes it ready to be sent.
    #[cold]
    pub(crate) fn going(self) -> Result<Going, CannotGo> {
        if let Some(failure) = self.failure {
            return Err(failure.into());
        }
        let mut passing = Vec::with_capacity(self.refs.len());
        for (reference, number) in self.refs.iter().zip(0..) {
            let references = self.references.as_ref().ok_or(CannotGo::NoReferences)?;
            passing.push(references.pass(number, reference)?);
        }
        Ok(Going {
            passing,
            bytes: self.bytes,
        })
    }
}

/// What came with a message and nobody has taken yet. With most messages nothing
/// does, so it is small then.
#[derive(Debug, Default)]
pub struct Attached(Option<Box<Things>>);

#[derive(Debug, Default)]
struct Things {
    refs: Box<[Place]>,
    bytes: Bytes,
}

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
    /// Fewer bytes came than its length.
    #[error("a blob of {bytes} bytes where {left} are left")]
    TooLong {
        /// Its length.
        bytes: u32,
        /// How many came.
        left: usize,
    },
}

impl Attached {
    /// The bytes of blobs that came by value.
    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        Self(Some(Box::new(Things {
            bytes: bytes.into(),
            ..Things::default()
        })))
    }

    #[cold]
    pub(crate) fn add(&mut self, references: impl Iterator<Item = Result<Ref, RefError>>) {
        let things = self.0.get_or_insert_default();
        things.refs = references.map(Some).collect();
    }

    /// Lets go of what came by value.
    pub(crate) fn drop_bytes(&mut self) {
        if let Some(things) = &mut self.0 {
            things.bytes = Bytes::new();
        }
    }

    /// Takes the reference that a root names; each can be taken once.
    pub(super) fn take(&mut self, at: RefIndex) -> Result<Ref, NoReference> {
        if at == EMPTY {
            return Ok(Pool::process().copy_of(&[]).map_err(RefError::from)?);
        }
        let index = at.index;
        let things = self.0.as_mut();
        let place = things.and_then(|things| things.refs.get_mut(index as usize)?.take());
        Ok(place.ok_or(NoReference::NotThere { index })??)
    }

    /// Takes the blob that a root names: the next, of those that came by value.
    pub(super) fn take_blob(&mut self, at: BlobIndex) -> Result<Blob, NoReference> {
        if at.reference != EMPTY {
            return Ok(self.take(at.reference)?.into());
        }
        if at.bytes == 0 {
            return Ok(Blob::default());
        }
        let bytes = self.0.as_mut().map(|things| &mut things.bytes);
        match bytes {
            Some(bytes) if at.bytes as usize <= bytes.len() => {
                Ok(bytes.split_to(at.bytes as usize).into())
            }
            left => Err(NoReference::TooLong {
                bytes: at.bytes,
                left: left.map_or(0, |left| left.len()),
            }),
        }
    }
}
