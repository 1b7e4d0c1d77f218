//! The client process: makes the calls and measures them.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use nowire_grpc::Channel;
use tokio::task::JoinSet;

use super::digest::Digest;
use super::kind::Kind;
use super::message::{Findings, FromClient, Measurement, say};
use super::transport::{Addresses, Carrier, Transport, connect};
use crate::route_guide::{Guide, RouteGuideClient, RouteGuideServer};

/// Calls in flight while calls per second are counted.
pub const IN_FLIGHT: usize = 16;

/// The carriers take turns, so that a noisy moment of the machine hurts all.
const ROUNDS_MIN: usize = 5;
/// Bounds a turn's time, and with it the silence between two signs of progress.
const TURN_CALLS_MAX: usize = 500;
const WARM_UP_CALLS: usize = 50;

/// Makes `calls` calls of each kind over each carrier, one at a time, and as
/// many again with [`IN_FLIGHT`] at once; says progress and findings.
///
/// # Errors
/// If a connection or a call fails.
pub async fn run(addresses: &Addresses, calls: usize) -> anyhow::Result<()> {
    let mut clients = Vec::new();
    for carrier in Carrier::ALL {
        let channel = connect(carrier, addresses).await?;
        clients.push((carrier, RouteGuideClient::new(channel)));
    }
    let mut findings = Findings {
        reference: Vec::new(),
        measurements: Vec::new(),
    };
    let mut done = 0;
    let total = (2 * calls * clients.len() * Kind::ALL.len()) as u64;
    for kind in Kind::ALL {
        let mut reference = Digest::default();
        let mut tallies = vec![Tally::default(); clients.len()];
        let rounds = ROUNDS_MIN.max(calls.div_ceil(TURN_CALLS_MAX));
        for round in 0..rounds {
            let turn = calls * round / rounds..calls * (round + 1) / rounds;
            reference.merge(right_answers(kind, turn.clone()).await?);
            for ((carrier, client), tally) in clients.iter_mut().zip(&mut tallies) {
                say(&FromClient::Progress {
                    done,
                    total,
                    kind,
                    carrier: *carrier,
                })?;
                done += 2 * turn.len() as u64;
                tally
                    .take_turn(kind, client, turn.clone())
                    .await
                    .with_context(|| format!("{} over {carrier} failed", kind.method()))?;
            }
        }
        findings.reference.push((kind, reference));
        let measured = clients.iter().zip(tallies);
        findings
            .measurements
            .extend(measured.map(|((carrier, _), tally)| tally.finish(kind, *carrier)));
    }
    say(&FromClient::Finished(findings))?;
    Ok(())
}

/// The answers that the service gives when nothing lies between.
async fn right_answers(kind: Kind, turn: Range<usize>) -> anyhow::Result<Digest> {
    let mut client = RouteGuideClient::new(RouteGuideServer::new(Guide));
    let mut digest = Digest::default();
    for index in turn {
        let reply = kind.call(&mut client, index).await?;
        // Twice, because every call is made twice.
        reply.digest_into(index, &mut digest);
        reply.digest_into(index, &mut digest);
    }
    Ok(digest)
}

/// What was measured so far of one kind over one carrier.
#[derive(Debug, Clone, Default)]
struct Tally {
    times: Vec<Duration>,
    together: Duration,
    answers: Digest,
}

impl Tally {
    async fn take_turn(
        &mut self,
        kind: Kind,
        client: &mut RouteGuideClient<Channel>,
        turn: Range<usize>,
    ) -> anyhow::Result<()> {
        for index in turn.clone().take(WARM_UP_CALLS) {
            kind.call(client, index).await?;
        }
        for index in turn.clone() {
            let reply = kind.call(client, index).await?;
            self.times.push(reply.took);
            reply.digest_into(index, &mut self.answers);
        }
        let started = Instant::now();
        let mut workers = JoinSet::new();
        for lane in 0..IN_FLIGHT {
            let mine = turn.clone().skip(lane).step_by(IN_FLIGHT);
            workers.spawn(work(kind, client.clone(), mine));
        }
        while let Some(answers) = workers.join_next().await {
            self.answers
                .merge(answers.map_err(|error| anyhow!(error))??);
        }
        self.together += started.elapsed();
        Ok(())
    }

    fn finish(mut self, kind: Kind, carrier: Carrier) -> Measurement {
        self.times.sort_unstable();
        let calls = self.times.len();
        Measurement {
            kind,
            carrier,
            calls: calls as u64,
            p50_ns: quantile_ns(&self.times, 0.50),
            p99_ns: quantile_ns(&self.times, 0.99),
            calls_per_s: calls as f64 / self.together.as_secs_f64().max(f64::MIN_POSITIVE),
            answers: self.answers,
        }
    }
}

async fn work<T: Transport>(
    kind: Kind,
    mut client: RouteGuideClient<T>,
    indices: impl Iterator<Item = usize>,
) -> anyhow::Result<Digest> {
    let mut answers = Digest::default();
    for index in indices {
        let reply = kind.call(&mut client, index).await?;
        reply.digest_into(index, &mut answers);
    }
    Ok(answers)
}

/// The smallest time that a share `q` of the `sorted` times does not exceed.
fn quantile_ns(sorted: &[Duration], q: f64) -> u64 {
    let rank = (sorted.len() as f64 * q).ceil() as usize;
    let time = sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default();
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
