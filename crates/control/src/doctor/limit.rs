//! Limits that bound how much Nowire can do here.

use rustix::process::{Resource, getrlimit};

use super::finding::{Finding, Status};
use super::{cgroup, read};

/// A server of many connections needs more descriptors than this.
const FILES_COMFORTABLE: u64 = 4096;

/// What bounds connections and shared memory.
pub(super) fn findings() -> Vec<Finding> {
    vec![switch(), open_files(), memory(), shm(), locked_memory()]
}

fn switch() -> Finding {
    let (here, today) = match std::env::var("NOWIRE") {
        Ok(value) if value.eq_ignore_ascii_case("off") || value == "0" => {
            (format!("NOWIRE={value}"), "every call goes over HTTP/2")
        }
        _ => (
            "not switched off (NOWIRE)".to_owned(),
            "shared memory is preferred",
        ),
    };
    bound("switch", "switch", here, today)
}

fn open_files() -> Finding {
    let limit = getrlimit(Resource::Nofile);
    let few = limit.current.is_some_and(|files| files < FILES_COMFORTABLE);
    let here = format!(
        "{} (at most {})",
        count(limit.current),
        count(limit.maximum)
    );
    let today = if few {
        "one for each connection: low for a busy server, raise it (ulimit -n)"
    } else {
        "one for each connection"
    };
    bound("open_files", "open files", here, today)
}

fn memory() -> Finding {
    let here = match cgroup::memory_limit() {
        Some(limit) => format!("{} (cgroup)", read::size(limit)),
        None => "no cgroup limit".to_owned(),
    };
    bound("cgroup_memory", "memory", here, "outboxes count towards it")
}

fn shm() -> Finding {
    let here = rustix::fs::statvfs("/dev/shm").ok().map(|shm| {
        let total = shm.f_blocks.saturating_mul(shm.f_frsize);
        let free = shm.f_bavail.saturating_mul(shm.f_frsize);
        format!("{}, {} free", read::size(total), read::size(free))
    });
    Finding::offer("dev_shm", "/dev/shm", here, "not used (memfds instead)")
}

fn locked_memory() -> Finding {
    let here = match getrlimit(Resource::Memlock).current {
        Some(bytes) => read::size(bytes),
        None => "no limit".to_owned(),
    };
    Finding::offer(
        "locked_memory",
        "locked memory",
        Some(here),
        "not used (nothing locked)",
    )
}

fn bound(id: &'static str, what: &'static str, here: String, today: &str) -> Finding {
    Finding {
        id,
        what,
        status: Status::Used,
        here,
        today: today.to_owned(),
    }
}

fn count(limit: Option<u64>) -> String {
    limit.map_or("no limit".to_owned(), |limit| limit.to_string())
}
