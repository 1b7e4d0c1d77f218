//! The command line.

use std::fmt;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;

#[derive(Debug, Parser)]
#[command(about = "A JSON document store, filled and searched over each carrier in turn")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// How many documents to store
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    pub(crate) documents: u32,
    /// Documents that are handed over at a time
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=4000))]
    pub(crate) batch: u32,
    /// How many documents to read by each kind of key; searches are repeated as
    /// often as they are quick, the slowest a thousandth of it
    #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) reads: u32,
    /// How often to do it all, with new servers each time
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// What the documents and the questions are made from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Only this carrier (may be repeated)
    #[arg(long)]
    pub(crate) carrier: Vec<Carrier>,
    /// Also write the figures to this file, as a JSON list
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

impl Args {
    /// The carriers to compare, each once and in the order of the table.
    pub(crate) fn carriers(&self) -> Vec<Carrier> {
        Carrier::value_variants()
            .iter()
            .copied()
            .filter(|carrier| self.carrier.is_empty() || self.carrier.contains(carrier))
            .collect()
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The store itself, as a process of its own
    #[command(hide = true)]
    Serve(ServeArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    #[arg(long)]
    pub(crate) carrier: Carrier,
    /// Where the server announces itself and makes its socket
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// The core to stay on
    #[arg(long)]
    pub(crate) core: Option<usize>,
}

/// What lies between the client and the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Carrier {
    /// Native calls to a server that reads documents where they were built
    Trust,
    /// Native calls to a server that copies documents before it checks them
    Copy,
    /// gRPC over Nowire's shared memory
    Nowire,
    /// gRPC over HTTP/2 and a Unix socket
    Unix,
}

impl Carrier {
    /// What the table calls it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Trust => "native, trusted",
            Self::Copy => "native, safe",
            Self::Nowire => "gRPC, Nowire",
            Self::Unix => "gRPC, Unix socket",
        }
    }

    /// How it waits, where there is a choice.
    pub(crate) fn wait(self) -> &'static str {
        match self {
            Self::Trust | Self::Copy | Self::Nowire => "adaptive",
            Self::Unix => "-",
        }
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("?", |value| value.get_name()))
    }
}
