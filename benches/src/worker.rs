//! A process being measured: sets itself up and does what it is told.

use std::io::{BufReader, Write, stdin, stdout};

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::args::{Flavour, Role, WorkerArgs};
use crate::control::{Answer, Order, hear, say};
use crate::{client, machine, process, server};

pub(crate) fn main(args: &WorkerArgs) -> Result<()> {
    if let Some(core) = args.core {
        machine::stay_on(core)?;
    }
    process::raise_descriptor_limit()?;
    let runtime = runtime(args.runtime)?;
    let result = runtime.block_on(async {
        match args.role {
            Role::Client => client::main(args).await,
            Role::Server => server::main(args).await,
        }
    });
    if let Err(error) = &result {
        say(&mut stdout(), &Answer::Failed(format!("{error:#}")))?;
    }
    // The thread that reads orders may be blocked for ever.
    runtime.shutdown_background();
    Ok(())
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

/// The orders of the program that started this one. They are read on a thread
/// of their own so that the runtime keeps running between them, as it would in
/// a service.
pub(crate) fn orders() -> UnboundedReceiver<Order> {
    let (sender, receiver) = unbounded_channel();
    std::thread::spawn(move || {
        let mut input = BufReader::new(stdin());
        while let Ok(Some(order)) = hear(&mut input) {
            if sender.send(order).is_err() {
                break;
            }
        }
        // Nobody is there any more to measure for, whatever else this process
        // is doing.
        std::process::exit(0);
    });
    receiver
}

/// Says something to the program that started this one.
pub(crate) fn answer(answer: &Answer) -> Result<()> {
    let mut output = stdout().lock();
    say(&mut output, answer)?;
    output.flush()?;
    Ok(())
}
