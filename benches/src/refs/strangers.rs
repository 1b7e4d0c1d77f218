//! What it takes until a reader that does not trust the owner has read bytes that
//! cannot change any more: a copy of them, or the owner's seal. Each step is one
//! side's, so one process does them all.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nowire_bench_harness::cell::{Carrier, Case, Party, Wait};
use nowire_bench_harness::mark::sum;
use nowire_bench_harness::process::Usage;
use nowire_bench_harness::samples::{Pool as Rounds, Samples};
use nowire_bench_harness::timing::{one_by_one, timed};
use nowire_memory::heap::Keeping;
use nowire_memory::refs::{Audience, Passed, Ref, Source};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use rustix::io::{Errno, pwrite};
use rustix::process::getuid;

use super::args::RefsArgs;
use super::argument::{pool_of, written};
use super::plan::Pace;
use crate::row::{Passing, Row};

/// The connection that refs go over, from this process to itself.
const CONNECTION: u64 = 1;
/// How often a file is sealed that is in use.
const SEAL_TRIES: usize = 100;
/// Far more than are held at a time.
const DESCRIPTORS: usize = 64;

/// A step of handing bytes to a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A segment from the kernel, as a sealed one must be.
    MakeAfresh,
    /// A segment that was used before.
    TakeKept,
    /// Bytes that lie in a segment are made ready to be sent.
    Pass,
    /// The same, sealed.
    PassSealed,
    /// The part of that which is the kernel's seal itself.
    Seal,
    /// What of the reader's work is asking for the seal.
    Verify,
    /// The reader copies, then reads.
    ReadCopy,
    /// The reader verifies and maps, then reads where the bytes lie; copies if
    /// they are few.
    ReadSealed,
}

impl Step {
    pub(crate) const ALL: [Self; 8] = [
        Self::MakeAfresh,
        Self::TakeKept,
        Self::Pass,
        Self::PassSealed,
        Self::Seal,
        Self::Verify,
        Self::ReadCopy,
        Self::ReadSealed,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MakeAfresh => "make",
            Self::TakeKept => "take kept",
            Self::Pass => "pass",
            Self::PassSealed => "pass sealed",
            Self::Seal => "F_SEAL_WRITE",
            Self::Verify => "F_GET_SEALS",
            Self::ReadCopy => "copy and read",
            Self::ReadSealed => "map and read",
        }
    }

    fn carrier(self) -> Carrier {
        match self {
            Self::TakeKept | Self::Pass | Self::ReadCopy => Carrier::Copy,
            _ => Carrier::Sealed,
        }
    }

    fn measure(self, bytes: usize, time: Duration) -> Result<Samples> {
        match self {
            Self::MakeAfresh => take(Carrier::Fresh, bytes, time),
            Self::TakeKept => take(Carrier::Refs, bytes, time),
            Self::Pass => pass(u32::MAX, bytes, time),
            Self::PassSealed => pass(0, bytes, time),
            Self::Seal => seal(bytes, time),
            Self::Verify => verify(bytes, time),
            Self::ReadCopy => read(u32::MAX, Keeping::Copy, bytes, time),
            Self::ReadSealed => read(0, Keeping::Seal, bytes, time),
        }
    }
}

/// Every step with so many bytes.
pub(crate) fn steps(args: &RefsArgs, bytes: usize, pace: Pace) -> Result<Vec<Row>> {
    let mut cells = Vec::new();
    for step in Step::ALL {
        if args.wants(step.carrier()) {
            cells.push((step, Rounds::new()?));
        }
    }
    for _ in 0..pace.rounds {
        for (step, rounds) in &mut cells {
            let time = Duration::from_millis(pace.round_ms / 2);
            let samples = step
                .measure(bytes, time)
                .with_context(|| format!("{} {bytes} B", step.name()))?;
            rounds.add(&samples, Usage::default())?;
        }
    }
    let row = |(step, rounds): &(Step, Rounds)| {
        let party = Party {
            carrier: step.carrier(),
            wait: Wait::Fixed,
        };
        let mut row = Row::of_calls(Case::Stranger, party, bytes, 1, rounds);
        row.passing = Passing {
            part: Some(step.name().into()),
            ..Passing::default()
        };
        row
    };
    Ok(cells.iter().map(row).collect())
}

