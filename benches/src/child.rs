//! A worker as the program that started it sees it.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nowire_bench_harness::cell::{Carrier, Party};
use nowire_bench_harness::control::{Answer, Order, hear, say};
use nowire_bench_harness::process::{Memory, Usage};
use nowire_bench_harness::samples::Samples;
use nowire_bench_harness::worker::{Flavour, Role};

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
    name: String,
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
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
            .env("NOWIRE_RUNTIME_DIR", setting.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if setting.keep_memory {
            command
                .env("MALLOC_TRIM_THRESHOLD_", "1073741824")
                .env("MALLOC_MMAP_THRESHOLD_", "1073741824")
                .env("MALLOC_TOP_PAD_", "67108864");
        }
        let mut process = command
            .spawn()
            .with_context(|| format!("starting the {name}"))?;
        let input = process.stdin.take();
        let output = process.stdout.take().context("a worker without output")?;
        let mut worker = Self {
            name,
            process,
            input,
            output: BufReader::new(output),
            address: String::new(),
        };
        match worker.answer()? {
            Answer::Ready { address } => worker.address = address,
            other => bail!("the {} began with {other:?}", worker.name),
        }
        Ok(worker)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn answer(&mut self) -> Result<Answer> {
        match hear(&mut self.output)? {
            Some(Answer::Failed(why)) => bail!("the {} failed: {why}", self.name),
            Some(answer) => Ok(answer),
            None => bail!("the {} ended before it answered", self.name),
        }
    }

    fn ask(&mut self, order: &Order) -> Result<Answer> {
        let input = self.input.as_mut().context("a worker without input")?;
        say(input, order).with_context(|| format!("telling the {}", self.name))?;
        self.answer()
    }

    pub(crate) fn tell(&mut self, order: &Order) -> Result<()> {
        match self.ask(order)? {
            Answer::Done => Ok(()),
            other => bail!("the {} answered {other:?} to {order:?}", self.name),
        }
    }

    pub(crate) fn samples(&mut self, order: &Order) -> Result<Samples> {
        match self.ask(order)? {
            Answer::Samples(samples) => Ok(samples),
            other => bail!("the {} answered {other:?} to {order:?}", self.name),
        }
    }

    pub(crate) fn usage(&mut self) -> Result<Usage> {
        match self.ask(&Order::Usage)? {
            Answer::Usage(usage) => Ok(usage),
            other => bail!("the {} answered {other:?} for its usage", self.name),
        }
    }

    pub(crate) fn memory(&mut self) -> Result<Memory> {
        match self.ask(&Order::Memory)? {
            Answer::Memory(memory) => Ok(memory),
            other => bail!("the {} answered {other:?} for its memory", self.name),
        }
    }

    /// Lets it end in its own time, which under valgrind is long.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.input.take();
        for _ in 0..600 {
            if self.process.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("the {} does not end", self.name)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A worker ends with its input; one that does not is ended, since a run
        // must leave no process behind.
        self.input.take();
        for _ in 0..100 {
            if matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
