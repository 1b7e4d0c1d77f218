//! What tests of references have in common: a way from one process's refs to
//! another's, with both ends here.

#![allow(
    dead_code,
    reason = "each test program uses what it needs of this module"
)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nowire_memory::heap::Keeping;
use nowire_memory::refs::{
    Audience, Buffer, Extent, Pool, PoolOptions, Ref, RefError, Reuse, Source,
};
use nowire_memory::socket;
use rustix::fs::{self, MemfdFlags, SealFlags};
use rustix::io;

static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

pub(crate) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A pool of a test's own.
pub(crate) fn pool() -> Pool {
    Pool::new(PoolOptions::default())
}

pub(crate) fn pool_with(change: impl FnOnce(&mut PoolOptions)) -> Pool {
    let mut options = PoolOptions::default();
    change(&mut options);
    Pool::new(options)
}

pub(crate) fn single_use_pool() -> Pool {
    pool_with(|options| options.reuse = Reuse::Never)
}

/// `len` bytes that differ from their neighbours, and by `seed`.
pub(crate) fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len)
        .map(|at| ((at * 31 + at / 251 + seed * 97) % 255 + 1) as u8)
        .collect()
}

/// One direction of a connection: refs go in at one end and come out at the other
/// as if in another process.
pub(crate) struct Way {
    near: OwnedFd,
    far: OwnedFd,
    pub(crate) audience: Audience,
    pub(crate) source: Arc<Source>,
    pub(crate) pool: Pool,
}

/// What a peer gets that is passed a ref.
pub(crate) struct Parcel {
    pub(crate) extents: Vec<Extent>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Way {
    pub(crate) fn new(pool: &Pool) -> Self {
        Self::with(pool, own_uid(), Keeping::Copy, u32::MAX)
    }

    pub(crate) fn with(pool: &Pool, uid: u32, keeping: Keeping, seal_from_bytes: u32) -> Self {
        let (near, far) = socket::pair().expect("a pair of sockets");
        // The numbers are unique in a process; here both ends are in one.
        let number = || CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        Self {
            near,
            far,
            audience: Audience {
                connection: number(),
                uid,
                seal_from_bytes,
            },
            source: Source::new(number(), uid, keeping, 64, "the peer"),
            pool: pool.clone(),
        }
    }

    /// A peer of this user that no test has a way to.
    pub(crate) fn detached_audience() -> Audience {
        Audience {
            connection: CONNECTIONS.fetch_add(1, Ordering::Relaxed),
            uid: own_uid(),
            seal_from_bytes: u32::MAX,
        }
    }

    /// Passes a ref, up to where its descriptors are in the socket.
    pub(crate) fn send(&self, passed: &Ref) -> Result<Vec<Extent>, RefError> {
        let passed = passed.pass(&self.audience, &self.pool)?;
        for descriptor in passed.descriptors() {
            let sent = socket::send_with_descriptors(self.near.as_fd(), &[2], &[descriptor]);
            assert_eq!(sent, Ok(1));
        }
        passed.sent();
        Ok(passed.extents().to_vec())
    }

    /// Takes what was sent out of the socket, as whoever is there can.
    pub(crate) fn receive(&self, extents: Vec<Extent>) -> Parcel {
        let count = extents.iter().map(|e| e.descriptor + 1).max().unwrap_or(0);
        let descriptors = (0..count).map(|_| {
            let mut byte = [0];
            let received = socket::recv_with_descriptors(self.far.as_fd(), &mut byte, 1);
            let mut received = received.expect("a descriptor for each");
            received.descriptors.pop().expect("it came with its byte")
        });
        Parcel {
            descriptors: descriptors.collect(),
            extents,
        }
    }

    pub(crate) fn parcel(&self, passed: &Ref) -> Parcel {
        self.receive(self.send(passed).expect("pass a ref"))
    }

    pub(crate) fn open(&self, parcel: Parcel) -> Result<Ref, RefError> {
        let mut descriptors: Vec<_> = parcel.descriptors.into_iter().map(Some).collect();
        if let ([extent], [descriptor]) = (&parcel.extents[..], &mut descriptors[..]) {
            return Ref::arrived_in_one(extent, descriptor.take(), &self.source);
        }
        Ref::arrived(&parcel.extents, descriptors, &self.source)
    }

    /// Passes a ref; what the peer then has.
    pub(crate) fn carry(&self, passed: &Ref) -> Ref {
        self.open(self.parcel(passed)).expect("an honest ref")
    }
}

/// Waits until `found` finds something. (While another test starts a process, that
/// process has this one's descriptors for a moment.)
pub(crate) fn eventually<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "it never came");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A ref to `bytes` bytes like this one, and where they lie.
pub(crate) fn filled(pool: &Pool, bytes: usize, byte: u8) -> (Ref, usize) {
    let mut buffer = pool.alloc(bytes).expect("memory");
    buffer.fill(byte);
    let place = buffer.as_ptr().addr();
    (buffer.share(), place)
}

/// Whether the memory at `place` is among what the next buffers of `bytes` get, which
/// is filled.
pub(crate) fn is_used_again(pool: &Pool, bytes: usize, place: usize) -> bool {
    let free = pool.usage().kept_bytes / bytes;
    // One more than is free, and what waits is tried.
    let held: Vec<_> = (0..=free).map(|_| filled(pool, bytes, 0xdd)).collect();
    held.iter().any(|(_, there)| *there == place)
}

/// Takes back the memory of a ref of which nobody else has anything.
pub(crate) fn take_back(shared: Ref) -> Buffer {
    let mut shared = Some(shared);
    eventually(|| match shared.take()?.try_into_buffer() {
        Ok(buffer) => Some(buffer),
        Err(refused) => {
            shared = Some(refused);
            None
        }
    })
}

/// Everything that whoever has the descriptor can read.
pub(crate) fn whole_file(file: BorrowedFd<'_>) -> Vec<u8> {
    let size = fs::fstat(file).expect("fstat").st_size as usize;
    let mut bytes = vec![0; size];
    let mut done = 0;
    while done < size {
        let read = io::pread(file, &mut bytes[done..], done as u64).expect("pread");
        assert_ne!(read, 0, "a file is as long as it says");
        done += read;
    }
    bytes
}

/// Tells files apart.
pub(crate) fn inode(file: &OwnedFd) -> u64 {
    fs::fstat(file).expect("fstat").st_ino
}

/// A file full of zeroes, such as a peer may make.
pub(crate) fn memfd(bytes: u64, seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = fs::memfd_create("hostile", flags).expect("a memory file");
    let zeroes = vec![0; bytes as usize];
    assert_eq!(rustix::io::write(&file, &zeroes), Ok(zeroes.len()));
    fs::fcntl_add_seals(&file, seals).expect("seals");
    file
}

/// Runs `body`, the test `name`, in a process of its own, where no other test uses
/// up descriptors or makes mappings.
pub(crate) fn alone(name: &str, body: impl FnOnce()) {
    const ALONE: &str = "NOWIRE_REFS_ALONE";
    if std::env::var(ALONE).as_deref() == Ok(name) {
        return body();
    }
    let status = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(ALONE, name)
        .status()
        .expect("a process for this test");
    assert!(status.success(), "{name}: {status}");
}
