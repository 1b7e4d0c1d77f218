//! The loops that make calls and take the time.
//!
//! A latency runs from a request that is built to an answer that is decoded and
//! looked at. Building the request and dropping the answer lie outside it, and
//! inside the calls per second.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nowire_bench_harness::cell::{Case, Load};
use nowire_bench_harness::process::Usage;
use nowire_bench_harness::samples::{Recorder, Samples};
use tokio::sync::{Barrier, mpsc};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;

use crate::ask::{Ask, Echo, Fetch, Grow, Noop, Sum, Write};
use crate::dial::{Channel, Dial};
use crate::exchange::{ExchangeClient, Probe};
use crate::tree::{self, TREE};

/// Made before the time is taken, so that no caller's first call counts.
const UNTIMED_CALLS: usize = 8;

/// Before each parked call: far longer than anybody spins.
const PAUSE: Duration = Duration::from_millis(2);

/// Makes calls on one channel for so long.
pub(crate) async fn run(channel: impl Channel, load: Load, time: Duration) -> Result<Samples> {
    let course = Arc::new(Course::new(load.in_flight, UNTIMED_CALLS, time)?);
    let mut callers = JoinSet::new();
    for _ in 0..load.in_flight {
        let client = ExchangeClient::new(channel.clone());
        let course = course.clone();
        match load.case {
            Case::Stream => {
                let probe = Probe::new(load.bytes);
                callers.spawn(stream(client, probe, course))
            }
            Case::Unary | Case::Parked => {
                let probe = Probe::new(load.bytes);
                let pause = (load.case == Case::Parked).then_some(PAUSE);
                callers.spawn(unary(Echo { client, probe }, pause, course))
            }
            Case::Noop => callers.spawn(unary(Noop { client, number: 0 }, None, course)),
            Case::Tree => {
                let tree = tree::message(&TREE);
                callers.spawn(unary(Sum { client, tree }, None, course))
            }
            Case::Grow => callers.spawn(unary(Grow { client }, None, course)),
            Case::Fetch => callers.spawn(unary(Fetch { client }, None, course)),
            Case::Write => {
                let (bytes, turn) = (load.bytes, 0);
                let write = Write {
                    client,
                    bytes,
                    turn,
                };
                callers.spawn(unary(write, None, course))
            }
            other => bail!("there is no {other} over gRPC"),
        };
    }
    while let Some(finished) = callers.join_next().await {
        finished??;
    }
    course.samples()
}

/// Has all of them make calls for so long, each after so many that are not timed.
pub(crate) async fn race(
    asking: Vec<impl Ask>,
    untimed_calls: usize,
    time: Duration,
) -> Result<Samples> {
    let course = Arc::new(Course::new(asking.len(), untimed_calls, time)?);
    let mut callers = JoinSet::new();
    for asking in asking {
        callers.spawn(unary(asking, None, course.clone()));
    }
    while let Some(finished) = callers.join_next().await {
        finished??;
    }
    course.samples()
}

/// Where the callers of a round start together and the last one stops the
/// clock. The callers do this themselves: on one thread, a task that never has
/// to wait for its answers leaves no turn to anybody who would time it.
struct Course {
    line: Barrier,
    /// Made by each caller before the start.
    untimed_calls: usize,
    time: Duration,
    running: AtomicUsize,
    // One for all, and never fought for: one core runs them all.
    recorder: Mutex<Recorder>,
    start: OnceLock<Moment>,
    finish: OnceLock<Moment>,
}

#[derive(Debug)]
struct Moment {
    at: Instant,
    usage: Usage,
}

impl Moment {
    fn now() -> Result<Self> {
        let usage = Usage::now()?;
        let at = Instant::now();
        Ok(Self { at, usage })
    }
}

impl Course {
    fn new(callers: usize, untimed_calls: usize, time: Duration) -> Result<Self> {
        Ok(Self {
            line: Barrier::new(callers),
            untimed_calls,
            time,
            running: AtomicUsize::new(callers),
            recorder: Mutex::new(Recorder::new()?),
            start: OnceLock::new(),
            finish: OnceLock::new(),
        })
    }

