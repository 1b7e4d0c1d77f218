//! What references cost on this machine, by size: the median in microseconds.
//!
//! `cargo run --release -p nowire-memory --example ref_costs`

use std::error::Error;
use std::hint::black_box;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nowire_memory::heap::Keeping;
use nowire_memory::refs::{Audience, Extent, Pool, PoolOptions, Ref, Reuse, Source};
use nowire_memory::socket;

type Outcome = Result<(), Box<dyn Error>>;

const SIZES: [usize; 4] = [4 << 10, 64 << 10, 1 << 20, 4 << 20];

/// Runs `round`, which returns what it wants counted, and prints the median.
fn measure(
    name: &str,
    mut round: impl FnMut(usize) -> Result<Duration, Box<dyn Error>>,
) -> Outcome {
    print!("{name:<44}");
    for size in SIZES {
        let rounds = (64 << 20) / size.max(64 << 10);
        let mut taken = Vec::with_capacity(rounds);
        for _ in 0..rounds + 4 {
            taken.push(round(size)?);
        }
        taken.drain(..4);
        taken.sort_unstable();
        let median = taken[taken.len() / 2];
        print!("{:>11.2}", median.as_nanos() as f64 / 1000.0);
    }
    println!();
    Ok(())
}

fn audience(uid: u32, seal_from_bytes: u32) -> Audience {
    Audience {
        connection: 1,
        uid,
        seal_from_bytes,
    }
}

/// Sends a ref through a socket and takes it out at the other end.
struct Hop {
    near: OwnedFd,
    far: OwnedFd,
    source: Arc<Source>,
    audience: Audience,
    pool: Pool,
}

impl Hop {
    fn new(keeping: Keeping, seal_from_bytes: u32, pool: &Pool) -> Result<Self, Box<dyn Error>> {
        let (near, far) = socket::pair()?;
        let uid = rustix::process::geteuid().as_raw();
        Ok(Self {
            near,
            far,
            source: Source::new(2, uid, keeping, 64, "the peer"),
            audience: audience(uid, seal_from_bytes),
            pool: pool.clone(),
        })
    }

    fn send(&self, passed: &Ref) -> Result<Vec<Extent>, Box<dyn Error>> {
        let passed = passed.pass(&self.audience, &self.pool)?;
        for descriptor in passed.descriptors() {
            socket::send_with_descriptors(self.near.as_fd(), &[2], &[descriptor])?;
        }
        passed.sent();
        Ok(passed.extents().to_vec())
    }

    fn receive(&self, extents: &[Extent]) -> Result<Ref, Box<dyn Error>> {
        let count = extents.iter().map(|e| e.descriptor + 1).max().unwrap_or(0);
        let mut descriptors = Vec::new();
        for _ in 0..count {
            let mut byte = [0];
            let mut received = socket::recv_with_descriptors(self.far.as_fd(), &mut byte, 1)?;
            descriptors.push(received.descriptors.pop());
        }
        Ok(Ref::arrived(extents, descriptors, &self.source)?)
    }

    fn carry(&self, passed: &Ref) -> Result<Ref, Box<dyn Error>> {
        let extents = self.send(passed)?;
        self.receive(&extents)
    }
}

