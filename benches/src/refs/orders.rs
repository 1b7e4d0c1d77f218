//! What the program and its tiers say to each other.

use nowire_bench_harness::process::Usage;
use nowire_bench_harness::samples::Samples;
use serde::{Deserialize, Serialize};

/// What a tier is told.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Say what was used and passed on so far.
    Spent,
    /// To a client: make calls for so long and measure them.
    Run { task: Task, for_ms: u64 },
}

/// Calls of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) work: Work,
    pub(crate) bytes: usize,
    /// Calls at a time.
    pub(crate) in_flight: usize,
}

/// What the services do with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Work {
    /// Pass them on so many times; the last service sums them.
    Pass { hops: u32 },
    /// The same, and only the way is timed: not what the client takes to write the
    /// data, and the last service to sum it. Beside that, the client writes so many
    /// bytes of its own, and the last service reads as many.
    Way { hops: u32, aside_bytes: usize },
    /// Change so much of them.
    Change { percent: u32 },
}

/// What a tier says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// A service listens; a client is connected.
    Ready { address: String },
    /// The answer to [`Order::Spent`].
    Spent(Spent),
    /// What was measured.
    Samples(Samples),
    /// It could not be done, and the tier ends.
    Failed(String),
}

/// What a tier has used up to a moment, or between two.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Spent {
    pub(crate) usage: Usage,
    /// Calls that came.
    pub(crate) calls: u64,
    /// Bytes of data that came in and went on, a reference counting as its token.
    pub(crate) data_bytes: u64,
}

impl Spent {
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            usage: self.usage.since(earlier.usage),
            calls: self.calls - earlier.calls,
            data_bytes: self.data_bytes - earlier.data_bytes,
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            usage: self.usage.plus(other.usage),
            calls: self.calls + other.calls,
            data_bytes: self.data_bytes + other.data_bytes,
        }
    }
}
