//! Rivals of Nowire's benchmark whose dependencies are a burden of their own.
//!
//! `nowire-bench` builds and starts this program; by hand there is nothing to
//! do with it.
#![forbid(unsafe_code)]

mod iceoryx2;
mod meeting;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use nowire_bench_harness::cell::Carrier;
use nowire_bench_harness::control::Answer;
use nowire_bench_harness::machine;
use nowire_bench_harness::worker::{Role, WorkerArgs, answer};

#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One of the processes being measured
    Worker(WorkerArgs),
}

fn main() -> Result<()> {
    let Command::Worker(args) = Args::parse().command;
    let worked = work(&args);
    if let Err(error) = &worked {
        answer(&Answer::Failed(format!("{error:#}")))?;
    }
    worked
}

fn work(args: &WorkerArgs) -> Result<()> {
    if let Some(core) = args.core {
        machine::stay_on(core)?;
    }
    match (args.carrier, args.role) {
        (Carrier::Iceoryx2, Role::Client) => iceoryx2::client::main(&args.address),
        (Carrier::Iceoryx2, Role::Server) => iceoryx2::server::main(&args.address),
        (other, _) => bail!("{other} is not among the rivals here"),
    }
}
