//! The calling process of the native carriers: it calls and waits on one
//! thread, as somebody would who wants an answer soonest.

use std::iter::repeat_n;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nowire::{
    CallError, ChannelOptions, ConnectOptions, HeapOptions, Keeping, Never, Pending, Scope,
    ScopeError, SealFrom,
};
use nowire_bench_harness::cell::{Carrier, Case, Load};
use nowire_bench_harness::control::{Answer, Order};
use nowire_bench_harness::mark::sum_of_equal;
use nowire_bench_harness::process::{Memory, Usage};
use nowire_bench_harness::samples::{Recorder, Samples};
use nowire_bench_harness::timing::{one_by_one, pipelined, timed};
use nowire_bench_harness::worker::{WorkerArgs, answer, listen};

use crate::dial::policy;
use crate::native_service::{ExchangeClient, Payload, build, sum_tree};
use crate::sealing;
use crate::tree::TREE;

/// Room for the tree.
const TREE_BYTES: usize = 256 << 10;
/// Large arguments alone are sealed, whether or not that pays here.
const SEAL_FROM_BYTES: u32 = 256 << 10;
/// Room for what a payload has beside its bytes.
const MARGIN_BYTES: usize = 4 << 10;

/// Connects and makes the calls it is told to make.
pub(crate) fn main(args: &WorkerArgs) -> Result<()> {
    let (sender, orders) = mpsc::channel();
    listen(move |order| sender.send(order).is_ok());
    let client = connect(args)?;
    answer(&Answer::Ready {
        address: String::new(),
    })?;
    for order in orders {
        answer(&match order {
            Order::Usage => Answer::Usage(Usage::now()?),
            Order::Memory => Answer::Memory(Memory::now()?),
            Order::Run { load, for_ms } => Answer::Samples(run(
                &client,
                args.carrier,
                load,
                Duration::from_millis(for_ms),
            )?),
            Order::Repeat { load, calls } => {
                repeat(&client, load, calls)?;
                Answer::Done
            }
            Order::Connect { times, destroy } => {
                Answer::Samples(connect_often(args, times, destroy)?)
            }
            other => bail!("there is no {other:?} for native calls"),
        })?;
    }
    Ok(())
}

fn connect(args: &WorkerArgs) -> Result<ExchangeClient> {
    let options = ChannelOptions {
        connect: ConnectOptions {
            heap: Some(heap(args.carrier)),
            ..ConnectOptions::default()
        },
        keeping: keeping(args.carrier),
        wait: policy(args.wait),
    };
    let channel = nowire::connect_with(&args.address, options)
        .with_context(|| format!("connecting to {}", args.address))?;
    Ok(ExchangeClient::new(channel))
}

/// What each side of this carrier asks of the other's memory.
pub(crate) fn heap(carrier: Carrier) -> HeapOptions {
    HeapOptions {
        seal: match carrier {
            Carrier::Sealed => SealFrom::Bytes(SEAL_FROM_BYTES),
            _ => SealFrom::Never,
        },
        ..HeapOptions::default()
    }
}

/// How each side of this carrier keeps still what the other passes.
pub(crate) fn keeping(carrier: Carrier) -> Keeping {
    match carrier {
        Carrier::Trust => Keeping::Trust,
        Carrier::Sealed => Keeping::Seal,
        _ => Keeping::Copy,
    }
}

