//! The side that asks.

use std::collections::HashMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use iceoryx2::node::Node;
use iceoryx2::pending_response::PendingResponse;
use iceoryx2::port::client::Client;
use iceoryx2::prelude::ipc;
use nowire_bench_harness::cell::{Case, Load};
use nowire_bench_harness::control::{Answer, Order};
use nowire_bench_harness::mark::sum_of_equal;
use nowire_bench_harness::process::{Memory, Usage};
use nowire_bench_harness::samples::{Recorder, Samples};
use nowire_bench_harness::timing::{one_by_one, pipelined, spin_until, timed};
use nowire_bench_harness::worker::{answer, listen};

use super::OVER;
use crate::meeting::Asking;

type Numbers = Client<ipc::Service, u64, (), u64, ()>;
type Bytes = Client<ipc::Service, [u8], (), u64, ()>;

/// Connects and makes the calls it is told to make.
pub(crate) fn main(path: &str) -> Result<()> {
    let (sender, orders) = mpsc::channel();
    listen(move |order| sender.send(order).is_ok());
    let mut side = Side {
        asking: Asking::connect(path)?,
        node: super::node()?,
        path: path.into(),
        numbers: HashMap::new(),
        bytes: HashMap::new(),
    };
    answer(&Answer::Ready {
        address: String::new(),
    })?;
    for order in orders {
        answer(&match order {
            Order::Usage => Answer::Usage(Usage::now()?),
            Order::Memory => Answer::Memory(Memory::now()?),
            Order::Run { load, for_ms } => {
                Answer::Samples(side.run(load, Duration::from_millis(for_ms))?)
            }
            Order::Connect { times, destroy } => Answer::Samples(side.connect(times, destroy)?),
            other => bail!("there is no {other:?} for iceoryx2"),
        })?;
    }
    Ok(())
}

struct Side {
    asking: Asking,
    node: Node<ipc::Service>,
    path: String,
    // What was opened stays open: a later round finds its memory touched.
    numbers: HashMap<usize, Numbers>,
    bytes: HashMap<usize, Bytes>,
}

impl Side {
    fn run(&mut self, load: Load, time: Duration) -> Result<Samples> {
        self.asking.announce(load)?;
        match load.case {
            Case::Noop => {
                if !self.numbers.contains_key(&load.in_flight) {
                    let service = super::numbers(&self.node, &self.path, load)?;
                    let client = service.client_builder().create()?;
                    self.numbers.insert(load.in_flight, client);
                }
                let client = self.numbers.get(&load.in_flight).context("just opened")?;
                let samples = if load.in_flight == 1 {
                    let mut number = 0;
                    one_by_one(time, || {
                        number += 1;
                        timed(|| collect(number, ask(client, number)?))
                    })?
                } else {
                    pipelined(load.in_flight, time, |number| ask(client, number), collect)?
                };
                collect(OVER, ask(client, OVER)?)?;
                Ok(samples)
            }
            Case::Write => {
                if !self.bytes.contains_key(&load.bytes) {
                    let service = super::bytes(&self.node, &self.path, load)?;
                    let client = service
                        .client_builder()
                        .initial_max_slice_len(load.bytes)
                        .create()?;
                    self.bytes.insert(load.bytes, client);
                }
                let client = self.bytes.get(&load.bytes).context("just opened")?;
                let mut turn = 0_u8;
                let samples = one_by_one(time, || {
                    turn = turn.wrapping_add(1);
                    write(client, load.bytes, turn)
                })?;
                write(client, 1, turn)?;
                Ok(samples)
            }
            other => bail!("there is no {other} for iceoryx2"),
        }
    }

    /// A connection is what a process would need: a node, the service, a port.
    fn connect(&mut self, times: u64, destroy: bool) -> Result<Samples> {
        let load = Load {
            case: Case::Connect,
            bytes: 0,
            in_flight: 1,
        };
        self.asking.announce(load)?;
        let mut connected = Recorder::new()?;
        let mut called = Recorder::new()?;
        let before = Usage::now()?;
        let begin = Instant::now();
        for number in 0..times {
            let start = Instant::now();
            let node = super::node()?;
            let client = super::numbers(&node, &self.path, load)?
                .client_builder()
                .create()?;
            let up = start.elapsed();
            collect(number, ask(&client, number)?)?;
            let answered = start.elapsed();
            drop(client);
            drop(node);
            connected.record(if destroy { start.elapsed() } else { up });
            called.record(answered);
        }
        let elapsed = begin.elapsed();
        let used = Usage::now()?.since(before);
        let client = super::numbers(&self.node, &self.path, load)?
            .client_builder()
            .create()?;
        collect(OVER, ask(&client, OVER)?)?;
        Ok(connected
            .samples(elapsed, used)
            .with_first_call(called.p50_ns()))
    }
}

type Pending = PendingResponse<ipc::Service, u64, (), u64, ()>;

fn ask(client: &Numbers, number: u64) -> Result<Pending> {
    Ok(client.loan_uninit()?.write_payload(number).send()?)
}

fn collect(number: u64, pending: Pending) -> Result<()> {
    let response = spin_until(|| Ok(pending.receive()?))?;
    ensure!(
        *response.payload() == number,
        "the answer to {number} is {}",
        response.payload()
    );
    Ok(())
}

/// Writes all bytes anew in loaned memory and sends them.
fn write(client: &Bytes, bytes: usize, turn: u8) -> Result<(Duration, Instant)> {
    let wanted = sum_of_equal(turn, bytes);
    timed(|| {
        let request = client.loan_slice_uninit(bytes)?;
        let pending = request.write_from_fn(|_| turn).send()?;
        let response = spin_until(|| Ok(pending.receive()?))?;
        ensure!(
            *response.payload() == wanted,
            "the server read other bytes than were written"
        );
        Ok(())
    })
}
