//! What it takes to make pages unchangeable for their reader, against copying
//! them: both in one process, since a seal and a copy each have one side.

use std::hint::black_box;
use std::time::Duration;

use anyhow::Result;
use nowire_bench_harness::samples::Samples;
use nowire_bench_harness::timing::{one_by_one, timed};

/// Copies so many bytes from memory to memory, both touched before.
pub(crate) fn copy(bytes: usize, time: Duration) -> Result<Samples> {
    let from = vec![1_u8; bytes];
    let mut into = vec![2_u8; bytes];
    one_by_one(time, || {
        timed(|| {
            into.copy_from_slice(black_box(&from));
            black_box(&mut into);
            Ok(())
        })
    })
}
