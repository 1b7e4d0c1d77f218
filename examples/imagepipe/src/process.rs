//! A tier as the program that started it sees it.

use std::ffi::OsString;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nowire_bench_harness::control::{Answer, Order, hear, say};
use nowire_bench_harness::process::Usage;

use crate::carrier::Carrier;
use crate::placement::Placement;
use crate::tier::{TOKEN_VARIABLE, Tier};

/// How to start a tier: a program that hands what follows `arguments` to
/// [`TierArgs`](crate::tier::TierArgs) and those to [`tier::main`](crate::tier::main).
#[derive(Clone, Debug)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// What it is told before the tier's own arguments.
    pub arguments: Vec<OsString>,
}

impl Program {
    /// This program, if it serves as a tier after the word `tier`.
    ///
    /// # Errors
    /// If it does not know where it is.
    pub fn this() -> Result<Self> {
        Ok(Self {
            path: std::env::current_exe().context("finding this program")?,
            arguments: vec!["tier".into()],
        })
    }
}

/// A running tier; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct TierProcess {
    tier: Tier,
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl TierProcess {
    /// Starts a tier and waits until it listens.
    pub(crate) fn start(
        program: &Program,
        tier: Tier,
        carrier: Carrier,
        dir: &Path,
        token: &str,
        placement: Placement,
    ) -> Result<Self> {
        let mut command = Command::new(&program.path);
        command
            .args(&program.arguments)
            .args(["--tier", &tier.to_string()])
            .args(["--carrier", &carrier.to_string()])
            .arg("--dir")
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if tier == Tier::Firewall {
            // Not an argument, which everybody could see.
            command.env(TOKEN_VARIABLE, token);
        }
        if let Some(core) = placement.of(tier)? {
            command.args(["--core", &core.to_string()]);
        }
        let mut process = command
            .spawn()
            .with_context(|| format!("starting {} as the {tier}", program.path.display()))?;
        let input = process.stdin.take();
        let output = process.stdout.take().context("a tier without output")?;
        let mut started = Self {
            tier,
            process,
            input,
            output: BufReader::new(output),
        };
        match started.answer()? {
            Answer::Ready { .. } => Ok(started),
            other => bail!("the {tier} began with {other:?}"),
        }
    }

    pub(crate) fn tier(&self) -> Tier {
        self.tier
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has used so far.
    pub(crate) fn usage(&mut self) -> Result<Usage> {
        let tier = self.tier;
        let input = self.input.as_mut().context("a tier without input")?;
        say(input, &Order::Usage).with_context(|| format!("asking the {tier}"))?;
        match self.answer()? {
            Answer::Usage(usage) => Ok(usage),
            other => bail!("the {tier} answered {other:?} for its usage"),
        }
    }

    fn answer(&mut self) -> Result<Answer> {
        let tier = self.tier;
        match hear(&mut self.output)? {
            Some(Answer::Failed(why)) => bail!("the {tier} failed: {why}"),
            Some(answer) => Ok(answer),
            None => bail!("the {tier} ended before it answered"),
        }
    }

    /// Lets it end, without waiting for it.
    pub(crate) fn end(&mut self) {
        self.input.take();
    }
}

impl Drop for TierProcess {
    fn drop(&mut self) {
        // It ends with its input; one that does not is ended, since a run must
        // leave no process behind.
        self.end();
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
