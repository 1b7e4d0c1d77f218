use nowire::{CallError, Channel, Scope, ScopeError, ScopeUnavailable};

use crate::client::{Client, Reader};
use crate::native::document::{InScope, Json};
use crate::native::page::TooLarge;
use crate::native::query::{Key, Query};
use crate::native::service::{CoolDbClient, Refused};
use crate::nobench::Record;
use crate::store::Stats;

/// What a document takes at most, as long as nothing better is known.
const FIRST_GUESS_BYTES: usize = 4096;

/// A blocking client over a channel for native calls.
#[derive(Debug)]
pub struct NativeClient {
    stub: CoolDbClient,
    /// For the arguments of everything but insertions, again and again.
    scope: Scope,
    /// What a document took in the last batch, with something to spare.
    document_bytes: usize,
}

/// Why a native call led to no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NativeError {
    /// The batch was not taken.
    #[error(transparent)]
    Insert(#[from] CallError<Refused>),
    /// The question was not answered.
    #[error(transparent)]
    Answer(#[from] CallError<TooLarge>),
    /// The call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The question does not fit into a scope.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// There is no memory for documents.
    #[error(transparent)]
    Memory(#[from] ScopeUnavailable),
}

impl NativeClient {
    /// A client of the server that the channel leads to.
    ///
    /// # Errors
    /// If there is no memory for questions.
    pub fn new(channel: Channel) -> Result<Self, NativeError> {
        Ok(Self {
            scope: channel.scope()?,
            stub: CoolDbClient::new(channel),
            document_bytes: FIRST_GUESS_BYTES,
        })
    }

    /// Makes room for the next question.
    fn clear_scope(&mut self) -> Result<(), NativeError> {
        if self.scope.reset().is_err() {
            // The server may still read it, after a call that was given up.
            self.scope = self.stub.scope()?;
        }
        Ok(())
    }

    /// Builds the batch and has it stored; none if the scope is too small.
    fn try_insert(
        &mut self,
        records: &[Record],
        scope_bytes: usize,
    ) -> Result<Option<u32>, NativeError> {
        let scope = self.stub.scope_of(scope_bytes)?;
        let built = records.iter().map(|record| record.build(&InScope(&scope)));
        let batch = built
            .collect::<Result<Vec<Json<'_>>, ScopeError>>()
            .and_then(|documents| scope.slice_of(documents))
            .and_then(|documents| scope.build(documents));
        let batch = match batch {
            Ok(batch) => batch,
            Err(ScopeError::Full { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let spare = 16;
        let used = scope.used_bytes() / records.len().max(1);
        self.document_bytes = used + used / spare;
        Ok(Some(*self.stub.insert(batch)?))
    }
}

impl Client for NativeClient {
    type Error = NativeError;

    async fn insert(&mut self, records: &[Record]) -> Result<u32, NativeError> {
        let mut scope_bytes = self.document_bytes * records.len().max(1);
        loop {
            match self.try_insert(records, scope_bytes)? {
                Some(first) => return Ok(first),
                None => scope_bytes *= 2,
            }
        }
    }

    async fn get<R: Reader>(
        &mut self,
        key: &crate::query::Key<'_>,
        reader: &mut R,
    ) -> Result<Option<u32>, NativeError> {
        self.clear_scope()?;
        let key = self.scope.build(Key::build(&self.scope, key)?)?;
        let reply = self.stub.get(&key)?;
        Ok(reply.get().as_ref().map(|found| {
            reader.row(found.id, std::iter::once(Some(&*found.document)));
            found.id
        }))
    }

    async fn search<R: Reader>(
        &mut self,
        query: &crate::query::Query<'_>,
        reader: &mut R,
    ) -> Result<Option<u32>, NativeError> {
        self.clear_scope()?;
        let query = self.scope.build(Query::build(&self.scope, query)?)?;
        let reply = self.stub.search(&query)?;
        let page = reply.get();
        for row in page.rows.iter() {
            reader.row(row.id, row.columns.iter().map(Option::as_ref));
        }
        for group in page.groups.iter() {
            reader.group(&group.value, group.documents);
        }
        Ok(page.next_after_id)
    }

    async fn stats(&mut self) -> Result<Stats, NativeError> {
        let stats = self.stub.stats()?;
        Ok(Stats {
            documents: stats.documents,
            batches: stats.batches,
            index_entries: stats.index_entries,
        })
    }
}
