//! A process that is told what to do and answers, line by line.

use std::io::BufReader;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nowire_bench_harness::control::{hear, say};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A running process; it ends when this is dropped.
pub(crate) struct Process {
    name: String,
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts it; `name` is what errors call it.
    pub(crate) fn start(name: String, mut command: Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting the {name}"))?;
        let input = process.stdin.take();
        let output = process.stdout.take().context("a process without output")?;
        Ok(Self {
            name,
            process,
            input,
            output: BufReader::new(output),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn tell(&mut self, order: &impl Serialize) -> Result<()> {
        let input = self.input.as_mut().context("a process without input")?;
        say(input, order).with_context(|| format!("telling the {}", self.name))
    }

    /// Waits for its next answer.
    pub(crate) fn hear<A: DeserializeOwned>(&mut self) -> Result<A> {
        hear(&mut self.output)
            .with_context(|| format!("listening to the {}", self.name))?
            .with_context(|| format!("the {} ended before it answered", self.name))
    }

    /// Lets it end in its own time.
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

impl Drop for Process {
    fn drop(&mut self) {
        // It ends with its input; one that does not is ended, since a run must
        // leave no process behind.
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
