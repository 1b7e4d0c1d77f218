//! What the program and its workers say to each other: a JSON line a message,
//! over the worker's standard input and output.

use std::io::{BufRead, Write};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::cell::Load;
use crate::process::{Memory, Usage};
use crate::samples::Samples;

/// What a worker is asked to do. Servers answer the first two only.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Say how much processor time and how many page faults it took so far.
    Usage,
    /// Say how much memory is in use.
    Memory,
    /// Make calls for so long and measure them.
    Run {
        /// What to call.
        load: Load,
        /// For how long.
        for_ms: u64,
    },
    /// Make so many calls and measure nothing.
    Repeat {
        /// What to call.
        load: Load,
        /// How often.
        calls: u64,
    },
    /// Connect so many times, one after the other.
    Connect {
        /// How often.
        times: u64,
        /// Whether the connection's end counts, too.
        destroy: bool,
    },
    /// Open so many connections, use each once and keep them.
    Open {
        /// How many.
        connections: usize,
    },
    /// Do nothing for so long, with the connections open.
    Rest {
        /// For how long.
        for_ms: u64,
    },
    /// Close what `Open` opened.
    Close,
}

/// What a worker says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// A server listens; a client has its channel.
    Ready {
        /// Where the server listens; nothing for a client.
        address: String,
    },
    /// The answer to [`Order::Usage`].
    Usage(Usage),
    /// The answer to [`Order::Memory`].
    Memory(Memory),
    /// What was measured.
    Samples(Samples),
    /// It is done, and there is nothing to say about it.
    Done,
    /// It could not be done, and the worker ends.
    Failed(String),
}

/// Writes one message and its line end.
///
/// # Errors
///
/// When the other side does not take it.
pub fn say(to: &mut impl Write, message: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()?;
    Ok(())
}

/// Reads one message; `None` when the other side has closed.
///
/// # Errors
///
/// When it cannot be read, or is no such message.
pub fn hear<T: DeserializeOwned>(from: &mut impl BufRead) -> Result<Option<T>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    serde_json::from_str(&line)
        .map(Some)
        .with_context(|| format!("not a message of ours: {}", line.trim_end()))
}