fn main() -> Outcome {
    nowire_memory::keep_freed_memory();
    print!("{:<44}", "µs");
    for size in SIZES {
        print!("{:>7} KiB", size >> 10);
    }
    println!();
    let fresh = Pool::new(PoolOptions {
        reuse: Reuse::Never,
        ..PoolOptions::default()
    });
    let warm = Pool::new(PoolOptions::default());
    let data = vec![7_u8; 4 << 20];

    measure("with_capacity, fresh", |size| {
        let start = Instant::now();
        let buffer = fresh.with_capacity(size)?;
        let taken = start.elapsed();
        drop(buffer);
        Ok(taken)
    })?;
    measure("with_capacity, used again, and drop", |size| {
        let start = Instant::now();
        drop(black_box(warm.with_capacity(size)?));
        Ok(start.elapsed())
    })?;
    measure("alloc (zeroed), used again, and drop", |size| {
        let start = Instant::now();
        drop(black_box(warm.alloc(size)?));
        Ok(start.elapsed())
    })?;
    measure("copy_of, used again, and drop", |size| {
        let start = Instant::now();
        drop(black_box(warm.copy_of(&data[..size])?));
        Ok(start.elapsed())
    })?;
    measure("share", |size| {
        let buffer = warm.alloc(size)?;
        let start = Instant::now();
        let shared = buffer.share();
        let taken = start.elapsed();
        drop(shared);
        Ok(taken)
    })?;
    measure("share and drop (never passed)", |size| {
        let buffer = warm.alloc(size)?;
        let start = Instant::now();
        drop(black_box(buffer.share()));
        Ok(start.elapsed())
    })?;
    measure("clone and drop", |size| {
        let shared = warm.alloc(size)?.share();
        let start = Instant::now();
        drop(black_box(shared.clone()));
        Ok(start.elapsed())
    })?;

    let copying = Hop::new(Keeping::Copy, u32::MAX, &warm)?;
    measure("pass, the first time", |size| {
        let shared = warm.alloc(size)?.share();
        let start = Instant::now();
        let passed = shared.pass(&copying.audience, &warm)?;
        let taken = start.elapsed();
        drop(passed);
        Ok(taken)
    })?;
    measure("pass, again", |size| {
        let shared = warm.alloc(size)?.share();
        drop(shared.pass(&copying.audience, &warm)?);
        let start = Instant::now();
        let passed = shared.pass(&copying.audience, &warm)?;
        let taken = start.elapsed();
        drop(passed);
        Ok(taken)
    })?;
    measure("with_capacity, after a proof (was passed)", |size| {
        drop(copying.carry(&warm.alloc(size)?.share())?);
        let start = Instant::now();
        let buffer = warm.with_capacity(size)?;
        let taken = start.elapsed();
        drop(buffer);
        Ok(taken)
    })?;
    measure("forwarding: arrive, pass on, arrive, drop", |size| {
        let shared = warm.alloc(size)?.share();
        let extents = copying.send(&shared)?;
        let start = Instant::now();
        let arrived = copying.receive(&extents)?;
        let extents = copying.send(&arrived)?;
        drop(arrived);
        drop(copying.receive(&extents)?);
        Ok(start.elapsed())
    })?;
    for (name, keeping, seal, pool) in [
        ("map and drop, copied", Keeping::Copy, u32::MAX, &fresh),
        (
            "map and drop, copied, came before",
            Keeping::Copy,
            u32::MAX,
            &warm,
        ),
        ("map and drop, trusted", Keeping::Trust, u32::MAX, &fresh),
        (
            "map and drop, trusted, came before",
            Keeping::Trust,
            u32::MAX,
            &warm,
        ),
        ("map and drop, sealed", Keeping::Seal, 0, &fresh),
    ] {
        let hop = Hop::new(keeping, seal, pool)?;
        measure(name, |size| {
            let arrived = hop.carry(&pool.alloc(size)?.share())?;
            let start = Instant::now();
            let view = arrived.map()?;
            black_box(view[size - 1]);
            drop(view);
            Ok(start.elapsed())
        })?;
    }
    let sealing = Hop::new(Keeping::Seal, 0, &warm)?;
    measure("pass with the seal", |size| {
        let shared = warm.alloc(size)?.share();
        let start = Instant::now();
        let passed = shared.pass(&sealing.audience, &warm)?;
        let taken = start.elapsed();
        drop(passed);
        Ok(taken)
    })?;
    measure("edit: write 25 %, share", |size| {
        let shared = warm.alloc(size)?.share();
        let start = Instant::now();
        let mut edit = shared.edit(&warm)?;
        edit.write(0, &data[..size / 4])?;
        let edited = edit.share();
        let taken = start.elapsed();
        drop(edited);
        Ok(taken)
    })?;
    measure("pass a slice, with its copy", |size| {
        let shared = warm.alloc(size)?.share().slice(1..)?;
        let start = Instant::now();
        let passed = shared.pass(&copying.audience, &warm)?;
        let taken = start.elapsed();
        drop(passed);
        Ok(taken)
    })?;
    Ok(())
}
