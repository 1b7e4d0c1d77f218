//! The calling process of one carrier.

use std::time::Duration;

use anyhow::{Result, bail};

use nowire_bench_harness::cell::Carrier;
use nowire_bench_harness::control::{Answer, Order};
use nowire_bench_harness::process::{Memory, Usage};
use nowire_bench_harness::worker::{WorkerArgs, answer};

use crate::dial::{Dial, Inprocess, Nowire, Tonic, policy};
use crate::floor;
use crate::measure;
use crate::sealing;
use crate::worker::orders;

/// Connects and makes the calls it is told to make.
pub(crate) async fn main(args: &WorkerArgs) -> Result<()> {
    let address = args.address.clone();
    match args.carrier {
        Carrier::Floor => follow_floor_orders(&address).await,
        Carrier::Inprocess => follow_orders(Inprocess).await,
        Carrier::Unix | Carrier::Tcp => follow_orders(Tonic { address }).await,
        Carrier::Memcpy => follow_memcpy_orders().await,
        Carrier::Nowire => {
            let wait = policy(args.wait);
            follow_orders(Nowire { address, wait }).await
        }
        Carrier::Trust | Carrier::Copy | Carrier::Sealed => {
            bail!("native calls need no runtime")
        }
        Carrier::Iceoryx2 => bail!("iceoryx2 is in another program"),
        Carrier::Plain | Carrier::Refs | Carrier::Fresh | Carrier::Ray => {
            bail!("references have tiers of their own")
        }
    }
}

async fn follow_floor_orders(path: &str) -> Result<()> {
    let mut client = floor::Client::connect(path)?;
    let mut orders = orders();
    answer(&Answer::Ready {
        address: String::new(),
    })?;
    while let Some(order) = orders.recv().await {
        answer(&match order {
            Order::Run { load, for_ms } => {
                Answer::Samples(client.run(load, Duration::from_millis(for_ms))?)
            }
            other => bail!("there is no {other:?} on the floor"),
        })?;
    }
    Ok(())
}

async fn follow_memcpy_orders() -> Result<()> {
    let mut orders = orders();
    answer(&Answer::Ready {
        address: String::new(),
    })?;
    while let Some(order) = orders.recv().await {
        answer(&match order {
            Order::Run { load, for_ms } => {
                Answer::Samples(sealing::copy(load.bytes, Duration::from_millis(for_ms))?)
            }
            other => bail!("there is no {other:?} for memcpy"),
        })?;
    }
    Ok(())
}

async fn follow_orders<D: Dial>(dialer: D) -> Result<()> {
    let channel = dialer.dial().await?;
    let mut kept = Vec::new();
    let mut orders = orders();
    answer(&Answer::Ready {
        address: String::new(),
    })?;
    while let Some(order) = orders.recv().await {
        answer(&match order {
            Order::Usage => Answer::Usage(Usage::now()?),
            Order::Memory => Answer::Memory(Memory::now()?),
            Order::Run { load, for_ms } => {
                let time = Duration::from_millis(for_ms);
                Answer::Samples(measure::run(channel.clone(), load, time).await?)
            }
            Order::Connect { times, destroy } => {
                Answer::Samples(measure::connect(&dialer, times, destroy).await?)
            }
            Order::Repeat { .. } => bail!("gRPC calls are measured by time alone"),
            Order::Open { connections } => {
                kept = measure::open(&dialer, connections).await?;
                Answer::Done
            }
            Order::Rest { for_ms } => {
                tokio::time::sleep(Duration::from_millis(for_ms)).await;
                Answer::Done
            }
            Order::Close => {
                kept = Vec::new();
                Answer::Done
            }
        })?;
    }
    drop(kept);
    Ok(())
}
