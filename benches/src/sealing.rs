//! What it takes to make pages unchangeable for their reader, against copying
//! them: both in one process, since a seal and a copy each have one side.

use std::hint::black_box;
use std::iter::repeat_n;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nowire_bench_harness::samples::Samples;
use nowire_bench_harness::timing::{one_by_one, timed};
use nowire_memory::heap::{Heap, PAGE_BYTES, PeerHeap, Run};

/// Room for a few of the largest.
const HEAP_BYTES: u64 = 64 << 20;

/// Seals so many bytes, a whole number of pages, and has a reader map them and
/// see the seal. Making and writing the pages is not part of it, nor is giving
/// them back.
pub(crate) fn seal(bytes: usize, time: Duration) -> Result<Samples> {
    let heap = Heap::reserve(HEAP_BYTES, HEAP_BYTES, "bench-seal")?;
    let reader = PeerHeap::reserve(heap.base(), heap.window_bytes())?;
    let pages = u32::try_from(bytes / PAGE_BYTES)?;
    one_by_one(time, || {
        heap.shrink();
        let (run, grown) = heap.grow_sealable(pages)?;
        let run = Arc::new(run);
        let scope = Run::scope(Arc::clone(&run));
        scope.slice_of(repeat_n(1_u8, scope.capacity_bytes() - scope.used_bytes()))?;
        drop(scope);
        let run = Arc::into_inner(run).context("the scope is still there")?;
        let mut sealed = None;
        let took = timed(|| {
            sealed = Some(run.seal()?);
            Ok(reader.add(grown.page, grown.pages, grown.descriptor)?)
        })?;
        reader.remove(grown.page)?;
        Ok(took)
    })
}

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
