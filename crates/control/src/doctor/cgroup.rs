//! The control group this process lives in.

use std::path::PathBuf;

use super::read;

const ROOT: &str = "/sys/fs/cgroup";

/// Its directory, where control groups of version 2 are mounted.
pub(super) fn directory() -> Option<PathBuf> {
    let groups = read::text("/proc/self/cgroup")?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let directory = PathBuf::from(ROOT).join(path);
    directory.is_dir().then_some(directory)
}

/// The tightest memory limit on the way to the root, in bytes.
pub(super) fn memory_limit() -> Option<u64> {
    if let Some(limit) = read::number(format!("{ROOT}/memory/memory.limit_in_bytes")) {
        // Version 1 writes "no limit" as a number near 2^63.
        return (limit < 1 << 60).then_some(limit);
    }
    let directory = directory()?;
    directory
        .ancestors()
        .take_while(|ancestor| ancestor.starts_with(ROOT))
        .filter_map(|ancestor| read::number(ancestor.join("memory.max")))
        .min()
}
