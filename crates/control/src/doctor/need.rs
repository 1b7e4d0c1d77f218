//! What Nowire cannot do without. What can be tried is tried.

use std::os::fd::AsFd;

use anyhow::{Context, ensure};
use nowire_memory::socket::{self, Drained};
use nowire_memory::{OwnedSegment, PeerSegment, SegmentError};
use nowire_protocol::memory::{ReadMemory, WriteMemory};
use rustix::fs::{FallocateFlags, SealFlags, fallocate, fcntl_add_seals, ftruncate};
use rustix::io::Errno;
use rustix::system::uname;

use super::finding::Finding;
use super::{cgroup, read};
use crate::demo::placement::usable_cores;

/// The first Linux with `F_SEAL_FUTURE_WRITE`.
const KERNEL_MIN: (u32, u32) = (5, 1);
const PROBE_BYTES: usize = 4096;
const PROBE_TEXT: &[u8; 20] = b"written by the owner";

/// Everything Nowire needs, tried or looked up.
pub(super) fn findings() -> Vec<Finding> {
    vec![kernel(), cores(), sealed_memory(), passed_memory()]
}

fn kernel() -> Finding {
    let name = uname();
    let release = name.release().to_string_lossy();
    let machine = name.machine().to_string_lossy();
    let here = format!("Linux {release} {machine}");
    let (major, minor) = KERNEL_MIN;
    let new_enough = version(&release).is_none_or(|version| version >= KERNEL_MIN);
    Finding::need(
        "kernel",
        "kernel",
        if new_enough { Ok(here) } else { Err(here) },
        &format!("needs {major}.{minor} or newer"),
    )
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn cores() -> Finding {
    let quota = cpu_quota().map_or(String::new(), |cores| {
        format!(", quota {cores:.1} (cgroup)")
    });
    let usable = usable_cores().map(|cores| cores.len());
    let today = match usable {
        Ok(1) => "one core: spins in vain, slow",
        _ => "waiting: spin, then sleep",
    };
    let here = usable
        .map(|count| format!("{count} usable{quota}"))
        .map_err(|error| error.to_string());
    Finding::need("cores", "cores", here, today)
}

/// Cores' worth of time that the control group grants, if it limits it.
fn cpu_quota() -> Option<f64> {
    let setting = read::text(cgroup::directory()?.join("cpu.max"))?;
    let (quota, period) = setting.split_once(' ')?;
    Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
}

fn sealed_memory() -> Finding {
    let here =
        try_seals().map(|()| "tried: write, resize, hole and further seal refused".to_owned());
    Finding::need(
        "memfd_seals",
        "sealed memory",
        here,
        "outboxes: peers only read",
    )
}

/// Makes a segment and tries to break into it through its descriptor, which is
/// all that a peer gets.
fn try_seals() -> Result<(), String> {
    let segment = new_segment().map_err(|error| error.to_string())?;
    let memory = segment.descriptor();
    let bytes = PROBE_BYTES as u64;
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let attempts = [
        ("writing", rustix::io::pwrite(memory, b"x", 0).map(drop)),
        ("growing", ftruncate(memory, 2 * bytes)),
        ("shrinking", ftruncate(memory, 0)),
        ("punching a hole", fallocate(memory, hole, 0, bytes)),
        ("another seal", fcntl_add_seals(memory, SealFlags::WRITE)),
    ];
    for (attempt, outcome) in attempts {
        match outcome {
            Err(Errno::PERM) => {}
            Err(error) => return Err(format!("{attempt} failed, but not for the seal: {error}")),
            Ok(()) => return Err(format!("{attempt} was NOT refused")),
        }
    }
    Ok(())
}

fn new_segment() -> Result<OwnedSegment, SegmentError> {
    let segment = OwnedSegment::create("nowire-doctor", PROBE_BYTES)?;
    segment.copy_in(0, PROBE_TEXT);
    Ok(segment)
}

fn passed_memory() -> Finding {
    Finding::need(
        "unix_socket",
        "Unix sockets",
        try_passing().map_err(|error| format!("{error:#}")),
        "handshake, doorbell, hang-up",
    )
}

/// Hands a segment through a socket and maps it, as a handshake does.
fn try_passing() -> anyhow::Result<String> {
    let (ours, theirs) = socket::pair()?;
    let segment = new_segment()?;
    socket::send_with_descriptors(ours.as_fd(), b"m", &[segment.descriptor()])?;
    let mut byte = [0];
    let received = socket::recv_with_descriptors(theirs.as_fd(), &mut byte, 1)?;
    let descriptor = received.descriptors.into_iter().next();
    let descriptor = descriptor.context("the descriptor did not arrive")?;
    let mapped = PeerSegment::map(descriptor, PROBE_BYTES)?;
    let mut text = [0; PROBE_TEXT.len()];
    mapped.copy_out(0, &mut text);
    ensure!(text == *PROBE_TEXT, "the memory arrived with other bytes");
    socket::ring_doorbell(ours.as_fd())?;
    let rung = socket::drain_doorbell(theirs.as_fd())?;
    ensure!(
        rung == Drained::Rung(1),
        "the doorbell was not heard: {rung:?}"
    );
    let peer = socket::peer_credentials(theirs.as_fd())?;
    Ok(format!(
        "tried: passed memory, rang, peer is uid {}",
        peer.uid
    ))
}
