use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::carrier::Carrier;

/// The environment variable in which the firewall finds the token.
pub(crate) const TOKEN_VARIABLE: &str = "IMAGEPIPE_TOKEN";

/// A process behind the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Tier {
    /// Checks the token.
    Firewall,
    /// Spreads jobs over the image services.
    Balancer,
    /// Does what the job says, or has it done.
    #[value(name = "images-1")]
    Images1,
    /// The same once more.
    #[value(name = "images-2")]
    Images2,
    /// Puts images into another format.
    Transcoder,
    /// Makes images smaller.
    Compressor,
}

impl Tier {
    /// Every tier, each after those it calls.
    pub const ALL: [Self; 6] = [
        Self::Compressor,
        Self::Transcoder,
        Self::Images2,
        Self::Images1,
        Self::Balancer,
        Self::Firewall,
    ];

    /// How many calls lead to it from the client.
    pub(crate) fn hops_from_client(self) -> usize {
        match self {
            Self::Firewall => 1,
            Self::Balancer => 2,
            Self::Images1 | Self::Images2 => 3,
            Self::Transcoder | Self::Compressor => 4,
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("?", |value| value.get_name()))
    }
}

/// The command line of a tier's process.
#[derive(Debug, clap::Args)]
pub struct TierArgs {
    /// Which tier it is
    #[arg(long)]
    pub(crate) tier: Tier,
    /// How images get to it and on
    #[arg(long)]
    pub(crate) carrier: Carrier,
    /// The folder in which the tiers find each other
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// The core to stay on
    #[arg(long)]
    pub(crate) core: Option<usize>,
}
