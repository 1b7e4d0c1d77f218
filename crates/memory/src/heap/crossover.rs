//! From which size on it pays to seal what is passed instead of copying it.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use rustix::fd::AsFd;
use rustix::fs::SealFlags;

use super::PAGE_BYTES;
use crate::segment::SEALABLE;
use crate::segment::{self, SegmentError};
use crate::sys::private::Private;
use crate::sys::window::{Access, Window};

/// What is measured, in bytes.
const SIZES: [usize; 3] = [64 << 10, 256 << 10, 1 << 20];

/// Sealing that pays only beyond this size is taken as not paying.
const LARGEST_BYTES: f64 = (16_u64 << 20) as f64;

/// Measured rounds per size; the fastest counts.
const ROUNDS: usize = 3;

/// What this machine says about the ways to keep a peer's memory still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Crossover {
    /// From this size in bytes, sealing a fresh one-shot segment is faster than
    /// copying it; `None` when it is not up to 16 MiB, or cannot be done here.
    pub seal_from_bytes: Option<u64>,
}

/// One size, and what it took in nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Sample {
    bytes: f64,
    seal_ns: f64,
    copy_ns: f64,
}

static MEASURED: OnceLock<Crossover> = OnceLock::new();

impl Crossover {
    /// What was measured in this process already.
    pub fn measured() -> Option<Self> {
        MEASURED.get().copied()
    }

    /// Measures once per process, which takes a few milliseconds, and remembers.
    ///
    /// Sealing counts all that it takes, as a sealed segment serves once: making it
    /// and mapping it on both sides, sealing and verifying. Copying counts the copy
    /// into a buffer that was used before, out of memory that was.
    pub fn measure() -> Self {
        *MEASURED.get_or_init(|| Self {
            seal_from_bytes: samples().ok().and_then(|samples| crossing(&samples)),
        })
    }
}

/// Where the line through the samples of sealing comes to lie below that of copying
/// for good, in whole pages.
fn crossing(samples: &[Sample]) -> Option<u64> {
    let gain = |sample: &Sample| sample.copy_ns - sample.seal_ns;
    let (first, last) = (samples.first()?, samples.last()?);
    let loses = samples.iter().rposition(|sample| gain(sample) <= 0.0);
    let bytes = match loses {
        None => first.bytes,
        // Beyond what was measured the last two samples tell how it goes on.
        Some(at) => {
            let from = at.min(samples.len().checked_sub(2)?);
            let (a, b) = (&samples[from], &samples[from + 1]);
            let slope = (gain(b) - gain(a)) / (b.bytes - a.bytes);
            if slope <= 0.0 {
                return None;
            }
            let last_known = if at == from { a } else { last };
            last_known.bytes - gain(last_known) / slope
        }
    };
    (bytes <= LARGEST_BYTES).then(|| (bytes as u64).next_multiple_of(PAGE_BYTES as u64))
}

fn samples() -> Result<Vec<Sample>, SegmentError> {
    let mut samples = Vec::with_capacity(SIZES.len());
    for bytes in SIZES {
        let mut sample = Sample {
            bytes: bytes as f64,
            seal_ns: f64::INFINITY,
            copy_ns: f64::INFINITY,
        };
        let mut buffer = Private::new(bytes).ok_or(SegmentError::Size(bytes))?;
        for _ in 0..ROUNDS {
            let (seal_ns, copy_ns) = round(bytes, &mut buffer)?;
            sample.seal_ns = sample.seal_ns.min(seal_ns);
            sample.copy_ns = sample.copy_ns.min(copy_ns);
        }
        samples.push(sample);
    }
    Ok(samples)
}

/// Seals a fresh segment of `bytes` and copies it; how long each took.
fn round(bytes: usize, buffer: &mut Private) -> Result<(f64, f64), SegmentError> {
    let os = |call| segment::os_error(call, bytes);
    let window = Arc::new(Window::reserve_anywhere(2 * bytes).map_err(os("mmap"))?);
    let making = Instant::now();
    let file = segment::create_file("nowire-crossover", bytes)?;
    let owner = window.map(0..bytes, file.as_fd(), Access::Write);
    let owner = owner.map_err(os("mmap"))?;
    segment::seal(file.as_fd(), bytes, SEALABLE)?;
    let reader = window.map(bytes..2 * bytes, file.as_fd(), Access::ReadPrivate);
    let reader = reader.map_err(os("mmap"))?;
    let making_ns = making.elapsed().as_nanos() as f64;

    buffer.copy_part(&reader, 0, bytes);
    let start = Instant::now();
    buffer.copy_part(&reader, 0, bytes);
    let copy_ns = start.elapsed().as_nanos() as f64;

    let start = Instant::now();
    #[expect(unsafe_code, reason = "the part is told what is mapped there")]
    // SAFETY: it is the file mapped there.
    unsafe {
        owner.detach(file.as_fd());
    }
    segment::seal(file.as_fd(), bytes, SealFlags::WRITE | SealFlags::SEAL)?;
    segment::seals_of(file.as_fd(), bytes)?;
    let sealing_ns = start.elapsed().as_nanos() as f64;
    Ok((making_ns + sealing_ns, copy_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(bytes: u32, seal_ns: u32, copy_ns: u32) -> Sample {
        Sample {
            bytes: bytes.into(),
            seal_ns: seal_ns.into(),
            copy_ns: copy_ns.into(),
        }
    }

    #[test]
    fn the_crossing_lies_between_the_last_loss_and_the_first_gain() {
        let samples = [
            at(65536, 100, 50),
            at(131_072, 100, 150),
            at(262_144, 100, 300),
        ];
        assert_eq!(crossing(&samples), Some(98_304));
    }

    #[test]
    fn sealing_that_always_pays_pays_from_the_smallest_size_measured() {
        assert_eq!(crossing(&[at(8192, 1, 2), at(16_384, 1, 4)]), Some(8192));
    }

    #[test]
    fn a_crossing_beyond_what_was_measured_is_extrapolated_up_to_16_mib() {
        let mib = 1 << 20;
        let near = [at(mib, 40, 10), at(2 * mib, 40, 20)];
        assert_eq!(crossing(&near), Some(4 * u64::from(mib)));
        let far = [at(mib, 400, 10), at(2 * mib, 400, 20)];
        assert_eq!(crossing(&far), None);
    }

    #[test]
    fn sealing_that_falls_ever_further_behind_never_pays() {
        assert_eq!(crossing(&[at(4096, 10, 9), at(8192, 30, 18)]), None);
    }
}
