use std::fmt;

use anyhow::Result;
use clap::ValueEnum;
use nowire_bench_harness::machine::Cores;
use serde::Serialize;

use crate::tier::Tier;

/// Which processes run on which cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Placement {
    /// Each where the scheduler puts it
    Free,
    /// On two cores, in turn along a request's way, so that each hop changes cores
    Alternate,
    /// On two cores: client, firewall and load balancer on one, the rest on the other
    Halves,
    /// All on one core
    One,
}

impl Placement {
    /// The client's core, if it has one of its own.
    ///
    /// # Errors
    /// If the kernel does not say which cores there are.
    pub(crate) fn of_client(self) -> Result<Option<usize>> {
        self.core(0)
    }

    /// A tier's core, if it has one of its own.
    ///
    /// # Errors
    /// If the kernel does not say which cores there are.
    pub(crate) fn of(self, tier: Tier) -> Result<Option<usize>> {
        self.core(tier.hops_from_client())
    }

    fn core(self, hops: usize) -> Result<Option<usize>> {
        let cores = Cores::choose()?;
        Ok(match self {
            Self::Free => None,
            Self::Alternate if hops % 2 == 1 => Some(cores.server),
            Self::Halves if hops > 2 => Some(cores.server),
            Self::Alternate | Self::Halves | Self::One => Some(cores.client),
        })
    }

    /// What a person calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Free => "each wherever the scheduler puts it",
            Self::Alternate => "on two cores, each hop from one to the other",
            Self::Halves => "client, firewall and load balancer on one core, the rest on another",
            Self::One => "all on one core",
        }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("?", |value| value.get_name()))
    }
}
