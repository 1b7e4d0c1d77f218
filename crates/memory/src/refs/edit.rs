//! A ref's bytes, being changed.

use std::marker::PhantomData;
use std::ops::{Deref, RangeBounds};

use super::{Ref, RefError, View};

/// The bytes of a ref, to write: pages are copied when they are changed.
#[derive(Debug)]
pub struct Edit {}

impl Edit {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes `bytes` from `offset` on.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), RefError> {
        let _ = (offset, bytes);
        todo!()
    }

    /// Some of the bytes, to write in place.
    pub fn bytes_mut(&mut self, range: impl RangeBounds<usize>) -> Result<&mut [u8], RefError> {
        let _ = range;
        todo!()
    }

    /// Copies bytes from `offset` on.
    pub fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), RefError> {
        let _ = (offset, into);
        todo!()
    }

    /// All the bytes as they are now, adjacent.
    pub fn map(&self) -> Result<EditView<'_>, RefError> {
        todo!()
    }

    /// How many pages were copied because a part of them was changed.
    pub fn copied_pages(&self) -> usize {
        todo!()
    }

    /// How many pages are not the base's any more.
    pub fn own_pages(&self) -> usize {
        todo!()
    }

    /// Gives up writing, for a ref to old and new pages.
    pub fn share(self) -> Ref {
        todo!()
    }
}

/// What [`Edit::map`] shows.
#[derive(Debug)]
pub struct EditView<'edit> {
    view: View,
    edit: PhantomData<&'edit Edit>,
}

impl Deref for EditView<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.view
    }
}
