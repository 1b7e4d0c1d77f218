//! What the two child processes tell their parent: a line of JSON at a time.

use std::io::{self, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::digest::Digest;
use super::kind::Kind;
use super::transport::{Addresses, Carrier};

/// From the server, once: where it listens.
pub type FromServer = Addresses;

/// From the client.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromClient {
    /// How far it is.
    Progress {
        /// Calls made.
        done: u64,
        /// Calls to make in all.
        total: u64,
        /// What it measures next.
        kind: Kind,
        /// Over what.
        carrier: Carrier,
    },
    /// It is done; the last message.
    Finished(Findings),
}

/// All that the client found out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Findings {
    /// The right answers: those of the service called within the client's own
    /// process, without any transport.
    pub reference: Vec<(Kind, Digest)>,
    /// One for each kind over each carrier, kind by kind.
    pub measurements: Vec<Measurement>,
}

/// One kind of call over one carrier.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measurement {
    /// Which kind.
    pub kind: Kind,
    /// Which carrier.
    pub carrier: Carrier,
    /// Calls timed one after the other.
    pub calls: u64,
    /// Middle of their times, in nanoseconds.
    pub p50_ns: u64,
    /// The time that 99 of 100 did not exceed, in nanoseconds.
    pub p99_ns: u64,
    /// Calls finished in a second when several were in flight.
    pub calls_per_s: f64,
    /// Fingerprint of all answers.
    pub answers: Digest,
}

/// Says `message` on standard output.
///
/// # Errors
/// If the parent no longer listens.
pub fn say<T: Serialize>(message: &T) -> io::Result<()> {
    let mut line = serde_json::to_string(message)?;
    line.push('\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()
}

/// Understands one line.
///
/// # Errors
/// If it is not a `T`.
pub fn hear<T: DeserializeOwned>(line: &str) -> serde_json::Result<T> {
    serde_json::from_str(line)
}
