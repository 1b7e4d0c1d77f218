use std::sync::{PoisonError, RwLock};

use tonic::{Request, Response, Status};

use crate::grpc::page::message;
use crate::grpc::proto::cool_db_server::{CoolDb, CoolDbServer};
use crate::grpc::proto::{
    Documents, Found, Inserted, Json, Key, Page, Query, StatsReply, StatsRequest,
};
use crate::grpc::query::Malformed;
use crate::store::{Indexes, InsertError, Store};

/// The gRPC service, with a store of its own.
///
/// A handler looks at the store on the thread that polls it: what it does for one
/// call is bounded by the size of a page and of the store.
#[derive(Debug)]
pub struct Service {
    store: RwLock<Store<Vec<Json>>>,
}

impl Service {
    /// A service with an empty store, ready to be added to a server.
    pub fn new(indexes: Indexes<'_>) -> CoolDbServer<Self> {
        CoolDbServer::new(Self {
            store: RwLock::new(Store::new(indexes)),
        })
    }
}

#[tonic::async_trait]
impl CoolDb for Service {
    async fn insert(&self, request: Request<Documents>) -> Result<Response<Inserted>, Status> {
        let batch = request.into_inner().documents;
        let documents = batch.len() as u32;
        // A panic in a handler leaves the store as it was before or after a step
        // that readers can live with; what is missing from an index is not found.
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        let first_id = store.insert(batch)?;
        Ok(Response::new(Inserted {
            first_id,
            documents,
        }))
    }

    async fn get(&self, request: Request<Key>) -> Result<Response<Found>, Status> {
        let key = request.into_inner();
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let found = store.get(&(&key).try_into()?);
        Ok(Response::new(match found {
            Some((id, document)) => Found {
                id,
                document: Some(message(document)),
            },
            None => Found::default(),
        }))
    }

    async fn search(&self, request: Request<Query>) -> Result<Response<Page>, Status> {
        let query = request.into_inner();
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let query = (&query).try_into()?;
        let page = Page::of(store.search(&query));
        Ok(Response::new(page))
    }

    async fn stats(&self, _: Request<StatsRequest>) -> Result<Response<StatsReply>, Status> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        let stats = store.stats();
        Ok(Response::new(StatsReply {
            documents: stats.documents,
            batches: stats.batches,
            index_entries: stats.index_entries,
        }))
    }
}

impl From<Malformed> for Status {
    fn from(malformed: Malformed) -> Self {
        Self::invalid_argument(malformed.to_string())
    }
}

impl From<InsertError> for Status {
    fn from(error: InsertError) -> Self {
        match error {
            InsertError::NoObject { .. } | InsertError::TooDeep { .. } => {
                Self::invalid_argument(error.to_string())
            }
            InsertError::Full => Self::resource_exhausted(error.to_string()),
        }
    }
}
