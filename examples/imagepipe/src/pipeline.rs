use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use anyhow::{Context, Result};
use nowire_bench_harness::process::Usage;
use tempfile::TempDir;

use crate::carrier::Carrier;
use crate::client::Client;
use crate::placement::Placement;
use crate::process::{Program, TierProcess};
use crate::tier::Tier;

/// How the name of a folder of ours begins.
const FOLDER_PREFIX: &str = "imagepipe-";

/// All tiers on one carrier, as processes that end, and take their folder with
/// them, when this is dropped or this process ends.
#[derive(Debug)]
pub struct Pipeline {
    carrier: Carrier,
    token: String,
    // Dropped before the folder in which they find each other.
    tiers: Vec<TierProcess>,
    dir: TempDir,
}

impl Pipeline {
    /// Starts the tiers and waits until they listen.
    ///
    /// # Errors
    /// If one of them cannot be started, or says why it cannot serve.
    pub fn start(program: &Program, carrier: Carrier, placement: Placement) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix(FOLDER_PREFIX)
            .tempdir()
            .context("making a folder for the tiers")?;
        let mut pipeline = Self {
            carrier,
            token: format!("Bearer {:016x}", RandomState::new().hash_one(0)),
            tiers: Vec::new(),
            dir,
        };
        for tier in Tier::ALL {
            let started = TierProcess::start(
                program,
                tier,
                carrier,
                pipeline.dir.path(),
                &pipeline.token,
                placement,
            );
            let started = started.with_context(|| carrier.title())?;
            pipeline.tiers.push(started);
        }
        Ok(pipeline)
    }

    /// What carries the images.
    pub fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// A client with the right token.
    ///
    /// # Errors
    /// If the firewall cannot be reached.
    pub async fn connect(&self) -> Result<Client> {
        self.connect_with(Some(&self.token)).await
    }

    /// A client with this token, right or wrong, or none.
    ///
    /// # Errors
    /// If the firewall cannot be reached, or the token may not be in a header.
    pub async fn connect_with(&self, token: Option<&str>) -> Result<Client> {
        let name = Tier::Firewall.to_string();
        let firewall = self.carrier.connect(self.dir.path(), &name).await?;
        Client::new(firewall, token)
    }

    /// The process that is a tier.
    pub fn process_id(&self, tier: Tier) -> Option<u32> {
        let process = self.tiers.iter().find(|process| process.tier() == tier)?;
        Some(process.id())
    }

    /// The folder in which the tiers find each other.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What all tiers together have used so far.
    pub(crate) fn usage(&mut self) -> Result<Usage> {
        let mut all = Usage::default();
        for tier in &mut self.tiers {
            all = all.plus(tier.usage()?);
        }
        Ok(all)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // All at once; each is waited for afterwards.
        self.tiers.iter_mut().for_each(TierProcess::end);
    }
}

/// Whether a folder was made by [`Pipeline::start`].
pub(crate) fn is_folder_of_ours(dir: &Path) -> bool {
    let name = dir.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(FOLDER_PREFIX))
}