/// Takes memory from a pool and gives it back, which is not part of it.
fn take(carrier: Carrier, bytes: usize, time: Duration) -> Result<Samples> {
    let pool = pool_of(carrier);
    one_by_one(time, || {
        let mut buffer = None;
        timed(|| {
            buffer = Some(pool.with_capacity(bytes)?);
            Ok(())
        })
    })
}

fn pass(seal_from_bytes: u32, bytes: usize, time: Duration) -> Result<Samples> {
    let pool = pool_of(Carrier::Fresh);
    let audience = audience(seal_from_bytes);
    one_by_one(time, || {
        let shared = written(&pool, 7, bytes)?.share();
        let mut passed = None;
        timed(|| {
            passed = Some(shared.pass(&audience, &pool)?);
            Ok(())
        })
    })
}

/// On a bare file: nobody maps it.
fn seal(bytes: usize, time: Duration) -> Result<Samples> {
    let filling = vec![7; bytes];
    one_by_one(time, || {
        let file = memfd_create("bench-stranger", MemfdFlags::ALLOW_SEALING)?;
        ensure!(pwrite(&file, &filling, 0)? == bytes, "a file is not full");
        timed(|| {
            // While somebody looks at its pages, as the kernel does when it is short of
            // memory, a file is not sealed.
            let mut tries = 0..SEAL_TRIES;
            loop {
                match fcntl_add_seals(&file, SealFlags::WRITE) {
                    Err(Errno::BUSY) if tries.next().is_some() => {}
                    sealed => return Ok(sealed?),
                }
            }
        })
    })
}

fn verify(bytes: usize, time: Duration) -> Result<Samples> {
    let filling = vec![7; bytes];
    let file = memfd_create("bench-stranger", MemfdFlags::ALLOW_SEALING)?;
    ensure!(pwrite(&file, &filling, 0)? == bytes, "a file is not full");
    fcntl_add_seals(&file, SealFlags::WRITE)?;
    one_by_one(time, || {
        timed(|| {
            let seals = fcntl_get_seals(&file)?;
            ensure!(seals.contains(SealFlags::WRITE), "a seal is gone");
            Ok(())
        })
    })
}

fn read(seal_from_bytes: u32, keeping: Keeping, bytes: usize, time: Duration) -> Result<Samples> {
    let pool = pool_of(Carrier::Fresh);
    let audience = audience(seal_from_bytes);
    // A second connection: what is known of the first does not count here.
    let uid = getuid().as_raw();
    let source = Source::new(CONNECTION + 1, uid, keeping, DESCRIPTORS, "this process");
    one_by_one(time, || {
        let shared = written(&pool, 7, bytes)?.share();
        let passed = shared.pass(&audience, &pool)?;
        let descriptors = duplicates(&passed)?;
        let wanted = sum(&shared.map()?);
        timed(|| {
            let arrived = arrived(&passed, descriptors, &source)?;
            let read = sum(&arrived.map()?);
            ensure!(read == wanted, "the reader has other bytes");
            Ok(())
        })
    })
}

fn arrived(
    passed: &Passed,
    descriptors: Vec<Option<OwnedFd>>,
    source: &Arc<Source>,
) -> Result<Ref> {
    Ok(Ref::arrived(passed.extents(), descriptors, source)?)
}

/// What the socket would deliver.
fn duplicates(passed: &Passed) -> Result<Vec<Option<OwnedFd>>> {
    let duplicate = |descriptor: std::os::fd::BorrowedFd<'_>| {
        let duplicate = descriptor.try_clone_to_owned();
        Ok(Some(duplicate.context("duplicating a descriptor")?))
    };
    passed.descriptors().map(duplicate).collect()
}

fn audience(seal_from_bytes: u32) -> Audience {
    Audience {
        connection: CONNECTION,
        uid: getuid().as_raw(),
        seal_from_bytes,
    }
}
