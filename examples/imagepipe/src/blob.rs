//! Images as they travel.

use std::convert::Infallible;

use bytes::Bytes;

/// An image as it travels.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Blob {
    #[prost(bytes = "bytes", tag = "1")]
    data: Bytes,
}

impl Blob {
    /// Its bytes.
    ///
    /// # Errors
    /// None.
    pub fn open(&self) -> Result<Bytes, Infallible> {
        Ok(self.data.clone())
    }
}

impl From<Bytes> for Blob {
    fn from(data: Bytes) -> Self {
        Self { data }
    }
}

impl From<Vec<u8>> for Blob {
    fn from(data: Vec<u8>) -> Self {
        Bytes::from(data).into()
    }
}
