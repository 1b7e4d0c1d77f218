//! The tiers of one carrier as the program that starts them sees them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use nowire_bench_harness::cell::{Carrier, Wait};
use nowire_bench_harness::machine::Cores;
use nowire_bench_harness::process::Usage;
use nowire_bench_harness::samples::Samples;

use super::args::Place;
use super::orders::{Answer, Order, Spent, Task};
use crate::process::Process;

/// Services of the longest chain.
pub(crate) const LONGEST: usize = 7;

/// What all tiers of a run have in common.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) cores: Cores,
    pub(crate) wait: Wait,
    pub(crate) refer_from: Option<usize>,
    pub(crate) trust: bool,
    /// Where sockets are made.
    pub(crate) dir: &'a Path,
}

/// How tiers are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// So many services, each of which calls the next.
    Chain(usize),
    /// The first calls the other two in turn.
    Balancer,
}

impl Shape {
    fn services(self) -> usize {
        match self {
            Self::Chain(services) => services,
            Self::Balancer => 3,
        }
    }

    /// Whether the service at this distance from the client calls others.
    fn calls_others(self, distance: usize) -> bool {
        match self {
            Self::Chain(services) => distance < services,
            Self::Balancer => distance == 1,
        }
    }
}

impl Setting<'_> {
    /// The core of the tier at this distance from the client.
    pub(crate) fn core(&self, place: Place, shape: Shape, distance: usize) -> usize {
        let Cores { client, server } = self.cores;
        let second = match place {
            Place::Alternate => distance % 2 == 1,
            Place::Apart => distance > 0 && shape.calls_others(distance),
            Place::Halves => distance > shape.services() / 2,
            Place::One => false,
        };
        if second { server } else { client }
    }

    /// Where the service at this distance listens, of the line with this number.
    fn address(&self, carrier: Carrier, line: usize, distance: usize) -> String {
        let name = format!("{carrier}-{line}-{distance}");
        match carrier {
            Carrier::Floor | Carrier::Unix => {
                let path = self.dir.join(format!("{name}.sock"));
                path.to_string_lossy().into_owned()
            }
            _ => format!("nowire:{name}"),
        }
    }

    fn tier(
        &self,
        carrier: Carrier,
        role: &str,
        core: usize,
        address: &str,
        next: &[&str],
    ) -> Result<Tier> {
        let name = format!("{carrier} {role} {address}");
        let mut command = Command::new(std::env::current_exe().context("finding this program")?);
        command
            .arg("tier")
            .args(["--role", role])
            .args(["--carrier", &carrier.to_string()])
            .arg(format!("--wait={}", self.wait))
            .args(["--core", &core.to_string()])
            .args(["--address", address])
            .env("NOWIRE_RUNTIME_DIR", self.dir);
        if let Some(bytes) = self.refer_from {
            command.args(["--refer-from", &bytes.to_string()]);
        }
        if self.trust {
            command.arg("--trust");
        }
        for next in next {
            command.args(["--next", next]);
        }
        let mut process = Process::start(name, command)?;
        match process.hear()? {
            Answer::Ready { address } => Ok(Tier { process, address }),
            Answer::Failed(why) => bail!("the {} failed: {why}", process.name()),
            other => bail!("the {} began with {other:?}", process.name()),
        }
    }
}

/// A client and the services it calls through the first of them.
pub(crate) struct Line {
    // Goes first: a service that loses its client is an ordinary end.
    client: Tier,
    /// Who is called before whom.
    services: Vec<Tier>,
}

/// What the services used in a round, in the order in which they are called.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used(Vec<Spent>);

impl Used {
    /// All of them together.
    pub(crate) fn all(&self) -> Usage {
        self.0
            .iter()
            .fold(Usage::default(), |sum, spent| sum.plus(spent.usage))
    }

    /// The first so many of them together, the first's calls counting once.
    pub(crate) fn first(&self, services: usize) -> Spent {
        let mut sum = self.0.first().copied().unwrap_or_default();
        for spent in self.0.iter().take(services).skip(1) {
            sum.usage = sum.usage.plus(spent.usage);
            sum.data_bytes += spent.data_bytes;
        }
        sum
    }
}

impl Line {
    /// Starts its processes; no other of the run has this number.
    pub(crate) fn start(
        setting: &Setting<'_>,
        carrier: Carrier,
        shape: Shape,
        place: Place,
        number: usize,
    ) -> Result<Self> {
        let mut services: Vec<Tier> = Vec::new();
        // The last is started first: who calls it connects at once.
        for distance in (1..=shape.services()).rev() {
            let called = match (shape, distance) {
                (Shape::Chain(_), _) => 1,
                (Shape::Balancer, 1) => services.len(),
                (Shape::Balancer, _) => 0,
            };
            let next: Vec<&str> = services[..called.min(services.len())]
                .iter()
                .map(|tier| tier.address.as_str())
                .collect();
            let address = setting.address(carrier, number, distance);
            let core = setting.core(place, shape, distance);
            let tier = setting.tier(carrier, "server", core, &address, &next)?;
            services.insert(0, tier);
        }
        let next: Vec<&str> = services.first().map_or(vec![], |tier| vec![&tier.address]);
        let client = setting.tier(carrier, "client", setting.core(place, shape, 0), "", &next)?;
        Ok(Self { client, services })
    }

    /// One carrier's turn.
    pub(crate) fn round(&mut self, task: Task, for_ms: u64) -> Result<(Samples, Used)> {
        let before = self.spent()?;
        let samples = match self.client.ask(Order::Run { task, for_ms })? {
            Answer::Samples(samples) => samples,
            other => bail!("a client answered {other:?} to calls"),
        };
        let after = self.spent()?.into_iter().zip(before);
        let used = Used(after.map(|(after, before)| after.since(before)).collect());
        Ok((samples, used))
    }

    fn spent(&mut self) -> Result<Vec<Spent>> {
        let ask = |tier: &mut Tier| match tier.ask(Order::Spent)? {
            Answer::Spent(spent) => Ok(spent),
            other => bail!("a service answered {other:?} for what it spent"),
        };
        self.services.iter_mut().map(ask).collect()
    }
}

struct Tier {
    process: Process,
    address: String,
}

impl Tier {
    fn ask(&mut self, order: Order) -> Result<Answer> {
        self.process.tell(&order)?;
        match self.process.hear()? {
            Answer::Failed(why) => bail!("the {} failed: {why}", self.process.name()),
            answer => Ok(answer),
        }
    }
}
