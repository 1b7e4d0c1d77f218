use std::sync::{PoisonError, RwLock};

use nowire::{Kept, Scope, Shared, Slice};

use crate::native::document::Json;
use crate::native::page::{Found, Page, TooLarge};
use crate::native::query::{Key, Query};
use crate::store::{Indexes, InsertError, Store};

/// A store of JSON documents.
#[nowire::service]
pub trait CoolDb {
    /// Adds documents, all or none, and returns the id of the first; the others
    /// have the ids after it. The store keeps them where they were built.
    fn insert(&self, documents: Kept<Slice<'static, Json<'static>>>) -> Result<u32, Refused>;

    /// Reads one document, where it lies if the caller has built it.
    fn get<'r>(&self, key: &Key, out: &'r Scope) -> Result<Option<Found<'r>>, TooLarge>;

    /// Answers a query, a page at a time.
    fn search<'r>(&self, query: &Query, out: &'r Scope) -> Result<Page<'r>, TooLarge>;

    /// Says how much is stored.
    fn stats(&self) -> StatsReply;
}

/// Why a batch was not taken. Nothing of it is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Shared)]
#[repr(u8)]
pub enum Refused {
    /// A value that is no object is no document.
    NoObject {
        /// Its place in the batch, from 0.
        index: u32,
    },
    /// A document is nested too deep.
    TooDeep {
        /// Its place in the batch, from 0.
        index: u32,
    },
    /// There are no more ids.
    Full,
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Shared)]
pub struct StatsReply {
    /// Documents.
    pub documents: u64,
    /// Batches in which they came.
    pub batches: u64,
    /// Entries of all indexes together.
    pub index_entries: u64,
}

/// The native service, with a store of its own.
#[derive(Debug)]
pub struct Service {
    store: RwLock<Store<Kept<Slice<'static, Json<'static>>>>>,
}

impl Service {
    /// A service with an empty store, ready to be added to a server.
    pub fn new(indexes: Indexes<'_>) -> CoolDbServer<Self> {
        CoolDbServer::new(Self {
            store: RwLock::new(Store::new(indexes)),
        })
    }
}

impl CoolDb for Service {
    fn insert(&self, documents: Kept<Slice<'static, Json<'static>>>) -> Result<u32, Refused> {
        // What a panicking handler left behind is a store that lacks index
        // entries, which readers can live with.
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        store.insert(documents).map_err(Refused::from)
    }

    fn get<'r>(&self, key: &Key<'_>, out: &'r Scope) -> Result<Option<Found<'r>>, TooLarge> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let found = store.get(&key.read());
        let found = found.and_then(|(id, document)| Some((id, document, store.batch(id)?)));
        let Some((id, document, batch)) = found else {
            return Ok(None);
        };
        let document = batch.lend(out, document).map_err(|_| TooLarge {
            limit_bytes: out.capacity_bytes() as u64,
        })?;
        Ok(Some(Found { id, document }))
    }

    fn search<'r>(&self, query: &Query<'_>, out: &'r Scope) -> Result<Page<'r>, TooLarge> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let query = query.read();
        Page::build(out, store.search(&query))
    }

    fn stats(&self) -> StatsReply {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let stats = store.stats();
        StatsReply {
            documents: stats.documents,
            batches: stats.batches,
            index_entries: stats.index_entries,
        }
    }
}

impl From<InsertError> for Refused {
    fn from(error: InsertError) -> Self {
        match error {
            InsertError::NoObject { index } => Self::NoObject {
                index: index as u32,
            },
            InsertError::TooDeep { index } => Self::TooDeep {
                index: index as u32,
            },
            InsertError::Full => Self::Full,
        }
    }
}
