//! A client and its server, taking their turn.

use anyhow::Result;
use nowire_bench_harness::cell::{Carrier, Case, Load, Party};
use nowire_bench_harness::control::Order;
use nowire_bench_harness::machine::Cores;
use nowire_bench_harness::process::{Memory, Usage};
use nowire_bench_harness::samples::Samples;
use nowire_bench_harness::worker::Role;

use crate::child::{Setting, Worker};
use crate::plan::Pace;
use crate::row::{Idle, Row};

/// A client and, unless it is its own, its server.
pub(crate) struct Pair {
    // The client goes first: a server that loses its clients is an ordinary end.
    client: Worker,
    server: Option<Worker>,
}

impl Pair {
    pub(crate) fn start(
        setting: &Setting<'_>,
        cores: Cores,
        party: Party,
        purpose: &str,
    ) -> Result<Self> {
        let Party { carrier, wait } = party;
        let socket = setting.dir.join(format!("{carrier}-{wait}-{purpose}.sock"));
        let place = match carrier {
            Carrier::Nowire => format!("nowire:bench-{wait}-{purpose}"),
            carrier if carrier.is_native() => format!("bench-{carrier}-{wait}-{purpose}"),
            _ => socket.to_string_lossy().into_owned(),
        };
        let server = match carrier {
            Carrier::Inprocess | Carrier::Memcpy => None,
            _ => Some(Worker::start(
                setting,
                party,
                Role::Server,
                cores.server,
                &place,
            )?),
        };
        let address = server.as_ref().map_or("", |server| server.address());
        let client = Worker::start(setting, party, Role::Client, cores.client, address)?;
        Ok(Self { client, server })
    }

    /// One party's turn; the second figure is what the server used.
    pub(crate) fn round(&mut self, load: Load, pace: Pace) -> Result<(Samples, Usage)> {
        self.client.samples(&order(load, 3, pace.warm_ms))?;
        let before = self.server_usage()?;
        let round = self
            .client
            .samples(&order(load, pace.connects, pace.run_ms(load.case)))?;
        Ok((round, self.server_usage()?.since(before)))
    }

    fn server_usage(&mut self) -> Result<Usage> {
        self.server
            .as_mut()
            .map_or(Ok(Usage::default()), Worker::usage)
    }

    fn memory(&mut self) -> Result<(u64, u64)> {
        let client = self.client.memory()?;
        let server = match &mut self.server {
            Some(server) => server.memory()?,
            None => Memory::default(),
        };
        Ok((
            Memory::shared_bytes(&[&client, &server]),
            client.private_bytes + server.private_bytes,
        ))
    }

    fn usage(&mut self) -> Result<Usage> {
        Ok(self.client.usage()?.plus(self.server_usage()?))
    }

    pub(crate) fn idle(&mut self, party: Party, pace: Pace) -> Result<Row> {
        let connections = pace.idle_connections;
        let (shared_before, private_before) = self.memory()?;
        self.client.tell(&Order::Open { connections })?;
        // What follows the last call on a connection is not idleness yet.
        self.client.tell(&Order::Rest { for_ms: 200 })?;
        let (shared, private) = self.memory()?;
        let before = self.usage()?;
        self.client.tell(&Order::Rest {
            for_ms: pace.idle_ms,
        })?;
        let cpu_s = self.usage()?.since(before).cpu_ns as f64 / 1e9;
        self.client.tell(&Order::Close)?;
        let idle_s = pace.idle_ms as f64 / 1e3;
        let each = |after: u64, before: u64| after.saturating_sub(before) / connections as u64;
        Ok(Row::of_idle(
            party,
            connections,
            cpu_s,
            Idle {
                idle_s,
                cpu_share: cpu_s / idle_s,
                shared_bytes_per_connection: each(shared, shared_before),
                private_bytes_per_connection: each(private, private_before),
            },
        ))
    }
}

/// What a client is told: connections are counted, calls are timed.
fn order(load: Load, connects: u64, for_ms: u64) -> Order {
    match load.case {
        Case::Connect | Case::Channel => Order::Connect {
            times: connects,
            destroy: load.case == Case::Channel,
        },
        _ => Order::Run { load, for_ms },
    }
}
