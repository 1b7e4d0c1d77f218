//! The machine the figures come from, and which of its cores to use.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where clients and servers run.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// Every client's core.
    pub client: usize,
    /// Every server's core.
    pub server: usize,
}

impl Cores {
    /// The first two cores this process may use; the same one twice if there
    /// is only one.
    ///
    /// # Errors
    ///
    /// When the kernel does not say which may be used.
    pub fn choose() -> Result<Self> {
        let allowed = sched_getaffinity(None).context("asking which cores may be used")?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        let client = cores.next().context("no core may be used")?;
        Ok(Self {
            client,
            server: cores.next().unwrap_or(client),
        })
    }

    /// Whether a client and a server can run at the same time.
    pub fn are_two(self) -> bool {
        self.client != self.server
    }
}

/// Keeps the calling thread, and the threads it will start, on one core.
///
/// # Errors
///
/// When the kernel refuses.
pub fn stay_on(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("staying on core {core}"))
}

/// Processor, cores, kernel and load, in one line.
pub fn description() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .and_then(|rest| rest.split_once(':'))
        .map_or("unknown processor", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    format!(
        "{model}, {cores} cores, Linux {}, load average before the run {load}",
        kernel.trim()
    )
}

/// What reading the clock costs, in ns. Of the two readings around a call, about
/// one lies between the two times they give.
pub fn clock_ns() -> f64 {
    const READINGS: u32 = 100_000;
    let start = Instant::now();
    for _ in 0..READINGS {
        std::hint::black_box(Instant::now());
    }
    start.elapsed().as_nanos() as f64 / f64::from(READINGS)
}
