//! The server as the program that started it sees it.

use std::io::BufReader;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nowire_bench_harness::control::{Answer, Order, hear, say};
use nowire_bench_harness::process::Usage;

use crate::args::Carrier;

/// A running server; it ends when this is dropped.
pub(crate) struct Server {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    /// Starts this program again as the server for a carrier, and waits until it
    /// listens.
    pub(crate) fn start(carrier: Carrier, dir: &Path, core: usize) -> Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut process = Command::new(program)
            .arg("serve")
            .args(["--carrier", &carrier.to_string()])
            .arg("--dir")
            .arg(dir)
            .args(["--core", &core.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the server")?;
        let input = process.stdin.take();
        let output = process.stdout.take().context("a server without output")?;
        let mut server = Self {
            process,
            input,
            output: BufReader::new(output),
            address: String::new(),
        };
        match server.answer()? {
            Answer::Ready { address } => server.address = address,
            other => bail!("the server began with {other:?}"),
        }
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What it has used so far.
    pub(crate) fn usage(&mut self) -> Result<Usage> {
        let input = self.input.as_mut().context("a server without input")?;
        say(input, &Order::Usage).context("asking the server")?;
        match self.answer()? {
            Answer::Usage(usage) => Ok(usage),
            other => bail!("the server answered {other:?} for its usage"),
        }
    }

    fn answer(&mut self) -> Result<Answer> {
        match hear(&mut self.output)? {
            Some(Answer::Failed(why)) => bail!("the server failed: {why}"),
            Some(answer) => Ok(answer),
            None => bail!("the server ended before it answered"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends with its input; one that does not is ended, since a run must
        // leave no process behind.
        self.input.take();
        for _ in 0..200 {
            if matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
