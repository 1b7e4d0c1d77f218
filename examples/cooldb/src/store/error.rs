use crate::document::DEPTH_LIMIT;

/// Why a batch was not taken. Nothing of it is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InsertError {
    /// A value that is no object is no document.
    #[error("document {index} of the batch is not an object")]
    NoObject {
        /// Its place in the batch, from 0.
        index: usize,
    },
    /// A document is nested too deep.
    #[error("document {index} of the batch is nested deeper than {DEPTH_LIMIT} levels")]
    TooDeep {
        /// Its place in the batch, from 0.
        index: usize,
    },
    /// There are no more ids.
    #[error("the store is full: it has given out all its ids")]
    Full,
}
