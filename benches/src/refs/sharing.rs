//! Sharing within one process: what an owner pays for giving up writing, beside
//! what copying the same bytes takes.

use std::time::Duration;

use anyhow::Result;
use nowire_bench_harness::cell::{Carrier, Case, Party, Wait};
use nowire_bench_harness::process::Usage;
use nowire_bench_harness::samples::{Pool, Samples};
use nowire_bench_harness::timing::{one_by_one, timed};

use super::args::RefsArgs;
use super::argument::{pool_of, written};
use super::plan::Pace;
use crate::row::Row;
use crate::sealing;

/// What is compared.
const CARRIERS: [Carrier; 3] = [Carrier::Memcpy, Carrier::Refs, Carrier::Fresh];

/// Memory of this size is shared again and again, and as much copied.
pub(crate) fn share(args: &RefsArgs, bytes: usize, pace: Pace) -> Result<Vec<Row>> {
    let mut pools = Vec::new();
    for carrier in CARRIERS {
        if args.wants(carrier) {
            pools.push((carrier, Pool::new()?));
        }
    }
    for _ in 0..pace.rounds {
        for (carrier, pool) in &mut pools {
            pool.add(&once(*carrier, bytes, pace)?, Usage::default())?;
        }
    }
    let row = |(carrier, pool): &(Carrier, Pool)| {
        let wait = Wait::Fixed;
        let carrier = *carrier;
        Row::of_calls(Case::Share, Party { carrier, wait }, bytes, 1, pool)
    };
    Ok(pools.iter().map(row).collect())
}

fn once(carrier: Carrier, bytes: usize, pace: Pace) -> Result<Samples> {
    let time = Duration::from_millis(pace.round_ms);
    if carrier == Carrier::Memcpy {
        return sealing::copy(bytes, time);
    }
    let memory = pool_of(carrier);
    one_by_one(time, || {
        // Writing is not part of it, nor is what taking and giving back memory
        // costs: that is in the rate.
        let buffer = written(&memory, 7, bytes)?;
        let mut shared = None;
        timed(|| {
            shared = Some(buffer.share());
            Ok(())
        })
    })
}
