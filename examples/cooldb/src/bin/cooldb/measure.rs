//! Everything that is measured on one carrier.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use indicatif::ProgressBar;
use nowire_cooldb::client::Client;
use nowire_cooldb::nobench::{Collection, Record};
use nowire_cooldb::query::{Key, Query};
use nowire_cooldb::reader::Digest;

use crate::case::Case;

/// Rows that are asked for at a time.
const PAGE_ROWS: u32 = 4096;

/// How much to do.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) collection: Collection,
    pub(crate) batch: u32,
    pub(crate) reads: u32,
}

impl Load {
    /// Steps of a case, for whoever watches.
    pub(crate) fn steps(&self, case: Case) -> u64 {
        match case {
            Case::Build => u64::from(self.collection.documents().div_ceil(self.batch)),
            case => u64::from(case.repetitions(self.reads)),
        }
    }
}

/// What a case took and what came out.
pub(crate) struct Outcome {
    /// Of each call; of a search with several pages, of all of them together.
    pub(crate) times: Vec<Duration>,
    /// Rows of all answers.
    pub(crate) rows: u64,
    /// The same for the same answers.
    pub(crate) digest: u64,
}

/// Measures one case.
pub(crate) async fn measure(
    client: &mut impl Client,
    load: &Load,
    case: Case,
    progress: &ProgressBar,
) -> Result<Outcome> {
    match case {
        Case::Build => build(client, load, progress).await,
        case => {
            let mut digest = Digest::new();
            // Nobody's first call counts.
            call(client, load, case, 0, &mut Digest::new()).await?;
            let mut times = Vec::new();
            for number in 0..case.repetitions(load.reads) {
                times.push(call(client, load, case, number, &mut digest).await?);
                progress.inc(1);
            }
            Ok(Outcome {
                times,
                rows: digest.rows(),
                digest: digest.value(),
            })
        }
    }
}

async fn build(client: &mut impl Client, load: &Load, progress: &ProgressBar) -> Result<Outcome> {
    let documents = load.collection.documents();
    let mut times = Vec::new();
    for start in (0..documents).step_by(load.batch as usize) {
        let range = start..start.saturating_add(load.batch);
        let records: Vec<Record> = load.collection.records(range).collect();
        let begin = Instant::now();
        let first = client.insert(&records).await.context("inserting")?;
        times.push(begin.elapsed());
        ensure!(
            first == start,
            "documents {start} and on were given the ids {first} and on"
        );
        progress.inc(1);
    }
    let stats = client.stats().await.context("asking for statistics")?;
    ensure!(
        stats.documents == u64::from(documents),
        "of {documents} documents, {} are stored",
        stats.documents
    );
    Ok(Outcome {
        times,
        rows: stats.documents,
        digest: stats.index_entries,
    })
}

/// Makes the call with this number, and reads all of its answer.
async fn call(
    client: &mut impl Client,
    load: &Load,
    case: Case,
    number: u32,
    digest: &mut Digest,
) -> Result<Duration> {
    let collection = &load.collection;
    match case {
        Case::Search(question) => {
            let query = Query {
                limit: PAGE_ROWS,
                ..question.query(collection, number)
            };
            search(client, query, digest)
                .await
                .with_context(|| format!("asking {question} number {number}"))
        }
        case => {
            let id = collection.pick(number);
            let key = match case {
                Case::GetText => Key::Field {
                    path: "str1".into(),
                    text: collection.record(id).own_text.into(),
                },
                _ => Key::Id(id),
            };
            let begin = Instant::now();
            let found = client.get(&key, digest).await.context("reading")?;
            let time = begin.elapsed();
            ensure!(found == Some(id), "{key:?} led to {found:?}");
            Ok(time)
        }
    }
}

async fn search(
    client: &mut impl Client,
    mut query: Query<'_>,
    digest: &mut Digest,
) -> Result<Duration> {
    let begin = Instant::now();
    loop {
        match client.search(&query, digest).await? {
            Some(id) => {
                ensure!(query.after_id < Some(id), "a page ended where it began");
                query.after_id = Some(id);
            }
            None => return Ok(begin.elapsed()),
        }
    }
}
