//! The floor: what the two cores need to hand bytes to each other, with nobody
//! asking for more than that.
//!
//! Each side owns a segment that the other reads. A turn is: write the bytes,
//! store the turn number, spin until the other side's turn number follows, read
//! its bytes. With no bytes, one cache line goes there and one comes back. Where
//! only the caller writes, the other side answers with its turn number alone.

use std::io::BufReader;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nowire_bench_harness::cell::{Case, Load};
use nowire_bench_harness::control::{hear, say};
use nowire_bench_harness::samples::Samples;
use nowire_bench_harness::timing::{one_by_one, spin_until};
use nowire_memory::{OwnedSegment, PeerSegment, socket};
use nowire_protocol::memory::{ReadMemory, WriteMemory};
use rustix::event::{PollFd, PollFlags, poll};

/// Where the turn number lies.
const TURN: usize = 0;
/// Where the bytes begin: on a page of their own, so that fetching the turn
/// number fetches none of them.
const DATA: usize = 4096;
const LARGEST: usize = 1 << 20;
/// Bytes are moved through a private buffer of this size, which stays in the
/// first-level cache: only the shared memory costs anything.
const PIECE: usize = 4096;
/// Set in the number of the last turn when the run is over.
const OVER: u64 = 1 << 63;
struct Side {
    mine: OwnedSegment,
    theirs: PeerSegment,
    piece: [u8; PIECE],
}

impl Side {
    /// Swaps segments with whoever is at the other end.
    fn meet(stream: &UnixStream) -> Result<Self> {
        let bytes = DATA + LARGEST;
        let mine = OwnedSegment::create("floor", bytes)?;
        socket::send_with_descriptors(stream.as_fd(), &[0], &[mine.descriptor()])?;
        poll(&mut [PollFd::new(stream, PollFlags::IN)], None)?;
        let received = socket::recv_with_descriptors(stream.as_fd(), &mut [0], 1)?;
        let descriptor = received.descriptors.into_iter().next();
        let descriptor = descriptor.context("the other side of the floor sent no segment")?;
        Ok(Self {
            mine,
            theirs: PeerSegment::map(descriptor, bytes)?,
            piece: [0; PIECE],
        })
    }

    fn write(&mut self, bytes: usize, turn: u64) {
        self.piece.fill(turn as u8);
        for at in (0..bytes).step_by(PIECE) {
            let piece = PIECE.min(bytes - at);
            self.mine.copy_in(DATA + at, &self.piece[..piece]);
        }
        self.mine.store(TURN, turn, Release);
    }

    /// Waits until the other side's turn number satisfies `next`, and returns it.
    fn spin_until(&self, next: impl Fn(u64) -> bool) -> Result<u64> {
        spin_until(|| {
            let turn = self.theirs.load(TURN, Acquire);
            Ok(next(turn).then_some(turn))
        })
    }

    /// Reads what the other side wrote in this turn.
    fn read(&mut self, bytes: usize, turn: u64) -> bool {
        let mut right = true;
        for at in (0..bytes).step_by(PIECE) {
            let piece = PIECE.min(bytes - at);
            self.theirs.copy_out(DATA + at, &mut self.piece[..piece]);
            right &= self.piece[0] == turn as u8;
        }
        right
    }
}

/// Takes turns with one client after the other.
pub(crate) fn serve(listener: &UnixListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        let mut side = Side::meet(&stream)?;
        let mut orders = BufReader::new(stream);
        let mut turn = 0;
        // Between runs it sleeps here, spinning for nobody.
        while let Some(load) = hear::<Load>(&mut orders)? {
            let bytes = load.bytes;
            ensure!(bytes <= LARGEST, "a floor of {bytes} bytes is too large");
            loop {
                let next = side.spin_until(|next| next != turn)?;
                if next == turn | OVER {
                    // The client waits for this: the next run may be of
                    // another size.
                    side.mine.store(TURN, next, Release);
                    turn = next;
                    break;
                }
                ensure!(
                    side.read(bytes, next),
                    "the client's bytes are not of turn {next}"
                );
                side.write(answered(load), next);
                turn = next;
            }
        }
    }
}

/// How many bytes come back.
fn answered(load: Load) -> usize {
    match load.case {
        Case::Write => 0,
        _ => load.bytes,
    }
}

/// The side that begins.
pub(crate) struct Client {
    side: Side,
    stream: UnixStream,
    turn: u64,
}

impl Client {
    pub(crate) fn connect(path: &str) -> Result<Self> {
        let stream = UnixStream::connect(path).with_context(|| format!("connecting to {path}"))?;
        Ok(Self {
            side: Side::meet(&stream)?,
            stream,
            turn: 0,
        })
    }

    /// Takes turns for so long.
    pub(crate) fn run(&mut self, load: Load, time: Duration) -> Result<Samples> {
        say(&mut self.stream, &load)?;
        let samples = one_by_one(time, || self.turn(load))?;
        self.turn |= OVER;
        self.side.mine.store(TURN, self.turn, Release);
        self.side.spin_until(|theirs| theirs == self.turn)?;
        Ok(samples)
    }

    fn turn(&mut self, load: Load) -> Result<(Duration, Instant)> {
        let turn = (self.turn & !OVER) + 1;
        let start = Instant::now();
        self.side.write(load.bytes, turn);
        self.side.spin_until(|theirs| theirs == turn)?;
        let right = self.side.read(answered(load), turn);
        let now = Instant::now();
        ensure!(right, "the server's bytes are not of turn {turn}");
        self.turn = turn;
        Ok((now - start, now))
    }
}
