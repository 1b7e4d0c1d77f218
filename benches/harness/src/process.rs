//! What this process has used: processor time, page faults, memory.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Processor time and page faults of a process since it started, or between
/// two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Time on a processor, of all threads together.
    pub cpu_ns: u64,
    /// Page faults that needed no disk.
    pub minor_faults: u64,
}

impl Usage {
    /// Of this process, all its threads together, up to now.
    ///
    /// # Errors
    ///
    /// When `/proc` does not say.
    pub fn now() -> Result<Self> {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        Ok(Self {
            cpu_ns: cpu.tv_sec as u64 * 1_000_000_000 + cpu.tv_nsec as u64,
            minor_faults: minor_faults()?,
        })
    }

    /// What was used after the earlier moment.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.saturating_sub(earlier.cpu_ns),
            minor_faults: self.minor_faults.saturating_sub(earlier.minor_faults),
        }
    }

    /// What two processes used together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns + other.cpu_ns,
            minor_faults: self.minor_faults + other.minor_faults,
        }
    }
}

fn minor_faults() -> Result<u64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second field is the program's name in brackets and may hold spaces.
    stat.rsplit_once(')')
        .and_then(|(_, fields)| fields.split_ascii_whitespace().nth(7))
        .and_then(|field| field.parse().ok())
        .context("no count of minor faults in /proc/self/stat")
}

/// Memory of a process at one moment, in bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    /// Resident memory that belongs to this process alone.
    pub private_bytes: u64,
    /// Anonymous shared-memory objects it maps: inode and size. Two processes
    /// that map one object name the same inode.
    pub shared: BTreeMap<u64, u64>,
}

impl Memory {
    /// Of this process.
    ///
    /// # Errors
    ///
    /// When `/proc` does not say.
    pub fn now() -> Result<Self> {
        Ok(Self {
            private_bytes: status_kib("RssAnon:")? * 1024,
            shared: shared_objects(&fs::read_to_string("/proc/self/maps")?),
        })
    }

    /// Bytes of shared memory that any of these processes maps, each object
    /// counted once.
    pub fn shared_bytes(processes: &[&Self]) -> u64 {
        let mut objects = BTreeMap::new();
        for process in processes {
            for (&inode, &size) in &process.shared {
                let known: &mut u64 = objects.entry(inode).or_default();
                *known = size.max(*known);
            }
        }
        objects.values().sum()
    }
}

fn status_kib(field: &str) -> Result<u64> {
    fs::read_to_string("/proc/self/status")?
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
        .with_context(|| format!("no {field} in /proc/self/status"))
}

/// Reads lines such as
/// `7f0000000000-7f0000010000 r--s 00000000 00:01 1234  /memfd:outbox (deleted)`.
fn shared_objects(maps: &str) -> BTreeMap<u64, u64> {
    let mut objects = BTreeMap::new();
    for line in maps.lines().filter(|line| line.contains("/memfd:")) {
        let mut fields = line.split_ascii_whitespace();
        let parsed = (|| {
            let (from, to) = fields.next()?.split_once('-')?;
            let from = u64::from_str_radix(from, 16).ok()?;
            let to = u64::from_str_radix(to, 16).ok()?;
            let offset = u64::from_str_radix(fields.nth(1)?, 16).ok()?;
            let inode = fields.nth(1)?.parse().ok()?;
            Some((inode, offset + (to - from)))
        })();
        if let Some((inode, end)) = parsed {
            let known: &mut u64 = objects.entry(inode).or_default();
            *known = end.max(*known);
        }
    }
    objects
}

/// Raises the number of descriptors this process may have to what it is
/// allowed to ask for; a thousand connections need several thousand.
///
/// # Errors
///
/// When the kernel refuses.
pub fn raise_descriptor_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )
    .context("raising the limit of open descriptors")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_mapped_twice_counts_once() {
        let maps = "\
7f0000000000-7f0000010000 r--s 00000000 00:01 77  /memfd:outbox (deleted)
7f0000010000-7f0000020000 rw-s 00010000 00:01 77  /memfd:outbox (deleted)
7f0000020000-7f0000021000 rw-s 00000000 00:01 78  /memfd:other (deleted)
7f0000030000-7f0000031000 rw-p 00000000 00:00 0
";
        let shared = shared_objects(maps);
        assert_eq!(shared, BTreeMap::from([(77, 0x20000), (78, 0x1000)]));
        let client = Memory {
            private_bytes: 0,
            shared,
        };
        let server = client.clone();
        assert_eq!(Memory::shared_bytes(&[&client, &server]), 0x21000);
    }
}
