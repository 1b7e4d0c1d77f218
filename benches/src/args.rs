//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::cell::{Carrier, Case, Wait};

#[derive(Debug, Parser)]
#[command(about = "Nowire's benchmarks, each beside its rivals in the same run")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// One tonic service over every carrier
    Grpc(GrpcArgs),
    /// One of the processes being measured
    #[command(hide = true)]
    Worker(WorkerArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct GrpcArgs {
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

/// How the tokio runtime of a measured process is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Flavour {
    /// `new_current_thread`: everything on the thread that called.
    Current,
    /// `new_multi_thread` with tokio's own number of workers, all on one core.
    Multi,
}

impl Flavour {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Current => "current_thread",
            Self::Multi => "multi_thread",
        }
    }
}

/// Which half of a conversation a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Client,
    Server,
}

#[derive(Debug, clap::Args)]
pub(crate) struct WorkerArgs {
    #[arg(long, value_enum)]
    pub(crate) role: Role,
    #[arg(long, value_enum)]
    pub(crate) carrier: Carrier,
    #[arg(long, value_enum)]
    pub(crate) wait: Wait,
    #[arg(long, value_enum)]
    pub(crate) runtime: Flavour,
    /// The core to stay on
    #[arg(long)]
    pub(crate) core: Option<usize>,
    /// Where a server is to listen and a client to connect
    #[arg(long, default_value = "")]
    pub(crate) address: String,
}
