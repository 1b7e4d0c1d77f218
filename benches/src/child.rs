//! A worker as the program that started it sees it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nowire_bench_harness::cell::{Carrier, Party};
use nowire_bench_harness::control::{Answer, Order};
use nowire_bench_harness::process::{Memory, Usage};
use nowire_bench_harness::samples::Samples;
use nowire_bench_harness::worker::{Flavour, Role};

use crate::process::Process;

/// What all workers of a run have in common.
pub(crate) struct Setting<'a> {
    pub(crate) runtime: Flavour,
    pub(crate) keep_memory: bool,
    /// Where sockets are made.
    pub(crate) dir: &'a Path,
    /// The program of the rivals that are not part of this one.
    pub(crate) rivals: Option<&'a Path>,
}

impl Setting<'_> {
    fn program(&self, carrier: Carrier) -> Result<PathBuf> {
        match carrier {
            Carrier::Iceoryx2 => self
                .rivals
                .map(Path::to_path_buf)
                .context("the rivals are not built"),
            _ => std::env::current_exe().context("finding this program"),
        }
    }
}

/// A running worker; it ends when this is dropped.
pub(crate) struct Worker {
    process: Process,
    address: String,
}

impl Worker {
    /// Starts a program as one side of a party, and waits until it is ready.
    pub(crate) fn start(
        setting: &Setting<'_>,
        party: Party,
        role: Role,
        core: usize,
        address: &str,
    ) -> Result<Self> {
        let command = Command::new(setting.program(party.carrier)?);
        Self::start_with(command, setting, party, role, core, address)
    }

    /// The same with a program that something else runs: `command` lacks only
    /// what a worker is told.
    pub(crate) fn start_with(
        mut command: Command,
        setting: &Setting<'_>,
        party: Party,
        role: Role,
        core: usize,
        address: &str,
    ) -> Result<Self> {
        let name = format!("{party} {role:?}").to_lowercase();
        command
            .arg("worker")
            .args(["--role", &format!("{role:?}").to_lowercase()])
            .args(["--carrier", &party.carrier.to_string()])
            .arg(format!("--wait={}", party.wait))
            .args([
                "--runtime",
                &format!("{:?}", setting.runtime).to_lowercase(),
            ])
            .args(["--core", &core.to_string()])
            .args(["--address", address])
            .env("NOWIRE_RUNTIME_DIR", setting.dir);
        if setting.keep_memory {
            command
                .env("MALLOC_TRIM_THRESHOLD_", "1073741824")
                .env("MALLOC_MMAP_THRESHOLD_", "1073741824")
                .env("MALLOC_TOP_PAD_", "67108864");
        }
        let mut worker = Self {
            process: Process::start(name, command)?,
            address: String::new(),
        };
        match worker.answer()? {
            Answer::Ready { address } => worker.address = address,
            other => bail!("the {} began with {other:?}", worker.process.name()),
        }
        Ok(worker)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn answer(&mut self) -> Result<Answer> {
        match self.process.hear()? {
            Answer::Failed(why) => bail!("the {} failed: {why}", self.process.name()),
            answer => Ok(answer),
        }
    }

    fn ask(&mut self, order: &Order) -> Result<Answer> {
        self.process.tell(order)?;
        self.answer()
    }

    pub(crate) fn tell(&mut self, order: &Order) -> Result<()> {
        match self.ask(order)? {
            Answer::Done => Ok(()),
            other => bail!(
                "the {} answered {other:?} to {order:?}",
                self.process.name()
            ),
        }
    }

    pub(crate) fn samples(&mut self, order: &Order) -> Result<Samples> {
        match self.ask(order)? {
            Answer::Samples(samples) => Ok(samples),
            other => bail!(
                "the {} answered {other:?} to {order:?}",
                self.process.name()
            ),
        }
    }

    pub(crate) fn usage(&mut self) -> Result<Usage> {
        match self.ask(&Order::Usage)? {
            Answer::Usage(usage) => Ok(usage),
            other => bail!(
                "the {} answered {other:?} for its usage",
                self.process.name()
            ),
        }
    }

    pub(crate) fn memory(&mut self) -> Result<Memory> {
        match self.ask(&Order::Memory)? {
            Answer::Memory(memory) => Ok(memory),
            other => bail!(
                "the {} answered {other:?} for its memory",
                self.process.name()
            ),
        }
    }

    /// Lets it end in its own time, which under valgrind is long.
    pub(crate) fn finish(self) -> Result<()> {
        self.process.finish()
    }
}
