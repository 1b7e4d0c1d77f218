use crate::document::Document;

/// Documents that came together, kept as they came for as long as this lives.
pub trait Batch {
    /// Their representation, as long as it is borrowed from the batch.
    type Document<'a>: Document
    where
        Self: 'a;

    /// The documents, in their order. The same ones each time.
    fn documents(&self) -> &[Self::Document<'_>];
}
