//! The program that is run by hand: starts a server for each carrier and is its
//! client.

use std::path::Path;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use nowire::{Channel, ChannelOptions, HeapOptions, Keeping};
use nowire_bench_harness::machine::{self, Cores};
use nowire_bench_harness::process::Usage;
use nowire_cooldb::client::Client;
use nowire_cooldb::grpc::GrpcClient;
use nowire_cooldb::native::NativeClient;
use nowire_cooldb::nobench::Collection;
use nowire_grpc::CarrierPolicy;

use crate::args::{Args, Carrier};
use crate::case::Case;
use crate::child::Server;
use crate::figures::Figures;
use crate::measure::{Load, measure};
use crate::{report, serve};

/// One carrier's turn.
struct Turn<'a> {
    carrier: Carrier,
    load: &'a Load,
    server: Server,
    progress: &'a ProgressBar,
    figures: &'a mut Figures,
}

/// Measures everything on every carrier, prints the table, writes the file.
pub(crate) fn main(args: &Args) -> Result<()> {
    let cores = Cores::choose()?;
    let machine = machine::description();
    machine::stay_on(cores.client)?;
    let load = Load {
        collection: Collection::new(args.seed, args.documents),
        batch: args.batch,
        reads: args.reads,
    };
    let carriers = args.carriers();
    let progress = progress(args, &load, carriers.len());
    let mut figures = Figures::default();
    for round in 1..=args.rounds {
        for &carrier in &carriers {
            progress.set_message(format!("{carrier}, round {round} of {}", args.rounds));
            let dir = tempfile::tempdir().context("making a folder for sockets")?;
            let turn = Turn {
                carrier,
                load: &load,
                server: Server::start(carrier, dir.path(), cores.server)
                    .with_context(|| format!("over {carrier}"))?,
                progress: &progress,
                figures: &mut figures,
            };
            turn.run(dir.path())
                .with_context(|| format!("over {carrier}"))?;
        }
    }
    progress.finish_and_clear();
    println!("{machine}");
    if !cores.are_two() {
        println!("only one core may be used: client and server take turns on it");
    }
    print!("{}", report::table(&figures, args, &carriers));
    if let Some(path) = &args.json {
        report::write_json(&figures, args.documents, path)?;
    }
    Ok(())
}

impl Turn<'_> {
    fn run(self, dir: &Path) -> Result<()> {
        serve::runtime()?.block_on(async {
            let address = self.server.address().to_owned();
            match self.carrier {
                Carrier::Trust => self.native(&address, dir, Keeping::Trust).await,
                Carrier::Copy => self.native(&address, dir, Keeping::Copy).await,
                Carrier::Nowire => {
                    let channel = nowire_grpc::Endpoint::from_shared(address)?
                        .carrier(CarrierPolicy::Require)
                        .memory_options(|options| options.runtime_dir = Some(dir.to_owned()))
                        .connect()
                        .await?;
                    self.measure(GrpcClient::new(channel)).await
                }
                Carrier::Unix => {
                    let channel = tonic::transport::Endpoint::from_shared(address)?
                        .connect()
                        .await?;
                    self.measure(GrpcClient::new(channel)).await
                }
            }
        })
    }

    async fn native(self, address: &str, dir: &Path, keeping: Keeping) -> Result<()> {
        let mut options = ChannelOptions {
            keeping,
            ..ChannelOptions::default()
        };
        options.connect.runtime_dir = Some(dir.to_owned());
        options.connect.heap = Some(HeapOptions {
            window_bytes: serve::SHARED_LIMIT_BYTES,
            quota_bytes: serve::SHARED_LIMIT_BYTES,
            ..HeapOptions::default()
        });
        let channel = Channel::connect(address, options).await?;
        self.measure(NativeClient::new(channel)?).await
    }

    async fn measure(mut self, mut client: impl Client) -> Result<()> {
        for case in Case::all() {
            let before = Usage::now()?.plus(self.server.usage()?);
            let outcome = measure(&mut client, self.load, case, self.progress).await?;
            let after = Usage::now()?.plus(self.server.usage()?);
            self.figures
                .add(case, self.carrier, outcome, after.since(before))?;
        }
        Ok(())
    }
}

fn progress(args: &Args, load: &Load, carriers: usize) -> ProgressBar {
    let steps: u64 = Case::all().map(|case| load.steps(case)).sum();
    let bar = ProgressBar::new(steps * u64::from(args.rounds) * carriers as u64);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {msg}  {eta} left")
    {
        bar.set_style(style);
    }
    bar
}
