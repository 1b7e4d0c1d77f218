//! The floor of a chain: as many processes on the same cores, each of which
//! waits in the kernel for eight bytes, passes them on, and passes the answer
//! back. What that takes is what waking one process after the other takes.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nowire_bench_harness::samples::Samples;
use nowire_bench_harness::timing::one_by_one;

/// Connects to the next of the chain.
pub(crate) fn connect(path: &str) -> Result<UnixStream> {
    UnixStream::connect(path).with_context(|| format!("connecting to {path}"))
}

/// Passes on what one client after the other says.
pub(crate) fn serve(listener: &UnixListener, mut next: Option<UnixStream>) -> Result<()> {
    loop {
        let (mut client, _) = listener.accept()?;
        let mut hops = [0; 8];
        while client.read_exact(&mut hops).is_ok() {
            if let Some(left) = u64::from_le_bytes(hops).checked_sub(1) {
                let next = next.as_mut().context("the chain is not that long")?;
                next.write_all(&left.to_le_bytes())?;
                next.read_exact(&mut hops)?;
            }
            client.write_all(&hops)?;
        }
    }
}

/// Sends eight bytes through so many services and back, again and again.
pub(crate) fn run(chain: &mut UnixStream, hops: u32, time: Duration) -> Result<Samples> {
    one_by_one(time, || {
        let start = Instant::now();
        let mut bytes = u64::from(hops).to_le_bytes();
        chain.write_all(&bytes)?;
        chain.read_exact(&mut bytes)?;
        let now = Instant::now();
        ensure!(bytes == [0; 8], "the chain ended elsewhere");
        Ok((now - start, now))
    })
}
