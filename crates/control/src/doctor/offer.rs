//! What the machine offers beyond what Nowire needs.

use std::fs::OpenOptions;

use super::finding::Finding;
use super::read;

const HUGE_PAGES: &str = "/sys/kernel/mm/hugepages";
const TRANSPARENT: &str = "/sys/kernel/mm/transparent_hugepage";

/// Devices and processor features; today's Nowire uses none of them.
pub(super) fn findings() -> Vec<Finding> {
    vec![
        userfaultfd(),
        protection_keys(),
        huge_pages("huge_pages_2m", "2 MiB pages", 2048),
        huge_pages("huge_pages_1g", "1 GiB pages", 1_048_576),
        transparent_huge_pages(),
        cxl(),
        dax(),
        rdma(),
        waiting(),
    ]
}

fn userfaultfd() -> Finding {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/userfaultfd");
    let sysctl = read::number("/proc/sys/vm/unprivileged_userfaultfd");
    let here = match (device.is_ok(), sysctl) {
        (true, _) => Some("/dev/userfaultfd opens".to_owned()),
        (false, Some(1)) => Some("open to every process".to_owned()),
        (false, Some(_)) if rustix::process::geteuid().is_root() => {
            Some("system call, root only".to_owned())
        }
        (false, Some(_)) => Some("system call, own faults only".to_owned()),
        (false, None) => None,
    };
    Finding::offer("userfaultfd", "userfaultfd", here, "not used yet (sealing)")
}

fn protection_keys() -> Finding {
    let flags = cpu_flags();
    let has = |flag: &str| flags.iter().any(|have| have == flag);
    let here = match (has("pku"), has("ospke")) {
        (true, true) => Some("pku, switched on (ospke)".to_owned()),
        (true, false) => Some("pku, off in the kernel".to_owned()),
        (false, _) => None,
    };
    Finding::offer(
        "protection_keys",
        "protection keys",
        here,
        "not used yet (sandboxing)",
    )
}

fn cpu_flags() -> Vec<String> {
    let info = read::text("/proc/cpuinfo").unwrap_or_default();
    let flags = info.lines().find(|line| line.starts_with("flags"));
    let list = flags
        .and_then(|line| line.split_once(':'))
        .map_or("", |(_, list)| list);
    list.split_whitespace().map(str::to_owned).collect()
}

fn huge_pages(id: &'static str, what: &'static str, kib: u64) -> Finding {
    let pool = format!("{HUGE_PAGES}/hugepages-{kib}kB");
    let reserved = read::number(format!("{pool}/nr_hugepages"));
    let free = read::number(format!("{pool}/free_hugepages")).unwrap_or(0);
    let here = reserved.map(|reserved| match reserved {
        0 => "none reserved".to_owned(),
        _ => format!("{reserved} reserved, {free} free"),
    });
    Finding::offer(id, what, here, "not used yet (big segments)")
}

fn transparent_huge_pages() -> Finding {
    let general = read::chosen(format!("{TRANSPARENT}/enabled"));
    let shared = read::chosen(format!("{TRANSPARENT}/shmem_enabled"));
    let here = general.map(|general| {
        let shared = shared.unwrap_or_else(|| "not offered".to_owned());
        format!("{general}, for shmem {shared}")
    });
    Finding::offer(
        "transparent_huge_pages",
        "transparent pages",
        here,
        "left as it is",
    )
}

fn cxl() -> Finding {
    Finding::offer(
        "cxl",
        "CXL memory",
        listed(read::names("/sys/bus/cxl/devices")),
        "not used yet (other hosts)",
    )
}

fn dax() -> Finding {
    let mut devices = read::names("/sys/bus/dax/devices");
    devices.extend(
        read::names("/dev")
            .into_iter()
            .filter(|name| name.starts_with("dax")),
    );
    devices.sort();
    devices.dedup();
    Finding::offer(
        "dax",
        "DAX devices",
        listed(devices),
        "not used yet (segments)",
    )
}

fn rdma() -> Finding {
    Finding::offer(
        "rdma",
        "RDMA",
        listed(read::names("/sys/class/infiniband")),
        "not used yet (other hosts)",
    )
}

/// How a processor may wait; spinning itself needs nothing special.
fn waiting() -> Finding {
    let flags = cpu_flags();
    let wanted = ["waitpkg", "monitorx", "mwaitx"];
    let found: Vec<&str> = wanted
        .into_iter()
        .filter(|want| flags.iter().any(|flag| flag == want))
        .collect();
    let here = (!found.is_empty()).then(|| found.join(", "));
    Finding::offer(
        "user_wait",
        "user-mode wait",
        here,
        "not used yet (pause does)",
    )
}

fn listed(names: Vec<String>) -> Option<String> {
    const SHOWN: usize = 4;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match (names.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(shown),
        (false, more) => Some(format!("{shown} and {more} more")),
    }
}
