//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use nowire_imagepipe::tier::TierArgs;
use nowire_imagepipe::{Carrier, Mode, Placement, Plan};

/// A cloud image service of seven processes, over each carrier in turn
///
/// Sends images through a firewall, a load balancer and an image service, which
/// has a transcoder and a compressor do the hard work; each is a process of its
/// own, started by this one, which is the client. Compares gRPC over a Unix socket
/// with gRPC over Nowire, images as bytes and as references. Every answer is
/// compared with the right one, byte by byte.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Only this carrier (may be repeated)
    #[arg(long)]
    carrier: Vec<Carrier>,
    /// Only this mode (may be repeated)
    #[arg(long)]
    mode: Vec<Mode>,
    /// Only images of about this size in bytes (may be repeated); 4 KiB to 4 MiB
    /// if not given
    #[arg(long, value_parser = size)]
    bytes: Vec<usize>,
    /// Only so many calls at a time (may be repeated); 1 and 8 if not given
    #[arg(long, value_name = "CALLS", value_parser = at_a_time)]
    in_flight: Vec<usize>,
    /// How often each carrier has its turn; 3 if not given
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: Option<u16>,
    /// How long a turn is, in ms; 700 if not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    round_ms: Option<u32>,
    /// Fewer sizes and one short turn: well under a minute in all
    #[arg(long)]
    quick: bool,
    /// Which process runs on which core
    #[arg(long, default_value_t = Placement::Free)]
    placement: Placement,
    /// What the images are made from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Also write the figures to this file, as a JSON list
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// One of the processes behind the client
    #[command(hide = true)]
    Tier(TierArgs),
}

const SIZES: [usize; 6] = [4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20];
const FEW_SIZES: [usize; 4] = [4 << 10, 64 << 10, 256 << 10, 1 << 20];

impl Args {
    /// What to measure.
    pub(crate) fn plan(&self) -> Plan {
        let sizes: &[usize] = if self.quick { &FEW_SIZES } else { &SIZES };
        let in_flight: &[usize] = if self.quick { &[8] } else { &[1, 8] };
        let (rounds, round_ms) = if self.quick { (1, 250) } else { (3, 700) };
        Plan {
            carriers: chosen(&self.carrier, Carrier::value_variants()),
            modes: chosen(&self.mode, Mode::value_variants()),
            sizes: chosen(&self.bytes, sizes),
            in_flight: chosen(&self.in_flight, in_flight),
            rounds: self.rounds.map_or(rounds, usize::from),
            round: Duration::from_millis(self.round_ms.unwrap_or(round_ms).into()),
            seed: self.seed,
            placement: self.placement,
        }
    }
}

fn chosen<T: Clone>(asked: &[T], all: &[T]) -> Vec<T> {
    if asked.is_empty() { all } else { asked }.to_vec()
}

fn size(text: &str) -> Result<usize, String> {
    number(text, 1 << 10, 16 << 20)
}

fn at_a_time(text: &str) -> Result<usize, String> {
    number(text, 1, 256)
}

fn number(text: &str, least: usize, most: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        Ok(_) => Err(format!("must be from {least} to {most}")),
        Err(error) => Err(error.to_string()),
    }
}
