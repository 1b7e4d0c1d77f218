use tonic::Status;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::StdError;

use crate::client::{Client, Reader};
use crate::grpc::document::Messages;
use crate::grpc::proto::cool_db_client::CoolDbClient;
use crate::grpc::proto::{self, Documents, Json, StatsRequest};
use crate::nobench::Record;
use crate::query::{Key, Query};
use crate::store::Stats;

/// Most that an answer may have, in bytes. A page of whole documents can be more
/// than the 4 MiB that tonic allows.
const ANSWER_LIMIT_BYTES: usize = 64 << 20;

/// A client over any channel that tonic's stubs take.
#[derive(Clone, Debug)]
pub struct GrpcClient<C> {
    stub: CoolDbClient<C>,
}

impl<C> GrpcClient<C>
where
    C: GrpcService<Body, ResponseBody = Body, Error: Into<StdError>>,
{
    /// A client of the server that the channel leads to.
    pub fn new(channel: C) -> Self {
        Self {
            stub: CoolDbClient::new(channel).max_decoding_message_size(ANSWER_LIMIT_BYTES),
        }
    }
}

impl<C> Client for GrpcClient<C>
where
    C: GrpcService<Body, ResponseBody = Body, Error: Into<StdError>>,
{
    type Error = Status;

    async fn insert(&mut self, records: &[Record]) -> Result<u32, Status> {
        let mut documents = Vec::with_capacity(records.len());
        for record in records {
            let Ok(document) = record.build(&Messages);
            documents.push(document);
        }
        let inserted = self.stub.insert(Documents { documents }).await?;
        Ok(inserted.get_ref().first_id)
    }

    async fn get<R: Reader>(
        &mut self,
        key: &Key<'_>,
        reader: &mut R,
    ) -> Result<Option<u32>, Status> {
        let found = self.stub.get(proto::Key::from(key)).await?.into_inner();
        Ok(found.document.map(|document| {
            reader.row(found.id, std::iter::once(Some(&document)));
            found.id
        }))
    }

    async fn search<R: Reader>(
        &mut self,
        query: &Query<'_>,
        reader: &mut R,
    ) -> Result<Option<u32>, Status> {
        let page = self
            .stub
            .search(proto::Query::from(query))
            .await?
            .into_inner();
        for row in &page.rows {
            let columns = row.columns.iter().map(|column| column.value.as_ref());
            reader.row(row.id, columns);
        }
        for group in &page.groups {
            let null = Json { kind: None };
            reader.group(group.value.as_ref().unwrap_or(&null), group.documents);
        }
        Ok(page.next_after_id)
    }

    async fn stats(&mut self) -> Result<Stats, Status> {
        let stats = self.stub.stats(StatsRequest {}).await?.into_inner();
        Ok(Stats {
            documents: stats.documents,
            batches: stats.batches,
            index_entries: stats.index_entries,
        })
    }
}
