//! `nowire demo`: RouteGuide between two processes, over every carrier.

pub mod child;
pub mod client;
pub mod digest;
pub mod kind;
pub mod message;
pub mod placement;
pub mod report;
pub mod transport;
pub mod verdict;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use self::child::{Child, PrivateDir, die_with};
use self::message::{Findings, FromClient, FromServer, hear, say};
use self::placement::{Placement, stay_on};
use self::report::Report;
use self::transport::Addresses;
use crate::terminal::{self, Terminal};

/// Name of the hidden subcommand that is the server process.
pub const SERVER: &str = "demo-server";
/// Name of the hidden subcommand that is the client process.
pub const CLIENT: &str = "demo-client";

/// A child that says nothing for so long is given up; one step of a slow
/// machine's measurement takes a few seconds at most.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What `nowire demo` can be told.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Calls of each kind over each carrier, once one at a time and once many at once
    ///
    /// More calls give steadier figures; the time they take grows with them.
    #[arg(long, value_name = "N", default_value_t = 3000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub calls: u32,

    /// Also write the figures to FILE, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// No colours, no progress, nothing but ASCII (the default when piped)
    #[arg(long)]
    pub plain: bool,
}

/// What the hidden server subcommand is told.
#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// Process to die with
    #[arg(long)]
    parent: u32,
    /// Core to stay on
    #[arg(long)]
    core: Option<usize>,
    /// Path of the Unix socket
    #[arg(long)]
    unix: PathBuf,
}

/// What the hidden client subcommand is told.
#[derive(Debug, Clone, Args)]
pub struct ClientArgs {
    /// Process to die with
    #[arg(long)]
    parent: u32,
    /// Core to stay on
    #[arg(long)]
    core: Option<usize>,
    /// Calls of each kind over each carrier
    #[arg(long)]
    calls: usize,
    /// The server's addresses, as JSON
    #[arg(long)]
    server: String,
}

/// Runs the demonstration and prints what it found.
///
/// # Errors
/// If a process fails or falls silent, a call fails, the answers differ
/// between carriers, or a signal asks to stop.
pub async fn run(args: &DemoArgs) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    // Whichever comes first, the other branch's children die as it is dropped.
    tokio::select! {
        result = run_to_the_end(args) => result,
        _ = interrupt.recv() => Err(Stopped(SignalKind::interrupt()).into()),
        _ = terminate.recv() => Err(Stopped(SignalKind::terminate()).into()),
        _ = hang_up.recv() => Err(Stopped(SignalKind::hangup()).into()),
    }
}

/// A signal asked the demonstration to stop, and it did.
#[derive(Debug, Error)]
#[error("stopped by signal {}; server and client are stopped, too", .0.as_raw_value())]
pub struct Stopped(SignalKind);

impl Stopped {
    /// What a shell expects of a program that a signal stopped.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        u8::try_from(self.0.as_raw_value()).map_or(u8::MAX, |signal| signal.saturating_add(128))
    }
}

async fn run_to_the_end(args: &DemoArgs) -> anyhow::Result<()> {
    let terminal = Terminal::detect(args.plain);
    let placement = Placement::choose()?;
    terminal::print(&report::opening(&terminal, placement, args.calls))?;

    let started = Instant::now();
    let findings = measure(args, placement).await?;
    let report = Report {
        placement,
        calls: args.calls,
        elapsed: started.elapsed(),
        findings,
    };
    if let Some(file) = &args.json {
        std::fs::write(file, report.json()?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    verdict::require_equal_answers(&report.findings)?;
    terminal::print(&report.text(&terminal))?;
    Ok(())
}

/// Starts both processes and waits for what the client finds out.
async fn measure(args: &DemoArgs, placement: Placement) -> anyhow::Result<Findings> {
    let (server_core, client_core) = match placement {
        Placement::Separate { server, client, .. } => (Some(server), Some(client)),
        Placement::Shared => (None, None),
    };
    let dir = PrivateDir::create()?;
    let mut server = Child::spawn(SERVER, &dir, |command| {
        command.arg("--unix").arg(dir.path().join("guide.sock"));
        command.args(server_core.map(|core| format!("--core={core}")));
    })?;
    let addresses: FromServer = hear(&next_line(&mut server).await?)?;
    let mut client = Child::spawn(CLIENT, &dir, |command| {
        command.arg("--calls").arg(args.calls.to_string());
        command.args(client_core.map(|core| format!("--core={core}")));
        command.arg("--server");
        command.arg(serde_json::to_string(&addresses).unwrap_or_default());
    })?;
    let progress = progress_bar(args.plain);
    let mut step = "connecting".to_owned();
    loop {
        let line = next_line(&mut client).await;
        match hear(&line.with_context(|| complaint_of(&server, &step))?)? {
            FromClient::Progress {
                done,
                total,
                kind,
                carrier,
            } => {
                progress.set_length(total);
                progress.set_position(done);
                step = format!("{} over {carrier}", kind.method());
                progress.set_message(step.clone());
            }
            FromClient::Finished(findings) => {
                return Ok(findings);
            }
        }
    }
}

async fn next_line(child: &mut Child) -> anyhow::Result<String> {
    match tokio::time::timeout(SILENCE_MAX, child.line()).await {
        Ok(line) => line,
        Err(_) => bail!(
            "the {} process said nothing for {} s and was stopped; its last words:\n{}",
            child.role(),
            SILENCE_MAX.as_secs(),
            child.last_words()
        ),
    }
}

fn complaint_of(server: &Child, step: &str) -> String {
    match server.last_words().as_str() {
        "" => format!("the demonstration broke off at {step}"),
        words => {
            format!("the demonstration broke off at {step}; the server process said:\n{words}")
        }
    }
}

fn progress_bar(plain: bool) -> ProgressBar {
    let visible = !plain && std::io::stderr().is_terminal() && std::io::stdout().is_terminal();
    let target = if visible {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    // Whatever ends the measurement, the line gives way to what is printed then.
    let bar = ProgressBar::with_draw_target(None, target).with_finish(ProgressFinish::AndClear);
    let style = ProgressStyle::with_template("  {msg:25} {bar:40.green} {percent:>3} %  {elapsed}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// The server process.
///
/// # Errors
/// If it cannot listen, or its parent is gone.
pub async fn serve(args: &ServerArgs) -> anyhow::Result<()> {
    settle(args.parent, args.core)?;
    transport::serve(&args.unix, |addresses| Ok(say::<FromServer>(addresses)?)).await
}

/// The client process.
///
/// # Errors
/// If a connection or a call fails, or its parent is gone.
pub async fn call(args: &ClientArgs) -> anyhow::Result<()> {
    settle(args.parent, args.core)?;
    let addresses: Addresses = hear(&args.server).context("--server is no address")?;
    client::run(&addresses, args.calls).await
}

fn settle(parent: u32, core: Option<usize>) -> anyhow::Result<()> {
    die_with(parent)?;
    if let Some(core) = core {
        stay_on(core).with_context(|| format!("cannot stay on core {core}"))?;
    }
    Ok(())
}
