//! What a process has and uses, as the kernel says.

use std::time::{Duration, Instant};

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vitals {
    pub(crate) descriptors: usize,
    /// Mappings of memory files, in bytes.
    pub(crate) shared_bytes: u64,
    /// CPU time used, in hundredths of a second.
    pub(crate) cpu_ticks: u64,
}

impl Vitals {
    pub(crate) fn of(pid: u32) -> Self {
        let read = |file: &str| {
            std::fs::read_to_string(format!("/proc/{pid}/{file}")).expect("the process lives")
        };
        let maps = read("maps");
        let shared = maps.lines().filter(|line| line.contains("/memfd:"));
        let stat = read("stat");
        // The program's name may hold anything but ends at the last bracket.
        let (_, rest) = stat.rsplit_once(')').expect("a line of /proc/pid/stat");
        let field = |number: usize| -> u64 {
            let field = rest.split_whitespace().nth(number - 3);
            field
                .and_then(|field| field.parse().ok())
                .expect("a number")
        };
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it lives");
        Self {
            descriptors: descriptors.count(),
            shared_bytes: shared.map(mapping_bytes).sum(),
            cpu_ticks: field(14) + field(15),
        }
    }

    /// Waits until the process has no more than at this time.
    pub(crate) fn assert_again(self, pid: u32) {
        self.assert_within(0, pid);
    }

    /// Waits until the process has no more than at this time and so many bytes:
    /// of a heap, a segment is kept.
    pub(crate) fn assert_within(self, slack_bytes: u64, pid: u32) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = Self::of(pid);
            if now.descriptors <= self.descriptors
                && now.shared_bytes <= self.shared_bytes + slack_bytes
            {
                return;
            }
            assert!(Instant::now() < deadline, "{now:?} where it was {self:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn mapping_bytes(line: &str) -> u64 {
    let range = line.split_whitespace().next().expect("a mapping");
    let (from, to) = range.split_once('-').expect("a range");
    let number = |text| u64::from_str_radix(text, 16).expect("an address");
    number(to) - number(from)
}

/// Waits until something holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
