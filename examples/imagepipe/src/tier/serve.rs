use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nowire_bench_harness::control::{Answer, Order};
use nowire_bench_harness::machine;
use nowire_bench_harness::process::Usage;
use nowire_bench_harness::worker::{answer, listen};
use tonic::metadata::MetadataValue;
use tonic::service::Routes;

use super::{
    Balancer, CompressorTier, Firewall, ImageService, TOKEN_VARIABLE, Tier, TierArgs,
    TranscoderTier,
};
use crate::carrier::Carrier;
use crate::pipeline::is_folder_of_ours;

/// Serves as a tier until the program that started this process goes away.
///
/// # Errors
/// If a tier behind it cannot be reached, or its own address not be had.
pub fn main(args: &TierArgs) -> Result<()> {
    if let Some(core) = args.core {
        machine::stay_on(core)?;
    }
    let folder = Folder(args.dir.clone());
    listen(move |order| {
        let _folder = &folder;
        answer(&answer_to(&order)).is_ok()
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("building the tokio runtime")?;
    let served = runtime.block_on(serve(args));
    if let Err(error) = &served {
        answer(&Answer::Failed(format!("{error:#}")))?;
    }
    served
}

async fn serve(args: &TierArgs) -> Result<()> {
    let routes = routes(args.tier, args.carrier, &args.dir).await?;
    let address = args.carrier.address(&args.dir, &args.tier.to_string());
    let bound = args
        .carrier
        .server(&args.dir)
        .add_routes(routes)
        .bind(&address)
        .await?;
    answer(&Answer::Ready { address })?;
    bound.serve().await?;
    bail!("the server stopped by itself")
}

async fn routes(tier: Tier, carrier: Carrier, dir: &Path) -> Result<Routes> {
    let reach = async |tier: Tier| {
        let channel = carrier.connect(dir, &tier.to_string()).await;
        channel.with_context(|| format!("looking for the {tier}"))
    };
    Ok(match tier {
        Tier::Firewall => {
            let token = std::env::var(TOKEN_VARIABLE)
                .with_context(|| format!("{TOKEN_VARIABLE} has no token"))?;
            let token = MetadataValue::try_from(token).context("no token")?;
            Routes::new(Firewall::service(reach(Tier::Balancer).await?, token))
        }
        Tier::Balancer => {
            let mut instances = Vec::new();
            for tier in [Tier::Images1, Tier::Images2] {
                instances.push((tier.to_string(), reach(tier).await?));
            }
            Routes::new(Balancer::service(instances))
        }
        Tier::Images1 | Tier::Images2 => Routes::new(ImageService::service(
            reach(Tier::Transcoder).await?,
            reach(Tier::Compressor).await?,
        )),
        Tier::Transcoder => Routes::new(TranscoderTier::service()),
        Tier::Compressor => Routes::new(CompressorTier::service()),
    })
}

fn answer_to(order: &Order) -> Answer {
    match order {
        Order::Usage => match Usage::now() {
            Ok(usage) => Answer::Usage(usage),
            Err(error) => Answer::Failed(format!("{error:#}")),
        },
        other => Answer::Failed(format!("a tier cannot do {other:?}")),
    }
}

/// The folder of all tiers. When the program that made it goes away, it may have
/// had no time to remove it.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if is_folder_of_ours(&self.0) {
            // All tiers try, and one is first.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
