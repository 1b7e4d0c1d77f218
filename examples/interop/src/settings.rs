//! What may be set for a run of cases.

use std::time::Duration;

/// Settings of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// How long a case waits for one answer before it counts as lost. Default 30 s; shorter than
    /// the slowest answer of `concurrent_large_unary` fails that case for no reason.
    pub patience: Duration,
    /// How many calls `concurrent_large_unary` has in flight. Default 1000, as described.
    pub concurrent_calls: usize,
    /// The soak cases' settings.
    pub soak: Soak,
    /// Pause between two calls of `long_lived_channel`. Default 1 s.
    pub iteration_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(30),
            concurrent_calls: 1000,
            soak: Soak::default(),
            iteration_interval: Duration::from_secs(1),
        }
    }
}

/// Settings of `rpc_soak` and `channel_soak`; the defaults are the official ones.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Soak {
    /// Calls to make, over all threads. Default 10.
    pub iterations: usize,
    /// Calls that may fail or be slow. Default 0.
    pub max_failures: usize,
    /// A call slower than this counts as failed. Default 1 s.
    pub max_latency: Duration,
    /// When to give up. Default: `iterations` times `max_latency`.
    pub overall_timeout: Option<Duration>,
    /// Least time between the starts of two calls of one thread. Default 0.
    pub min_interval: Duration,
    /// Payload of each request in bytes. Default 271,828.
    pub request_bytes: usize,
    /// Payload of each response in bytes. Default 314,159.
    pub response_bytes: i32,
    /// Loops that share the calls. Default 1.
    pub threads: usize,
}

impl Soak {
    pub(crate) fn time_limit(&self) -> Duration {
        self.overall_timeout.unwrap_or_else(|| {
            self.max_latency
                .saturating_mul(u32::try_from(self.iterations).unwrap_or(u32::MAX))
        })
    }
}

impl Default for Soak {
    fn default() -> Self {
        Self {
            iterations: 10,
            max_failures: 0,
            max_latency: Duration::from_secs(1),
            overall_timeout: None,
            min_interval: Duration::ZERO,
            request_bytes: 271_828,
            response_bytes: 314_159,
            threads: 1,
        }
    }
}
