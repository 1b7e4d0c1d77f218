//! Nowire's benchmarks, each beside its rivals in the same run.
//!
//! `grpc` measures one tonic service over every carrier, `native` calls without
//! encoding beside what else there is, `refs` large data that is passed on from
//! service to service. The program starts itself again as the
//! processes to be measured: one client and one server for each carrier, the
//! clients on one core, the servers on another. Rivals with dependencies of
//! their own are a program of their own, built when it is needed.
#![forbid(unsafe_code)]

mod args;
mod ask;
mod child;
mod client;
mod dial;
mod exchange;
mod floor;
mod goals;
mod inprocess;
mod instructions;
mod measure;
mod native_client;
mod native_service;
mod pair;
mod plan;
mod process;
mod refs;
mod report;
mod rivals;
mod row;
mod run;
mod sealing;
mod server;
mod table;
mod table1;
mod tree;
mod worker;

use anyhow::Result;
use args::{Args, Command};
use clap::Parser;

fn main() -> Result<()> {
    match Args::parse().command {
        Command::Grpc(args) => run::grpc(&args),
        Command::Native(args) => run::native(&args),
        Command::Instructions(args) => instructions::main(&args),
        Command::Refs(args) => refs::main(&args),
        Command::Worker(args) => worker::main(&args),
        Command::Tier(args) => refs::tier(&args),
        Command::ImageTier(args) => nowire_imagepipe::tier::main(&args),
    }
}
