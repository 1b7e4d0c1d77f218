//! The side that answers.

use std::collections::HashMap;
use std::os::unix::net::UnixListener;

use anyhow::{Context, Result, bail};
use iceoryx2::node::Node;
use iceoryx2::port::server::Server;
use iceoryx2::prelude::ipc;
use nowire_bench_harness::cell::{Case, Load};
use nowire_bench_harness::control::{Answer, Order};
use nowire_bench_harness::mark::sum;
use nowire_bench_harness::process::{Memory, Usage};
use nowire_bench_harness::timing::spin_until;
use nowire_bench_harness::worker::{answer, listen};

use super::OVER;
use crate::meeting::Asked;

/// Serves its client until that has gone.
pub(crate) fn main(path: &str) -> Result<()> {
    let listener = UnixListener::bind(path).with_context(|| format!("listening on {path}"))?;
    listen(|order| {
        let said = match order {
            Order::Usage => Usage::now().map(Answer::Usage),
            Order::Memory => Memory::now().map(Answer::Memory),
            other => Ok(Answer::Failed(format!("a server cannot do {other:?}"))),
        };
        said.and_then(|said| answer(&said)).is_ok()
    });
    answer(&Answer::Ready {
        address: path.into(),
    })?;
    let mut asked = Asked::accept(&listener)?;
    let node = super::node()?;
    let mut ports = Ports {
        node,
        path: path.into(),
        numbers: HashMap::new(),
        bytes: HashMap::new(),
    };
    while let Some(load) = asked.next()? {
        match load.case {
            Case::Noop | Case::Connect => answer_numbers(&mut asked, ports.numbers(load)?)?,
            Case::Write => answer_bytes(&mut asked, ports.bytes(load)?)?,
            other => bail!("there is no {other} for iceoryx2"),
        }
    }
    Ok(())
}

type Numbers = Server<ipc::Service, u64, (), u64, ()>;
type Bytes = Server<ipc::Service, [u8], (), u64, ()>;

/// What was opened stays open: a later round finds its memory touched.
struct Ports {
    node: Node<ipc::Service>,
    path: String,
    numbers: HashMap<usize, Numbers>,
    bytes: HashMap<usize, Bytes>,
}

impl Ports {
    fn numbers(&mut self, load: Load) -> Result<&Numbers> {
        if !self.numbers.contains_key(&load.in_flight) {
            let server = super::numbers(&self.node, &self.path, load)?
                .server_builder()
                .max_loaned_responses_per_request(1)
                .create()?;
            self.numbers.insert(load.in_flight, server);
        }
        self.numbers.get(&load.in_flight).context("just opened")
    }

    fn bytes(&mut self, load: Load) -> Result<&Bytes> {
        if !self.bytes.contains_key(&load.in_flight) {
            let server = super::bytes(&self.node, &self.path, load)?
                .server_builder()
                .max_loaned_responses_per_request(1)
                .create()?;
            self.bytes.insert(load.in_flight, server);
        }
        self.bytes.get(&load.in_flight).context("just opened")
    }
}

fn answer_numbers(asked: &mut Asked, server: &Numbers) -> Result<()> {
    asked.ready()?;
    loop {
        let request = spin_until(|| Ok(server.receive()?))?;
        let number = *request.payload();
        request.loan_uninit()?.write_payload(number).send()?;
        if number == OVER {
            return Ok(());
        }
    }
}

fn answer_bytes(asked: &mut Asked, server: &Bytes) -> Result<()> {
    asked.ready()?;
    loop {
        let request = spin_until(|| Ok(server.receive()?))?;
        let payload = request.payload();
        let over = payload.len() == 1;
        request.loan_uninit()?.write_payload(sum(payload)).send()?;
        if over {
            return Ok(());
        }
    }
}
