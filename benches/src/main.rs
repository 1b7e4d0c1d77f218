//! Nowire's benchmarks, each beside its rivals in the same run.
//!
//! `grpc` measures one tonic service over every carrier. The program starts
//! itself again as the processes to be measured: one client and one server for
//! each carrier, the clients on one core, the servers on another.
#![forbid(unsafe_code)]

mod args;
mod cell;
mod child;
mod client;
mod control;
mod dial;
mod exchange;
mod floor;
mod goals;
mod inprocess;
mod machine;
mod measure;
mod plan;
mod process;
mod report;
mod row;
mod run;
mod samples;
mod server;
mod table;
mod worker;

use anyhow::Result;
use args::{Args, Command};
use clap::Parser;

fn main() -> Result<()> {
    match Args::parse().command {
        Command::Grpc(args) => run::grpc(&args),
        Command::Worker(args) => worker::main(&args),
    }
}