fn run(client: &ExchangeClient, carrier: Carrier, load: Load, time: Duration) -> Result<Samples> {
    match load.case {
        Case::Noop if load.in_flight == 1 => {
            let mut number = 0;
            one_by_one(time, || {
                number += 1;
                timed(|| noop(client, number))
            })
        }
        Case::Noop => pipelined(
            load.in_flight,
            time,
            |number| Ok(client.noop_later(number)?),
            noop_answered,
        ),
        Case::Tree => {
            let scope = client.scope_of(TREE_BYTES)?;
            let tree = scope.build(build(&scope, &TREE)?)?;
            one_by_one(time, || {
                timed(|| {
                    let answer = client.sum(&tree)?;
                    ensure!(*answer == TREE.sum, "the server summed another tree");
                    Ok(())
                })
            })
        }
        Case::Grow => {
            let mut scope = client.scope_of(TREE_BYTES)?;
            one_by_one(time, || {
                timed(|| {
                    scope.reset()?;
                    let tree = scope.build(build(&scope, &TREE)?)?;
                    let answer = client.sum(&tree)?;
                    ensure!(*answer == TREE.sum, "the server summed another tree");
                    Ok(())
                })
            })
        }
        Case::Fetch => one_by_one(time, || {
            timed(|| {
                let tree = client.fetch().map_err(plain)?;
                ensure!(
                    sum_tree(tree.get()) == TREE.sum,
                    "the server built another tree"
                );
                Ok(())
            })
        }),
        Case::Pass => {
            let scope = client.scope_of(load.bytes + MARGIN_BYTES)?;
            let data = write(&scope, load.bytes, 1)?;
            let payload = scope.build(data)?;
            one_by_one(time, || {
                timed(|| {
                    let answer = client.pass(&payload)?;
                    ensure!(*answer == load.bytes as u64, "the server got other bytes");
                    Ok(())
                })
            })
        }
        Case::Write => {
            let mut scope = client.scope_of(load.bytes + MARGIN_BYTES)?;
            let mut turn = 0_u8;
            one_by_one(time, || {
                turn = turn.wrapping_add(1);
                timed(|| {
                    if carrier == Carrier::Sealed {
                        // What is sealed is never written again.
                        scope = client.scope_of(load.bytes + MARGIN_BYTES)?;
                    }
                    scope.reset()?;
                    let payload = scope.build(write(&scope, load.bytes, turn)?)?;
                    let answer = client.read(&payload)?;
                    ensure!(
                        *answer == sum_of_equal(turn, load.bytes),
                        "the server read other bytes than were written"
                    );
                    Ok(())
                })
            })
        }
        Case::Seal => sealing::seal(load.bytes, time),
        other => bail!("there is no {other} for native calls"),
    }
}

fn noop(client: &ExchangeClient, number: u64) -> Result<()> {
    let answer = *client.noop(number)?;
    ensure!(answer == number, "the answer to {number} is {answer}");
    Ok(())
}

fn noop_answered(number: u64, pending: Pending<'_, u64, Never>) -> Result<()> {
    let answer = *pending.wait()?;
    ensure!(answer == number, "the answer to {number} is {answer}");
    Ok(())
}

/// Writes every byte once, where it will be read.
fn write(scope: &Scope, bytes: usize, turn: u8) -> Result<Payload<'_>, ScopeError> {
    Ok(Payload {
        data: scope.slice_of(repeat_n(turn, bytes))?,
    })
}

/// An error of the method itself is one more way to fail.
fn plain<E: std::fmt::Debug>(error: CallError<E>) -> anyhow::Error {
    anyhow::anyhow!("{error}")
}

/// Makes so many calls, with no clock and no count beside them.
fn repeat(client: &ExchangeClient, load: Load, calls: u64) -> Result<()> {
    ensure!(
        load.case == Case::Noop,
        "only no-op calls are counted, not {}",
        load.case
    );
    if load.in_flight == 1 {
        return (0..calls).try_for_each(|number| noop(client, number));
    }
    let mut in_flight = std::collections::VecDeque::with_capacity(load.in_flight);
    for number in 0..calls {
        in_flight.push_back((number, client.noop_later(number)?));
        if in_flight.len() == load.in_flight
            && let Some((number, pending)) = in_flight.pop_front()
        {
            noop_answered(number, pending)?;
        }
    }
    in_flight
        .into_iter()
        .try_for_each(|(number, pending)| noop_answered(number, pending))
}

/// Connects so many times and makes one call on each connection.
fn connect_often(args: &WorkerArgs, times: u64, destroy: bool) -> Result<Samples> {
    let mut connected = Recorder::new()?;
    let mut called = Recorder::new()?;
    let before = Usage::now()?;
    let begin = Instant::now();
    for number in 0..times {
        let start = Instant::now();
        let client = connect(args)?;
        let up = start.elapsed();
        noop(&client, number)?;
        let answered = start.elapsed();
        drop(client);
        connected.record(if destroy { start.elapsed() } else { up });
        called.record(answered);
    }
    let elapsed = begin.elapsed();
    let used = Usage::now()?.since(before);
    Ok(connected
        .samples(elapsed, used)
        .with_first_call(called.p50_ns()))
}
