//! The command line: what can be asked, and what the exit code says.

use std::future::Future;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::demo::{self, ClientArgs, DemoArgs, ServerArgs, Stopped};
use crate::doctor::{self, DoctorArgs, Verdict};

const EXAMPLES: &str = "\
Examples:
  nowire demo                     see gRPC over TCP, a Unix socket and Nowire
  nowire doctor                   see what this machine offers

Exit code: 0 if all is well, 1 if not, 2 if the command line is wrong.";

const DEMO_EXAMPLES: &str = "\
Examples:
  nowire demo                     about ten seconds
  nowire demo --calls 30000       steadier figures, about two minutes
  nowire demo --json demo.json    the figures for a program, too
  nowire demo --plain | less      for a pager

Both processes run on this machine, are stopped whatever happens, and leave
nothing behind. Where there are two cores, each process is pinned to one.

Exit code: 0 if every call succeeded and all carriers brought the answers the
service gives, else 1.";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  nowire doctor                   a table
  nowire doctor --json            the same for a program

Nothing is changed: what can be tried is tried on memory that is given back.

Exit code: 0 if all that Nowire needs is there, else 1.";

/// RPC without the wire: services on one host call each other through shared memory.
#[derive(Debug, Parser)]
#[command(name = "nowire", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Call one service over TCP, a Unix socket and Nowire, and compare
    ///
    /// Starts a server and a client of gRPC's tutorial service, RouteGuide, as
    /// two processes, makes all four kinds of call over each carrier, checks
    /// that the answers are equal, and prints how long they took.
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(DemoArgs),
    /// Tell what this machine offers, and what Nowire uses of it
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    #[command(name = demo::SERVER, hide = true)]
    DemoServer(ServerArgs),
    #[command(name = demo::CLIENT, hide = true)]
    DemoClient(ClientArgs),
}

/// Does what the command line asks; the body of the `nowire` program.
#[must_use]
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo(args) => block_on(demo::run(&args)).map(|()| Verdict::Fit),
        Command::DemoServer(args) => block_on(demo::serve(&args)).map(|()| Verdict::Fit),
        Command::DemoClient(args) => block_on(demo::call(&args)).map(|()| Verdict::Fit),
        Command::Doctor(args) => block_on(doctor::run(&args)),
    };
    match result {
        Ok(Verdict::Fit) => ExitCode::SUCCESS,
        Ok(Verdict::Unfit) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("nowire: {error:#}");
            error
                .downcast_ref::<Stopped>()
                .map_or(ExitCode::FAILURE, |stopped| stopped.exit_code().into())
        }
    }
}

/// One thread does: each of the demonstration's processes has one core.
fn block_on<T>(task: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(task)
}
