//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use nowire_bench_harness::cell::{Carrier, Case};
use nowire_bench_harness::worker::{Flavour, WorkerArgs};

use crate::refs::{RefsArgs, TierArgs};

#[derive(Debug, Parser)]
#[command(about = "Nowire's benchmarks, each beside its rivals in the same run")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// One tonic service over every carrier
    Grpc(RunArgs),
    /// Native calls, and what else there is for the same work
    Native(RunArgs),
    /// Instructions that a native call takes on either side, counted by valgrind
    Instructions(InstructionsArgs),
    /// Large data passed on from service to service, by value and by reference
    Refs(RefsArgs),
    /// One of the processes being measured
    #[command(hide = true)]
    Worker(WorkerArgs),
    /// One of the processes data is passed through
    #[command(hide = true)]
    Tier(TierArgs),
    /// One of the processes of the image service
    #[command(hide = true)]
    ImageTier(nowire_imagepipe::tier::TierArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Also write the rows to this file, as a JSON list
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Fewer and shorter rounds: under a minute in all
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only this case (may be repeated)
    #[arg(long, value_name = "CASE")]
    pub(crate) only: Vec<Case>,
    /// Only this carrier (may be repeated)
    #[arg(long)]
    pub(crate) carrier: Vec<Carrier>,
    /// Only this payload size in bytes (may be repeated)
    #[arg(long)]
    pub(crate) bytes: Vec<usize>,
    /// The tokio flavour of clients and servers
    #[arg(long, value_enum, default_value_t = Flavour::Current)]
    pub(crate) runtime: Flavour,
    /// Tell glibc to keep freed memory, which shows what its page faults cost
    #[arg(long)]
    pub(crate) keep_memory: bool,
}

impl RunArgs {
    /// Whether this carrier was asked for, or none in particular.
    pub(crate) fn wants(&self, carrier: Carrier) -> bool {
        self.carrier.is_empty() || self.carrier.contains(&carrier)
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct InstructionsArgs {
    /// Also write the counts to this file, as a JSON list
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Calls of the shorter of the two runs whose difference counts
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) calls: u64,
}
