//! The store itself: it keeps documents as they came and knows where they are.

mod batch;
mod count;
mod equality;
mod error;
mod order;
mod search;

use std::fmt;

use crate::document::{DEPTH_LIMIT, Document, View};
use crate::query::{Key, Query};

use self::equality::EqualityIndex;
use self::order::OrderIndex;

pub use self::batch::Batch;
pub use self::count::Group;
pub use self::error::InsertError;
pub use self::search::{Found, Row, Rows};

/// Keeps batches of documents without copying them, and finds documents by id,
/// through indexes or by looking at all of them.
pub struct Store<B> {
    batches: Vec<B>,
    places: Vec<Place>,
    equality: Vec<EqualityIndex>,
    order: Vec<OrderIndex>,
}

/// Which paths a store has indexes for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indexes<'a> {
    /// Where texts are found by equality.
    pub equality: &'a [&'a str],
    /// Where numbers are found by range.
    pub order: &'a [&'a str],
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Documents.
    pub documents: u64,
    /// Batches in which they came.
    pub batches: u64,
    /// Entries of all indexes together.
    pub index_entries: u64,
}

/// Where a document lies; its id is the place's own place.
#[derive(Clone, Copy, Debug)]
struct Place {
    batch: u32,
    document: u32,
}

impl<B: Batch> Store<B> {
    /// An empty store with these indexes.
    pub fn new(indexes: Indexes<'_>) -> Self {
        Self {
            batches: Vec::new(),
            places: Vec::new(),
            equality: indexes
                .equality
                .iter()
                .map(|path| EqualityIndex::new(path))
                .collect(),
            order: indexes
                .order
                .iter()
                .map(|path| OrderIndex::new(path))
                .collect(),
        }
    }

    /// Takes a batch and returns the id of its first document; the others have the
    /// ids after it.
    ///
    /// # Errors
    /// If one of them is no object or too deep, or the store has no more ids. Then
    /// none of them is in the store.
    pub fn insert(&mut self, batch: B) -> Result<u32, InsertError> {
        let first = self.places.len();
        let batch_number = u32::try_from(self.batches.len()).map_err(|_| InsertError::Full)?;
        let documents = batch.documents();
        u32::try_from(first + documents.len()).map_err(|_| InsertError::Full)?;
        for (index, document) in documents.iter().enumerate() {
            if !matches!(document.view(), View::Object) {
                return Err(InsertError::NoObject { index });
            }
            if !document.is_within_depth(DEPTH_LIMIT) {
                return Err(InsertError::TooDeep { index });
            }
        }
        self.places
            .extend((0..).take(documents.len()).map(|document| Place {
                batch: batch_number,
                document,
            }));
        let first = first as u32;
        for index in &mut self.equality {
            index.add(first, documents);
        }
        for index in &mut self.order {
            index.add(first, documents);
        }
        self.batches.push(batch);
        Ok(first)
    }

    /// The document with this id.
    pub fn document(&self, id: u32) -> Option<&B::Document<'_>> {
        let place = self.places.get(id as usize)?;
        let batch = self.batches.get(place.batch as usize)?;
        batch.documents().get(place.document as usize)
    }

    /// The batch in which the document with this id came.
    pub fn batch(&self, id: u32) -> Option<&B> {
        let place = self.places.get(id as usize)?;
        self.batches.get(place.batch as usize)
    }

    /// The document of this key, and its id.
    pub fn get(&self, key: &Key<'_>) -> Option<(u32, &B::Document<'_>)> {
        let id = match key {
            Key::Id(id) => *id,
            Key::Field { path, text } => self.ids_with(path, text).next()?,
        };
        Some((id, self.document(id)?))
    }

    /// Finds what a query asks for.
    pub fn search<'a>(&'a self, query: &'a Query<'_>) -> Found<'a, B::Document<'a>> {
        search::search(self, query)
    }

    /// How much it holds.
    pub fn stats(&self) -> Stats {
        let equality: usize = self.equality.iter().map(EqualityIndex::len).sum();
        let order: usize = self.order.iter().map(OrderIndex::len).sum();
        Stats {
            documents: self.places.len() as u64,
            batches: self.batches.len() as u64,
            index_entries: (equality + order) as u64,
        }
    }

    /// One more than the greatest id.
    fn len(&self) -> u32 {
        self.places.len() as u32
    }

    fn equality_index(&self, path: &str) -> Option<&EqualityIndex> {
        self.equality.iter().find(|index| index.path() == path)
    }
}

impl<B> fmt::Debug for Store<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("documents", &self.places.len())
            .field("batches", &self.batches.len())
            .finish_non_exhaustive()
    }
}
