//! A socket beside the shared memory, so that a polling server knows when
//! there is something to poll for, and sleeps when it is another's turn.

use std::io::{BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use anyhow::{Context, Result};
use nowire_bench_harness::cell::Load;
use nowire_bench_harness::control::{hear, say};

/// The client's end.
pub(crate) struct Asking(UnixStream);

impl Asking {
    pub(crate) fn connect(path: &str) -> Result<Self> {
        let stream = UnixStream::connect(path).with_context(|| format!("connecting to {path}"))?;
        Ok(Self(stream))
    }

    /// Returns when the server is about to poll for this load.
    pub(crate) fn announce(&mut self, load: Load) -> Result<()> {
        say(&mut self.0, &load)?;
        self.0
            .read_exact(&mut [0])
            .context("the server did not get ready")
    }
}

/// The server's end, of its only client.
pub(crate) struct Asked(BufReader<UnixStream>);

impl Asked {
    pub(crate) fn accept(listener: &UnixListener) -> Result<Self> {
        let (stream, _) = listener.accept().context("waiting for the client")?;
        Ok(Self(BufReader::new(stream)))
    }

    /// What the client is about to ask for; `None` when it has gone.
    pub(crate) fn next(&mut self) -> Result<Option<Load>> {
        hear(&mut self.0)
    }

    pub(crate) fn ready(&mut self) -> Result<()> {
        Ok(self.0.get_mut().write_all(&[1])?)
    }
}
