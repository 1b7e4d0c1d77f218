//! Names for bytes that do not change any more.

use std::ops::RangeBounds;

use super::{Buffer, Edit, Pool, RefError, View};

/// Names bytes of one or more segments.
#[derive(Debug, Clone)]
pub struct Ref {}

impl Ref {
    /// How many bytes it names.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether it names none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A ref to some of the bytes.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<Self, RefError> {
        let _ = range;
        todo!()
    }

    /// The bytes, to read.
    pub fn map(&self) -> Result<View, RefError> {
        todo!()
    }

    /// Copies bytes from `offset` on; never maps.
    pub fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), RefError> {
        let _ = (offset, into);
        todo!()
    }

    /// The bytes, to write: pages are copied when they are changed.
    pub fn edit(&self, pool: &Pool) -> Result<Edit, RefError> {
        let _ = pool;
        todo!()
    }

    /// The memory back for writing in place, if nobody else has it.
    pub fn try_into_buffer(self) -> Result<Buffer, Self> {
        Err(self)
    }
}