    fn record(&self, latency: Duration) {
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        recorder.record(latency);
    }

    /// Waits for the others and returns when to stop.
    async fn start(&self) -> Result<Instant> {
        // The leader is the last to come; nobody has started before it.
        if self.line.wait().await.is_leader() {
            let _ = self.start.set(Moment::now()?);
        }
        let start = self.start.get().map_or_else(Instant::now, |start| start.at);
        Ok(start + self.time)
    }

    fn finish(&self) -> Result<()> {
        if self.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            let _ = self.finish.set(Moment::now()?);
        }
        Ok(())
    }

    /// What all callers together measured.
    fn samples(&self) -> Result<Samples> {
        let start = self.start.get().context("no caller started")?;
        let finish = self.finish.get().context("a caller did not finish")?;
        let recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(recorder.samples(finish.at - start.at, finish.usage.since(start.usage)))
    }
}

async fn unary(mut asking: impl Ask, pause: Option<Duration>, course: Arc<Course>) -> Result<()> {
    for _ in 0..course.untimed_calls {
        asking.ask().await?;
    }
    let end = course.start().await?;
    loop {
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        let (latency, now) = asking.ask().await?;
        course.record(latency);
        if now >= end {
            return course.finish();
        }
    }
}

async fn stream(
    mut client: ExchangeClient<impl Channel>,
    probe: Probe,
    course: Arc<Course>,
) -> Result<()> {
    let (requests, outgoing) = mpsc::channel(1);
    let mut answers = client
        .ping_pong(ReceiverStream::new(outgoing))
        .await?
        .into_inner();
    let mut end = None;
    for exchange in 0_usize.. {
        if exchange == UNTIMED_CALLS {
            end = Some(course.start().await?);
        }
        let request = probe.request();
        let start = Instant::now();
        requests
            .send(request)
            .await
            .context("the call took no more messages")?;
        let answer = answers
            .message()
            .await?
            .context("the server ended the stream")?;
        let right = probe.is_answered_by(&answer);
        let now = Instant::now();
        ensure!(right, "the answer does not belong to the request");
        if let Some(end) = end {
            course.record(now - start);
            if now >= end {
                course.finish()?;
                break;
            }
        }
    }
    drop(requests);
    ensure!(
        answers.message().await?.is_none(),
        "the server went on after the client's end of the stream"
    );
    Ok(())
}

/// Connects so many times, and makes one call on each connection to see that
/// it can be used; `destroy`: what counts is until the connection is gone again.
pub(crate) async fn connect(dialer: &impl Dial, times: u64, destroy: bool) -> Result<Samples> {
    let probe = Probe::new(0);
    let mut connected = Recorder::new()?;
    let mut called = Recorder::new()?;
    let before = Usage::now()?;
    let begin = Instant::now();
    for _ in 0..times {
        let start = Instant::now();
        let channel = dialer.dial().await?;
        let up = start.elapsed();
        let mut client = ExchangeClient::new(channel);
        let answer = client.unary(probe.request()).await?;
        let answered = start.elapsed();
        drop(client);
        connected.record(if destroy { start.elapsed() } else { up });
        called.record(answered);
        ensure!(
            probe.is_answered_by(answer.get_ref()),
            "the answer does not belong to the request"
        );
    }
    let elapsed = begin.elapsed();
    let used = Usage::now()?.since(before);
    Ok(connected
        .samples(elapsed, used)
        .with_first_call(called.p50_ns()))
}

/// Opens so many connections and makes one call on each.
pub(crate) async fn open<D: Dial>(dialer: &D, connections: usize) -> Result<Vec<D::Channel>> {
    let probe = Probe::new(0);
    let mut channels = Vec::with_capacity(connections);
    for n in 0..connections {
        let channel = dialer
            .dial()
            .await
            .with_context(|| format!("connection {} of {connections}", n + 1))?;
        ExchangeClient::new(channel.clone())
            .unary(probe.request())
            .await?;
        channels.push(channel);
    }
    Ok(channels)
}
