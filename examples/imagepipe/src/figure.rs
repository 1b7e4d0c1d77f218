use nowire_bench_harness::samples::Pool;
use serde::Serialize;

use crate::carrier::Carrier;
use crate::mode::Mode;
use crate::placement::Placement;

/// What was measured of one mode, image size and number of calls at a time on one
/// carrier. The fields up to `cpu_s` are those that every benchmark of the project
/// writes.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Always `imagepipe`.
    pub case: &'static str,
    /// What carried the images.
    pub carrier: Carrier,
    /// Size of image that was asked of the generator.
    pub bytes: usize,
    /// Calls at a time.
    pub in_flight: usize,
    /// How the processes waited for each other.
    pub wait: &'static str,
    /// How many calls were made.
    pub calls: u64,
    /// Mean latency, from the call to the last byte of the answer looked at.
    pub mean_ns: f64,
    /// Median latency.
    pub p50_ns: u64,
    /// Latency of one call in a hundred.
    pub p99_ns: u64,
    /// Latency of one call in a thousand.
    pub p999_ns: u64,
    /// Throughput: the median of the rounds.
    pub calls_per_s: f64,
    /// Processor time of all seven processes together.
    pub cpu_s: f64,
    /// What was asked for.
    pub mode: Mode,
    /// Which process ran where.
    pub placement: Placement,
    /// Mean size of the images that were sent.
    pub sent_bytes: usize,
    /// Mean size of the images that came back.
    pub received_bytes: usize,
}

impl Figure {
    pub(crate) fn new(
        cell: (Carrier, Mode, usize, usize),
        placement: Placement,
        (sent_bytes, received_bytes): (usize, usize),
        pool: &Pool,
    ) -> Self {
        let (carrier, mode, bytes, in_flight) = cell;
        Self {
            case: "imagepipe",
            carrier,
            bytes,
            in_flight,
            wait: carrier.wait(),
            calls: pool.calls(),
            mean_ns: to_tenths(pool.mean_ns()),
            p50_ns: pool.quantile_ns(0.5),
            p99_ns: pool.quantile_ns(0.99),
            p999_ns: pool.quantile_ns(0.999),
            calls_per_s: to_tenths(pool.calls_per_s()),
            cpu_s: pool.used().cpu_ns as f64 / 1e9,
            mode,
            placement,
            sent_bytes,
            received_bytes,
        }
    }
}

fn to_tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
