//! Which processor cores the two processes run on.

use std::fs;
use std::io;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where server and client run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Each on a core of its own.
    Separate {
        /// The server's core, numbered as the kernel does.
        server: usize,
        /// The client's core.
        client: usize,
        /// Whether the two are hardware threads of one physical core.
        siblings: bool,
    },
    /// There is only one core.
    Shared,
}

impl Placement {
    /// Picks two cores out of those this process may use: of one package but
    /// of two physical cores if there are such, else the first two.
    ///
    /// # Errors
    /// If the kernel does not tell which cores this process may use.
    pub fn choose() -> io::Result<Self> {
        let usable = usable_cores()?;
        let Some((&server, others)) = usable.split_first() else {
            return Ok(Self::Shared);
        };
        let Some(&second) = others.first() else {
            return Ok(Self::Shared);
        };
        let near = |core: usize| {
            topology(core, "physical_package_id") == topology(server, "physical_package_id")
        };
        let sibling = |core: usize| {
            topology(core, "core_cpus_list").is_some()
                && topology(core, "core_cpus_list") == topology(server, "core_cpus_list")
        };
        let apart = others.iter().copied().filter(|&core| !sibling(core));
        let client = apart
            .clone()
            .find(|&core| near(core))
            .or_else(|| apart.clone().next())
            .unwrap_or(second);
        Ok(Self::Separate {
            server,
            client,
            siblings: sibling(client),
        })
    }
}

/// The cores this process may use, in ascending order.
///
/// # Errors
/// If the kernel does not tell.
pub fn usable_cores() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|&core| set.is_set(core))
        .collect())
}

/// Keeps this thread, and those it will start, on `core`.
///
/// # Errors
/// If `core` does not exist or may not be used.
pub fn stay_on(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    if core >= CpuSet::MAX_CPU {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "core {core}: the kernel counts up to {}",
                CpuSet::MAX_CPU - 1
            ),
        ));
    }
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

fn topology(core: usize, file: &str) -> Option<String> {
    fs::read_to_string(format!("/sys/devices/system/cpu/cpu{core}/topology/{file}")).ok()
}
