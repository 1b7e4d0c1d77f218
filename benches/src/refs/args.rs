//! The command line of this part.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use nowire_bench_harness::cell::{Carrier, Case, Wait};
use nowire_bench_harness::worker::Role;
use serde::Serialize;

#[derive(Debug, Args)]
pub(crate) struct RefsArgs {
    /// Also write the rows to this file, as a JSON list
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Fewer sizes and shorter rounds: under a minute in all
    #[arg(long)]
    pub(crate) quick: bool,
    /// Also put what is printed into this page, between its two marks
    #[arg(long, value_name = "FILE")]
    pub(crate) insert: Option<PathBuf>,
    /// Draw a figure of each part into this directory, as SVG
    #[arg(long, value_name = "DIR")]
    pub(crate) plot: Option<PathBuf>,
    /// Measure Ray as well: installed from PyPI below target/tools, started and
    /// stopped by this program
    #[arg(long)]
    pub(crate) ray: bool,
    /// Only this case (may be repeated)
    #[arg(long, value_name = "CASE")]
    pub(crate) only: Vec<Case>,
    /// Only this carrier (may be repeated)
    #[arg(long)]
    pub(crate) carrier: Vec<Carrier>,
    /// Only this payload size in bytes (may be repeated); through chains, any
    #[arg(long)]
    pub(crate) bytes: Vec<usize>,
    /// Only chains of so many services (may be repeated)
    #[arg(long)]
    pub(crate) services: Vec<usize>,
    /// Only so many calls at a time (may be repeated)
    #[arg(long)]
    pub(crate) in_flight: Vec<usize>,
    /// Which process of a chain runs on which core, if not as each case has it
    #[arg(long, value_enum)]
    pub(crate) place: Option<Place>,
    /// How both sides of a connection over shared memory wait
    #[arg(long, value_enum, default_value_t = Wait::Adaptive)]
    pub(crate) wait: Wait,
    /// From how many bytes on data goes by reference, if not from Nowire's default
    #[arg(long, value_name = "BYTES")]
    pub(crate) refer_from: Option<usize>,
    /// Services trust whoever owns memory not to change it, and read it where it lies
    #[arg(long)]
    pub(crate) trust: bool,
}

impl RefsArgs {
    /// Whether this case was asked for, or none in particular.
    pub(crate) fn measures(&self, case: Case) -> bool {
        self.only.is_empty() || self.only.contains(&case)
    }

    /// Whether this carrier was asked for, or none in particular.
    pub(crate) fn wants(&self, carrier: Carrier) -> bool {
        self.carrier.is_empty() || self.carrier.contains(&carrier)
    }

    /// Where the processes of a chain run unless a case has it otherwise.
    pub(crate) fn place(&self) -> Place {
        self.place.unwrap_or(Place::Alternate)
    }

    /// The sizes asked for, or else these.
    pub(crate) fn sizes_or<'a>(&'a self, sizes: &'a [usize]) -> &'a [usize] {
        match self.bytes.is_empty() {
            true => sizes,
            false => &self.bytes,
        }
    }

    /// Whether this size was asked for, or none in particular.
    pub(crate) fn takes(&self, bytes: usize) -> bool {
        self.bytes.is_empty() || self.bytes.contains(&bytes)
    }
}

/// Which process of a chain runs on which core; the client is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// In turn, so that every call crosses to the other core.
    Alternate,
    /// The client and the last service on one core, those between on the other; in
    /// the image service in turn.
    Apart,
    /// The first half on one core, the second on the other: one crossing.
    Halves,
    /// All on one core.
    One,
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("?", |value| value.get_name()))
    }
}

/// The command line of a process of a chain.
#[derive(Debug, Args)]
pub(crate) struct TierArgs {
    #[arg(long, value_enum)]
    pub(crate) role: Role,
    #[arg(long, value_enum)]
    pub(crate) carrier: Carrier,
    #[arg(long, value_enum)]
    pub(crate) wait: Wait,
    /// The core to stay on.
    #[arg(long)]
    pub(crate) core: usize,
    /// Where a service listens.
    #[arg(long, default_value = "")]
    pub(crate) address: String,
    /// From how many bytes on data goes by reference.
    #[arg(long)]
    pub(crate) refer_from: Option<usize>,
    /// Whether memory of others is read where it lies.
    #[arg(long)]
    pub(crate) trust: bool,
    /// Who is called from here; several take turns.
    #[arg(long)]
    pub(crate) next: Vec<String>,
}
