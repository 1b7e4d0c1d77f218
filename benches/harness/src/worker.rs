//! A process being measured: its command line, and where its orders come from.

use std::io::{BufReader, Write, stdin, stdout};
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::cell::{Carrier, Wait};
use crate::control::{hear, say};

/// The command line of a worker, the same for every program that can be one.
#[derive(Debug, clap::Args)]
pub struct WorkerArgs {
    /// Which half of the conversation it is.
    #[arg(long, value_enum)]
    pub role: Role,
    /// What lies between the two halves.
    #[arg(long, value_enum)]
    pub carrier: Carrier,
    /// How it waits for the other half.
    #[arg(long, value_enum)]
    pub wait: Wait,
    /// How its tokio runtime is built, if it has one.
    #[arg(long, value_enum)]
    pub runtime: Flavour,
    /// The core to stay on.
    #[arg(long)]
    pub core: Option<usize>,
    /// Where a server is to listen and a client to connect.
    #[arg(long, default_value = "")]
    pub address: String,
}

/// Which half of a conversation a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// The half that asks.
    Client,
    /// The half that answers.
    Server,
}

/// How the tokio runtime of a measured process is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavour {
    /// `new_current_thread`: everything on the thread that called.
    Current,
    /// `new_multi_thread` with tokio's own number of workers, all on one core.
    Multi,
}

impl Flavour {
    /// As tokio names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Current => "current_thread",
            Self::Multi => "multi_thread",
        }
    }
}

/// How long a worker may take to end by itself.
const GRACE: Duration = Duration::from_millis(300);

/// Hands over the orders of the program that started this one, as they come,
/// until `take` returns false. They are read on a thread of their own, so that
/// the worker keeps running between them as it would in a service. When no more
/// can come, `take` is dropped, and soon after it the process ends.
pub fn listen<O: DeserializeOwned>(mut take: impl FnMut(O) -> bool + Send + 'static) {
    std::thread::spawn(move || {
        let mut input = BufReader::new(stdin());
        while let Ok(Some(order)) = hear(&mut input) {
            if !take(order) {
                break;
            }
        }
        drop(take);
        // Nobody is there any more to measure for, whatever else this process
        // is doing.
        std::thread::sleep(GRACE);
        std::process::exit(0);
    });
}

/// Says something to the program that started this one.
///
/// # Errors
///
/// When that program no longer listens.
pub fn answer(answer: &impl Serialize) -> Result<()> {
    let mut output = stdout().lock();
    say(&mut output, answer)?;
    output.flush()?;
    Ok(())
}
