//! The bytes of a ref, to read.

use std::ops::Deref;

/// The bytes of a ref, adjacent and unchanging.
#[derive(Debug, Clone)]
pub struct View {}

impl Deref for View {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        todo!()
    }
}

impl AsRef<[u8]> for View {
    fn as_ref(&self) -> &[u8] {
        self
    }
}
