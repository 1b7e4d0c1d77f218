//! The server's process.

use std::path::Path;

use anyhow::{Context, Result};
use nowire::Keeping;
use nowire_bench_harness::control::{Answer, Order};
use nowire_bench_harness::machine;
use nowire_bench_harness::process::Usage;
use nowire_bench_harness::worker::{answer, listen};
use nowire_cooldb::grpc::Service;
use nowire_cooldb::native;
use nowire_cooldb::nobench::INDEXES;
use tokio::net::UnixListener;
use tokio::runtime::{Builder, Runtime};
use tokio_stream::wrappers::UnixListenerStream;

use crate::args::{Carrier, ServeArgs};

/// What a server that shared memory leads to is called.
const NAME: &str = "nowire:cooldb";

/// Most shared memory that documents may take: 16 GiB, about two thousand bytes
/// each. Only what is used is there.
pub(crate) const SHARED_LIMIT_BYTES: u64 = 16 << 30;

/// Serves until the program that started this process goes away.
pub(crate) fn main(args: &ServeArgs) -> Result<()> {
    if let Some(core) = args.core {
        machine::stay_on(core)?;
    }
    listen(|order| answer(&answer_to(&order)).is_ok());
    let served = match args.carrier {
        Carrier::Trust => native(&args.dir, Keeping::Trust),
        Carrier::Copy => native(&args.dir, Keeping::Copy),
        Carrier::Nowire => runtime()?.block_on(nowire(&args.dir)),
        Carrier::Unix => runtime()?.block_on(unix(&args.dir)),
    };
    if let Err(error) = &served {
        answer(&Answer::Failed(format!("{error:#}")))?;
    }
    served
}

fn answer_to(order: &Order) -> Answer {
    match order {
        Order::Usage => match Usage::now() {
            Ok(usage) => Answer::Usage(usage),
            Err(error) => Answer::Failed(format!("{error:#}")),
        },
        other => Answer::Failed(format!("a server cannot do {other:?}")),
    }
}

/// Everything on the thread that calls, which is what a carrier does best with
/// one client.
pub(crate) fn runtime() -> Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .context("building the tokio runtime")
}

fn native(dir: &Path, keeping: Keeping) -> Result<()> {
    let _running = nowire::Server::builder()
        .keeping(keeping)
        .runtime_dir(dir)
        .options(|options| options.max_shared_bytes = SHARED_LIMIT_BYTES as usize)
        .add(native::Service::new(INDEXES))
        .start(NAME)?;
    ready(NAME)?;
    // The process ends with its input, on another thread.
    loop {
        std::thread::park();
    }
}

async fn nowire(dir: &Path) -> Result<()> {
    let bound = nowire_grpc::Server::builder()
        .memory_options(|options| options.runtime_dir = Some(dir.to_owned()))
        .add_service(Service::new(INDEXES))
        .bind(NAME)
        .await?;
    ready(NAME)?;
    Ok(bound.serve().await?)
}

async fn unix(dir: &Path) -> Result<()> {
    let path = dir.join("cooldb.sock");
    let listener =
        UnixListener::bind(&path).with_context(|| format!("listening on {}", path.display()))?;
    ready(&format!("unix:{}", path.display()))?;
    tonic::transport::Server::builder()
        .add_service(Service::new(INDEXES))
        .serve_with_incoming(UnixListenerStream::new(listener))
        .await?;
    Ok(())
}

fn ready(address: &str) -> Result<()> {
    let address = address.to_owned();
    answer(&Answer::Ready { address })
}
