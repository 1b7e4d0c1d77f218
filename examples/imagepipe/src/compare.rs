//! Every case on every carrier, in turn.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nowire_bench_harness::machine;
use nowire_bench_harness::process::Usage;
use nowire_bench_harness::samples::{Pool, Recorder, Samples};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::carrier::Carrier;
use crate::client::Client;
use crate::exam::{Exam, Photos};
use crate::figure::Figure;
use crate::mode::Mode;
use crate::pipeline::Pipeline;
use crate::placement::Placement;
use crate::process::Program;

/// What to measure. Everything in a list is combined with everything in the others.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What carries the images.
    pub carriers: Vec<Carrier>,
    /// What is asked for.
    pub modes: Vec<Mode>,
    /// Sizes of images, in bytes.
    pub sizes: Vec<usize>,
    /// Numbers of calls at a time.
    pub in_flight: Vec<usize>,
    /// How often each carrier has its turn.
    pub rounds: usize,
    /// How long a turn is.
    pub round: Duration,
    /// What the images are made from.
    pub seed: u64,
    /// Which process runs where. The calling thread moves to the client's core.
    pub placement: Placement,
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Steps that are done.
    pub done: usize,
    /// Steps there are.
    pub steps: usize,
    /// What is being done now.
    pub doing: &'a str,
}

/// Measures it, and checks every answer. The calling process is the client; a
/// `program` is started for each of the other six of each carrier. `watch` is told
/// before each step.
///
/// # Errors
/// If a process cannot be started, a call fails or an answer is not right to the
/// last byte.
///
/// # Panics
/// If called by a task of a tokio runtime.
pub fn run(
    plan: &Plan,
    program: &Program,
    watch: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<Figure>> {
    let combinations = plan.sizes.len() * plan.modes.len() * plan.in_flight.len();
    let mut steps = Steps {
        watch,
        done: 0,
        steps: plan.carriers.len() * (1 + combinations * plan.rounds) + plan.sizes.len(),
    };
    if let Some(core) = plan.placement.of_client()? {
        machine::stay_on(core)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("building the tokio runtime")?;
    let mut sides = Vec::new();
    for &carrier in &plan.carriers {
        steps.next(&format!("starting the processes: {}", carrier.title()));
        let pipeline = Pipeline::start(program, carrier, plan.placement)?;
        let client = runtime.block_on(pipeline.connect())?;
        sides.push(Side { pipeline, client });
    }
    let mut figures = Vec::new();
    for &bytes in &plan.sizes {
        steps.next(&format!("making images of {bytes} bytes"));
        let photos = Photos::new(bytes, plan.seed)?;
        for &mode in &plan.modes {
            let exam = Arc::new(Exam::new(mode, &photos)?);
            for &in_flight in &plan.in_flight {
                let pools = measure(
                    plan,
                    &runtime,
                    &mut sides,
                    (&exam, mode, bytes, in_flight),
                    &mut steps,
                )?;
                for (&carrier, pool) in plan.carriers.iter().zip(&pools) {
                    let cell = (carrier, mode, bytes, in_flight);
                    let figure = Figure::new(cell, plan.placement, exam.mean_bytes(), pool);
                    figures.push(figure);
                }
            }
        }
    }
    Ok(figures)
}

/// A carrier's tiers, and the client they have.
struct Side {
    pipeline: Pipeline,
    client: Client,
}

struct Steps<'a> {
    watch: &'a mut dyn FnMut(Progress<'_>),
    done: usize,
    steps: usize,
}

impl Steps<'_> {
    fn next(&mut self, doing: &str) {
        (self.watch)(Progress {
            done: self.done,
            steps: self.steps,
            doing,
        });
        self.done += 1;
    }
}

/// Gives every carrier its turn in every round, so that whatever else the machine
/// does hits all alike.
fn measure(
    plan: &Plan,
    runtime: &Runtime,
    sides: &mut [Side],
    (exam, mode, bytes, in_flight): (&Arc<Exam>, Mode, usize, usize),
    steps: &mut Steps<'_>,
) -> Result<Vec<Pool>> {
    let mut pools = Vec::new();
    for _ in sides.iter() {
        pools.push(Pool::new()?);
    }
    for _ in 0..plan.rounds {
        for (side, pool) in sides.iter_mut().zip(&mut pools) {
            let carrier = side.pipeline.carrier();
            let what = format!("{mode}, {bytes} bytes, {in_flight} at a time, {carrier}");
            steps.next(&what);
            let load = Load::new(&side.client, exam, in_flight)?;
            // Nobody's first calls count.
            runtime
                .block_on(load.calls(Duration::ZERO))
                .with_context(|| what.clone())?;
            let before = side.pipeline.usage()?;
            let load = Load::new(&side.client, exam, in_flight)?;
            let samples = runtime
                .block_on(load.calls(plan.round))
                .with_context(|| what.clone())?;
            pool.add(&samples, side.pipeline.usage()?.since(before))?;
        }
    }
    Ok(pools)
}

/// Callers, each with one call at a time.
struct Load {
    caller: Arc<Caller>,
    in_flight: usize,
}

struct Caller {
    client: Client,
    exam: Arc<Exam>,
    /// Of the next call.
    number: AtomicUsize,
    recorder: Mutex<Recorder>,
}

impl Load {
    fn new(client: &Client, exam: &Arc<Exam>, in_flight: usize) -> Result<Self> {
        Ok(Self {
            caller: Arc::new(Caller {
                client: client.clone(),
                exam: Arc::clone(exam),
                number: AtomicUsize::new(0),
                recorder: Mutex::new(Recorder::new()?),
            }),
            in_flight,
        })
    }

    /// Makes calls until so much time has passed, two each at least.
    async fn calls(self, time: Duration) -> Result<Samples> {
        let before = Usage::now()?;
        let start = Instant::now();
        let mut callers = JoinSet::new();
        for _ in 0..self.in_flight {
            let caller = Arc::clone(&self.caller);
            callers.spawn(async move {
                caller.call().await?;
                loop {
                    caller.call().await?;
                    if start.elapsed() >= time {
                        return Ok::<_, anyhow::Error>(());
                    }
                }
            });
        }
        while let Some(caller) = callers.join_next().await {
            caller.context("a caller broke down")??;
        }
        let elapsed = start.elapsed();
        let used = Usage::now()?.since(before);
        let recorder = &self.caller.recorder;
        let recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(recorder.samples(elapsed, used))
    }
}

impl Caller {
    async fn call(&self) -> Result<()> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let job = self.exam.job(number)?;
        let start = Instant::now();
        let answer = self.client.process(job).await?;
        self.exam.check(number, &answer)?;
        let latency = start.elapsed();
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        recorder.record(latency);
        Ok(())
    }
}
