//! What every way to the store offers, so that they can be compared.

use std::future::Future;

use crate::document::Document;
use crate::nobench::Record;
use crate::query::{Key, Query};
use crate::store::Stats;

/// A client of a store, over whatever carries its calls.
pub trait Client {
    /// Why a call failed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Makes documents of what the records say and has them stored; returns the id
    /// of the first.
    ///
    /// # Errors
    /// If the batch was not taken.
    fn insert(&mut self, records: &[Record]) -> impl Future<Output = Result<u32, Self::Error>>;

    /// Reads the document of a key, if there is one.
    ///
    /// # Errors
    /// If the call failed.
    fn get<R: Reader>(
        &mut self,
        key: &Key<'_>,
        reader: &mut R,
    ) -> impl Future<Output = Result<Option<u32>, Self::Error>>;

    /// Reads a page of the answer to a query, and returns the id to go on after
    /// if there may be more.
    ///
    /// # Errors
    /// If the call failed.
    fn search<R: Reader>(
        &mut self,
        query: &Query<'_>,
        reader: &mut R,
    ) -> impl Future<Output = Result<Option<u32>, Self::Error>>;

    /// How much is stored.
    ///
    /// # Errors
    /// If the call failed.
    fn stats(&mut self) -> impl Future<Output = Result<Stats, Self::Error>>;
}

/// Looks at what is answered, where it lies.
pub trait Reader {
    /// A row of the answer: the document that was found and its columns.
    fn row<'a, D: Document + 'a>(&mut self, id: u32, columns: impl Iterator<Item = Option<&'a D>>);

    /// A group of the answer: a value and how many documents have it.
    fn group<D: Document>(&mut self, value: &D, documents: u64);
}
