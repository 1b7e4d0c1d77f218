//! The data of a call: how a client makes it, how a service reads and changes it.

use std::cell::RefCell;

use anyhow::{Result, bail};
use nowire_bench_harness::cell::Carrier;
use nowire_bench_harness::mark::sum;
use nowire_grpc::Blob;
use nowire_memory::refs::{Buffer, PAGE_BYTES, Pool, PoolOptions, Reuse};

/// Read at a time; a multiple of what [`sum`] adds up at once.
const PIECE_BYTES: usize = 64 << 10;

/// What stands for the bytes in a message.
const TOKEN_BYTES: usize = 24;

/// Makes the data of one call after the other.
#[derive(Clone, Debug)]
pub(crate) enum Maker {
    /// In memory of the process alone.
    Bytes,
    /// In memory that others can be let read.
    Pooled(Pool),
}

impl Maker {
    pub(crate) fn of(carrier: Carrier) -> Result<Self> {
        match carrier {
            Carrier::Unix | Carrier::Plain | Carrier::Nowire => Ok(Self::Bytes),
            Carrier::Refs | Carrier::Fresh => Ok(Self::Pooled(pool_of(carrier))),
            other => bail!("there is no data for {other}"),
        }
    }

    /// Data full of this byte, written anew.
    pub(crate) fn make(&self, filling: u8, bytes: usize) -> Result<Blob> {
        Ok(match self {
            Self::Bytes => vec![filling; bytes].into(),
            Self::Pooled(pool) => written(pool, filling, bytes)?.share().into(),
        })
    }
}

/// A pool for data of this carrier.
pub(crate) fn pool_of(carrier: Carrier) -> Pool {
    let reuse = match carrier {
        Carrier::Fresh => Reuse::Never,
        _ => Reuse::default(),
    };
    Pool::new(PoolOptions {
        reuse,
        ..PoolOptions::default()
    })
}

/// Memory of a pool full of this byte.
pub(crate) fn written(pool: &Pool, filling: u8, bytes: usize) -> Result<Buffer> {
    let mut buffer = pool.with_capacity(bytes)?;
    // A page that stays in the first-level cache: nothing else is read.
    let page = [filling; PAGE_BYTES];
    for at in (0..bytes).step_by(PAGE_BYTES) {
        buffer.extend_from_slice(&page[..PAGE_BYTES.min(bytes - at)])?;
    }
    Ok(buffer)
}

/// Bytes that a service has to do with to pass this on once.
pub(crate) fn carried_bytes(data: &Blob) -> usize {
    match data.reference() {
        Some(_) => TOKEN_BYTES,
        None => data.len(),
    }
}

/// Reads every byte: where they lie by value, or if it is trusted that they stay as
/// they are, and else piece by piece, so that each is read while it is in the cache.
/// A sum needs them not all at once.
pub(crate) fn read(data: &Blob, in_place: bool) -> Result<u64> {
    let reference = match data.reference() {
        Some(reference) if !in_place => reference,
        _ => return Ok(sum(&data.open()?)),
    };
    thread_local! {
        static PIECE: RefCell<Vec<u8>> = RefCell::new(vec![0; PIECE_BYTES]);
    }
    PIECE.with_borrow_mut(|piece| {
        let mut total = 0_u64;
        for at in (0..reference.len()).step_by(PIECE_BYTES) {
            let piece = &mut piece[..PIECE_BYTES.min(reference.len() - at)];
            reference.read(at, piece)?;
            total = total.wrapping_add(sum(piece));
        }
        Ok(total)
    })
}

/// Reads so many bytes of this process, as those of another are read.
pub(crate) fn read_own(bytes: usize, in_place: bool) -> Result<()> {
    thread_local! {
        static OWN: RefCell<Blob> = RefCell::default();
    }
    OWN.with_borrow_mut(|own| {
        if own.len() != bytes {
            *own = Maker::Pooled(pool_of(Carrier::Refs)).make(1, bytes)?;
        }
        std::hint::black_box(read(own, in_place)?);
        Ok(())
    })
}

/// Fills so much of the pages, then reads every byte.
pub(crate) fn change(data: Blob, percent: u32, filling: u8) -> Result<u64> {
    if percent == 0 {
        return read(&data, false);
    }
    let end = changed_bytes(data.len(), percent);
    let Some(reference) = data.reference() else {
        let bytes = data.to_bytes()?;
        drop(data);
        let mut bytes = match bytes.try_into_mut() {
            Ok(bytes) => bytes,
            // Somebody else still looks at it.
            Err(shared) => shared.as_ref().into(),
        };
        bytes[..end].fill(filling);
        return Ok(sum(&bytes));
    };
    let mut edit = reference.edit(Pool::process())?;
    let page = [filling; PAGE_BYTES];
    for at in (0..end).step_by(PAGE_BYTES) {
        edit.write(at, &page[..PAGE_BYTES.min(end - at)])?;
    }
    Ok(sum(&edit.map()?))
}

/// How many of the bytes are in so much of the pages.
pub(crate) fn changed_bytes(bytes: usize, percent: u32) -> usize {
    let pages = (bytes.div_ceil(PAGE_BYTES) * percent as usize).div_ceil(100);
    (pages * PAGE_BYTES).min(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nowire_bench_harness::mark::sum_of_equal;

    #[test]
    fn a_part_of_the_pages_is_changed() -> Result<()> {
        for (percent, pages) in [(0, 0), (25, 2), (50, 4), (100, 8)] {
            let wanted = sum_of_equal(9, pages * PAGE_BYTES)
                .wrapping_add(sum_of_equal(3, (8 - pages) * PAGE_BYTES));
            for carrier in [Carrier::Unix, Carrier::Refs, Carrier::Fresh] {
                let data = Maker::of(carrier)?.make(3, 8 * PAGE_BYTES)?;
                assert_eq!(change(data, percent, 9)?, wanted, "{percent} % {carrier}");
            }
        }
        Ok(())
    }
}
