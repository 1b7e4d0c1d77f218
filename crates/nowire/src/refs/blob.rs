use std::fmt;
use std::ops::Deref;
use std::sync::OnceLock;

use bytes::Bytes;
use nowire_memory::refs::{Pool, Ref, RefError, View};

use crate::crash::crash_point;

/// Bytes that travel by value or by reference, as it suits the way.
///
/// As `nowire.Blob` in a gRPC message it goes to a peer in the same domain as a
/// token, if it is long enough
/// ([`reference_from_bytes`](super::RefOptions::reference_from_bytes)), and to
/// anybody else as plain bytes. A service that sends on what it got copies
/// nothing.
#[derive(Clone, Default)]
pub struct Blob {
    content: Content,
}

#[derive(Clone)]
enum Content {
    Bytes {
        bytes: Bytes,
        /// The same in pooled memory, once it was sent by reference; none if there
        /// was no memory for that.
        pooled: OnceLock<Option<Ref>>,
    },
    Ref {
        reference: Ref,
        /// Kept from the first look on.
        view: OnceLock<View>,
    },
    /// It came by reference, and the reference did not arrive.
    Failed(RefError),
}

/// The bytes of a [`Blob`].
#[derive(Clone, Debug)]
pub struct BlobView(Viewed);

#[derive(Clone, Debug)]
enum Viewed {
    Bytes(Bytes),
    View(View),
}

impl Deref for BlobView {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Viewed::Bytes(bytes) => bytes,
            Viewed::View(view) => view,
        }
    }
}

impl AsRef<[u8]> for BlobView {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::from(Bytes::new())
    }
}

impl From<Bytes> for Content {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes {
            bytes,
            pooled: OnceLock::new(),
        }
    }
}

impl From<Bytes> for Blob {
    fn from(bytes: Bytes) -> Self {
        Self {
            content: bytes.into(),
        }
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<Ref> for Blob {
    fn from(reference: Ref) -> Self {
        Self {
            content: Content::Ref {
                reference,
                view: OnceLock::new(),
            },
        }
    }
}

impl Blob {
    /// What came in place of a reference that did not arrive.
    #[cfg_attr(not(feature = "prost"), expect(dead_code, reason = "messages need it"))]
    pub(crate) fn failed(error: RefError) -> Self {
        Self {
            content: Content::Failed(error),
        }
    }

    /// Its length in bytes; 0 if it did not arrive.
    pub fn len(&self) -> usize {
        match &self.content {
            Content::Bytes { bytes, .. } => bytes.len(),
            Content::Ref { reference, .. } => reference.len(),
            Content::Failed(_) => 0,
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes, for reading. Of a reference they are mapped or copied at the
    /// first call, and kept while the blob lives.
    ///
    /// # Errors
    /// If it came as a reference that did not arrive, or whose memory cannot be
    /// read.
    pub fn open(&self) -> Result<BlobView, RefError> {
        let viewed = match &self.content {
            Content::Bytes { bytes, .. } => Viewed::Bytes(bytes.clone()),
            Content::Ref { reference, view } => Viewed::View(match view.get() {
                Some(view) => view.clone(),
                None => {
                    let mapped = reference.map()?;
                    crash_point!("refs.opened");
                    view.get_or_init(|| mapped).clone()
                }
            }),
            Content::Failed(error) => return Err(error.clone()),
        };
        Ok(BlobView(viewed))
    }

    /// Its bytes, as what other libraries take; they keep the memory.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn to_bytes(&self) -> Result<Bytes, RefError> {
        Ok(match self.open()?.0 {
            Viewed::Bytes(bytes) => bytes,
            Viewed::View(view) => Bytes::from_owner(view),
        })
    }

    /// The reference, if it is one already.
    pub fn reference(&self) -> Option<&Ref> {
        match &self.content {
            Content::Bytes { pooled, .. } => pooled.get()?.as_ref(),
            Content::Ref { reference, .. } => Some(reference),
            Content::Failed(_) => None,
        }
    }

    /// A reference to its bytes, which are copied to `pool` if they do not lie in
    /// pooled memory yet.
    ///
    /// # Errors
    /// If it did not arrive; if there is no memory for the copy.
    pub fn into_ref(self, pool: &Pool) -> Result<Ref, RefError> {
        match self.content {
            Content::Ref { reference, .. } => Ok(reference),
            Content::Bytes { bytes, pooled } => match pooled.into_inner().flatten() {
                Some(reference) => Ok(reference),
                None => Ok(pool.copy_of(&bytes)?),
            },
            Content::Failed(error) => Err(error),
        }
    }

    /// Why it did not arrive, if it did not.
    pub fn failure(&self) -> Option<&RefError> {
        match &self.content {
            Content::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// The reference to send in its place, if it is to go by reference.
    pub(crate) fn to_send(
        &self,
        reference_from_bytes: usize,
        pool: impl FnOnce() -> Option<Pool>,
    ) -> Option<&Ref> {
        if self.is_empty() || self.len() < reference_from_bytes {
            return None;
        }
        match &self.content {
            Content::Ref { reference, .. } => Some(reference),
            Content::Bytes { bytes, pooled } => {
                let copied = pooled.get_or_init(|| match pool()?.copy_of(bytes) {
                    Ok(reference) => {
                        crash_point!("refs.copied-to-pool");
                        Some(reference)
                    }
                    Err(error) => {
                        // It gets there as well by value.
                        tracing::debug!("a blob of {} bytes goes by value: {error}", bytes.len());
                        None
                    }
                });
                copied.as_ref()
            }
            Content::Failed(_) => None,
        }
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Bytes { bytes, .. } => write!(f, "Blob({} bytes)", bytes.len()),
            Content::Ref { reference, .. } => {
                write!(f, "Blob({} bytes by reference)", reference.len())
            }
            Content::Failed(error) => write!(f, "Blob({error})"),
        }
    }
}

impl PartialEq for Blob {
    /// Whether the bytes are the same, however they came.
    fn eq(&self, other: &Self) -> bool {
        match (self.open(), other.open()) {
            (Ok(ours), Ok(theirs)) => *ours == *theirs,
            (Err(ours), Err(theirs)) => ours.to_string() == theirs.to_string(),
            _ => false,
        }
    }
}

impl Eq for Blob {}

impl std::hash::Hash for Blob {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        if let Ok(bytes) = self.open() {
            bytes.hash(state);
        }
    }
}
