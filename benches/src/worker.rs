//! A process being measured: sets itself up and does what it is told.

use std::io::stdout;

use anyhow::{Context, Result};
use nowire_bench_harness::control::{Answer, Order, say};
use nowire_bench_harness::worker::{Flavour, Role, WorkerArgs, listen};
use nowire_bench_harness::{machine, process};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::{client, native_client, server};

pub(crate) fn main(args: &WorkerArgs) -> Result<()> {
    if let Some(core) = args.core {
        machine::stay_on(core)?;
    }
    process::raise_descriptor_limit()?;
    let result = match args.role {
        // Whoever calls and waits on one thread needs no runtime.
        Role::Client if args.carrier.is_native() => native_client::main(args),
        _ => run(args),
    };
    if let Err(error) = &result {
        say(&mut stdout(), &Answer::Failed(format!("{error:#}")))?;
    }
    Ok(())
}

fn run(args: &WorkerArgs) -> Result<()> {
    let runtime = runtime(args.runtime)?;
    let result = runtime.block_on(async {
        match args.role {
            Role::Client => client::main(args).await,
            Role::Server => server::main(args).await,
        }
    });
    // The thread that reads orders may be blocked for ever.
    runtime.shutdown_background();
    result
}

fn runtime(flavour: Flavour) -> Result<Runtime> {
    match flavour {
        Flavour::Current => Builder::new_current_thread(),
        Flavour::Multi => Builder::new_multi_thread(),
    }
    .enable_all()
    .build()
    .context("building the tokio runtime")
}

/// The orders of the program that started this one.
pub(crate) fn orders() -> UnboundedReceiver<Order> {
    let (sender, receiver) = unbounded_channel();
    listen(move |order| sender.send(order).is_ok());
    receiver
}
