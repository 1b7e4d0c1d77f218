//! Many calls, one after the other.

use std::{future::Future, time::Duration};

use futures_util::future::join_all;
use tokio::time::{self, Instant};
use tonic::codegen::StdError;

use super::{client, expect_zeros, unary, zeros};
use crate::{Channel, Failure, Settings, Soak, failure::expect_ok, proto::testing::SimpleRequest};

pub(crate) async fn one_channel<C: Channel>(
    channel: C,
    settings: &Settings,
) -> Result<String, Failure> {
    soak(&settings.soak, || async { Ok(channel.clone()) }).await
}

pub(crate) async fn many_channels<C, F, Fut>(
    connect: F,
    settings: &Settings,
) -> Result<String, Failure>
where
    C: Channel,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<C, StdError>>,
{
    soak(&settings.soak, connect).await
}

pub(crate) async fn long_lived<C: Channel>(channel: C, settings: &Settings) -> Result<(), Failure> {
    for iteration in 0..settings.soak.iterations {
        if iteration > 0 {
            time::sleep(settings.iteration_interval).await;
        }
        unary::large(channel.clone(), settings).await?;
    }
    Ok(())
}

/// What one loop saw.
#[derive(Default)]
struct Tally {
    latencies: Vec<Duration>,
    failed: usize,
    last: Option<String>,
}

async fn soak<C, F, Fut>(soak: &Soak, connect: F) -> Result<String, Failure>
where
    C: Channel,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<C, StdError>>,
{
    let end = Instant::now() + soak.time_limit();
    let threads = soak.threads.max(1);
    let loops = (0..threads).map(|thread| {
        let iterations = (thread..soak.iterations).step_by(threads).count();
        run_loop(soak, &connect, iterations, end)
    });
    let mut all = Tally::default();
    for tally in join_all(loops).await {
        all.latencies.extend(tally.latencies);
        all.failed += tally.failed;
        all.last = all.last.or(tally.last);
    }
    let done = all.latencies.len();
    if done < soak.iterations || all.failed > soak.max_failures {
        return Err(Failure::Soak {
            done,
            wanted: soak.iterations,
            failed: all.failed,
            allowed: soak.max_failures,
            last: all.last.unwrap_or_else(|| "none".into()),
        });
    }
    Ok(summary(all))
}

async fn run_loop<C, F, Fut>(soak: &Soak, connect: &F, iterations: usize, end: Instant) -> Tally
where
    C: Channel,
    F: Fn() -> Fut,
    Fut: Future<Output = Result<C, StdError>>,
{
    let mut tally = Tally::default();
    for _ in 0..iterations {
        let start = Instant::now();
        // Opening the channel counts, closing it does not.
        let Ok(result) = time::timeout_at(end, call(soak, connect())).await else {
            break;
        };
        let latency = start.elapsed();
        tally.latencies.push(latency);
        let failure = match result {
            Err(failure) => Some(failure.to_string()),
            Ok(()) if latency > soak.max_latency => Some(format!(
                "a call took {latency:?}, at most {:?} was allowed",
                soak.max_latency
            )),
            Ok(()) => None,
        };
        if failure.is_some() {
            tally.failed += 1;
            tally.last = failure;
        }
        time::sleep_until((start + soak.min_interval).min(end)).await;
    }
    tally
}

async fn call<C: Channel>(
    soak: &Soak,
    connect: impl Future<Output = Result<C, StdError>>,
) -> Result<(), Failure> {
    let channel = connect.await.map_err(Failure::Connect)?;
    let response = client(channel)
        .unary_call(SimpleRequest {
            response_size: soak.response_bytes,
            payload: zeros(soak.request_bytes),
            ..SimpleRequest::default()
        })
        .await;
    let response = expect_ok("UnaryCall", response)?.into_inner();
    expect_zeros("UnaryCall", soak.response_bytes, response.payload.as_ref())
}

fn summary(mut tally: Tally) -> String {
    tally.latencies.sort_unstable();
    let calls = tally.latencies.len();
    let at = |share: f64| {
        let index = (calls as f64 * share) as usize;
        let latency = tally.latencies.get(index.min(calls.saturating_sub(1)));
        latency.copied().unwrap_or_default()
    };
    format!(
        "{calls} calls, {} failed; latency p50 {:?}, p90 {:?}, p99 {:?}, most {:?}",
        tally.failed,
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
    )
}
