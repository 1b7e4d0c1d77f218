//! Prints what a copy into and out of a segment costs, next to the C library's
//! between private buffers: `cargo run --release -p nowire-memory --example copy_speed`.

use std::hint::black_box;
use std::time::Instant;

use nowire_memory::OwnedSegment;
use nowire_protocol::memory::{ReadMemory, WriteMemory};

const AREA_BYTES: usize = 256 << 10;
const BYTES_PER_RUN: usize = 256 << 20;

/// Nanoseconds per call of `copy`, the best of five runs; `copy` gets an offset
/// that goes round the area.
fn measure(bytes: usize, mut copy: impl FnMut(usize)) -> f64 {
    let calls = (BYTES_PER_RUN / bytes).min(2_000_000);
    let places = AREA_BYTES / bytes;
    let run = |_| {
        let begin = Instant::now();
        for call in 0..calls {
            copy(call % places * bytes);
        }
        begin.elapsed().as_nanos() as f64 / calls as f64
    };
    (0..5).map(run).fold(f64::INFINITY, f64::min)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let segment = OwnedSegment::create("copy-speed", AREA_BYTES)?;
    let mut area = vec![1_u8; AREA_BYTES];
    let mut private = vec![0_u8; AREA_BYTES];
    println!(
        "{:>8} {:>10} {:>10} {:>10}  ns",
        "bytes", "copy_in", "copy_out", "memcpy"
    );
    for bytes in [8, 32, 64, 256, 1024, 4096, 16_384, 32_768] {
        let copy_in = measure(bytes, |at| {
            segment.copy_in(at, black_box(&private[..bytes]))
        });
        let copy_out = measure(bytes, |at| {
            segment.copy_out(at, black_box(&mut private[..bytes]))
        });
        let memcpy = measure(bytes, |at| {
            area[at..at + bytes].copy_from_slice(black_box(&private[..bytes]));
            black_box(&mut area);
        });
        println!("{bytes:>8} {copy_in:>10.1} {copy_out:>10.1} {memcpy:>10.1}");
    }
    Ok(())
}
