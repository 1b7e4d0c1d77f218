//! A worker as the program that started it sees it.

use std::io::BufReader;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::args::{Flavour, Role};
use crate::cell::Party;
use crate::control::{Answer, Order, hear, say};
use crate::process::{Memory, Usage};
use crate::samples::Samples;

/// What all workers of a run have in common.
pub(crate) struct Setting<'a> {
    pub(crate) runtime: Flavour,
    pub(crate) keep_memory: bool,
    /// Where sockets are made.
    pub(crate) dir: &'a Path,
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
    /// Starts this program again as one side of a party, and waits until it is
    /// ready.
    pub(crate) fn start(
        setting: &Setting<'_>,
        party: Party,
        role: Role,
        core: usize,
        address: &str,
    ) -> Result<Self> {
        let name = format!("{party} {role:?}").to_lowercase();
        let program = std::env::current_exe().context("finding this program")?;
        let mut command = Command::new(program);
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
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
