//! Latencies of many calls, and how to pool them.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::process::Usage;

const LONGEST_NS: u64 = 60_000_000_000;
const DIGITS: u8 = 3;

/// Counts latencies without allocating while calls are being made.
pub struct Recorder {
    histogram: Histogram<u64>,
    sum_ns: u64,
    /// Calls that were made and not timed.
    untimed: u64,
}

impl Recorder {
    /// An empty recorder whose memory has been touched, so that counting takes
    /// no page fault that would be put down to the carrier.
    ///
    /// # Errors
    ///
    /// None that a machine with memory left would see.
    pub fn new() -> Result<Self> {
        let mut histogram = Histogram::new_with_bounds(1, LONGEST_NS, DIGITS)?;
        histogram.record(1)?;
        histogram.reset();
        Ok(Self {
            histogram,
            sum_ns: 0,
            untimed: 0,
        })
    }

    /// Counts a call that took so long.
    pub fn record(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(LONGEST_NS);
        self.histogram.saturating_record(ns.max(1));
        self.sum_ns += ns;
    }

    /// Counts a call that nobody timed.
    pub fn count(&mut self) {
        self.untimed += 1;
    }

    /// What a worker sends back.
    pub fn samples(&self, elapsed: Duration, used: Usage) -> Samples {
        Samples {
            counts: self
                .histogram
                .iter_recorded()
                .map(|step| (step.value_iterated_to(), step.count_at_value()))
                .collect(),
            sum_ns: self.sum_ns,
            untimed: self.untimed,
            elapsed_ns: u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX),
            used,
            first_call_p50_ns: None,
        }
    }

    /// The median of the timed calls.
    pub fn p50_ns(&self) -> u64 {
        self.histogram.value_at_quantile(0.5)
    }
}

/// One round of calls on one carrier.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Samples {
    /// Latency in ns and how many calls had it.
    counts: Vec<(u64, u64)>,
    sum_ns: u64,
    /// Calls beside those.
    untimed: u64,
    elapsed_ns: u64,
    /// What the client's process used meanwhile.
    pub used: Usage,
    /// For connections: until the first call on it was answered.
    pub first_call_p50_ns: Option<u64>,
}

impl Samples {
    /// The same with the median time to a connection's first answer.
    pub fn with_first_call(self, p50_ns: u64) -> Self {
        Self {
            first_call_p50_ns: Some(p50_ns),
            ..self
        }
    }

    /// The median of the timed calls; 0 if there are none.
    pub fn p50_ns(&self) -> u64 {
        let calls: u64 = self.counts.iter().map(|(_, count)| count).sum();
        let mut left = calls.div_ceil(2);
        for &(ns, count) in &self.counts {
            if count >= left {
                return ns;
            }
            left -= count;
        }
        0
    }
}

/// All rounds of one cell.
pub struct Pool {
    recorder: Recorder,
    rates_per_s: Vec<f64>,
    round_p50_ns: Vec<u64>,
    first_call_ns: Vec<u64>,
    used: Usage,
}

impl Pool {
    /// No round yet.
    ///
    /// # Errors
    ///
    /// None that a machine with memory left would see.
    pub fn new() -> Result<Self> {
        Ok(Self {
            recorder: Recorder::new()?,
            rates_per_s: Vec::new(),
            round_p50_ns: Vec::new(),
            first_call_ns: Vec::new(),
            used: Usage::default(),
        })
    }

    /// Adds a round, with what the server used during it.
    ///
    /// # Errors
    ///
    /// When the round has latencies that no recorder recorded.
    pub fn add(&mut self, round: &Samples, server: Usage) -> Result<()> {
        let mut calls = round.untimed;
        for &(ns, count) in &round.counts {
            self.recorder.histogram.record_n(ns.max(1), count)?;
            calls += count;
        }
        self.recorder.sum_ns += round.sum_ns;
        self.recorder.untimed += round.untimed;
        self.rates_per_s
            .push(calls as f64 / (round.elapsed_ns.max(1) as f64 / 1e9));
        self.round_p50_ns.push(round.p50_ns());
        self.first_call_ns.extend(round.first_call_p50_ns);
        self.used = self.used.plus(round.used).plus(server);
        Ok(())
    }

    /// Calls in all rounds.
    pub fn calls(&self) -> u64 {
        self.recorder.histogram.len() + self.recorder.untimed
    }

    /// Of the latencies of all rounds together.
    pub fn mean_ns(&self) -> f64 {
        self.recorder.sum_ns as f64 / self.recorder.histogram.len().max(1) as f64
    }

    /// A quantile of the latencies of all rounds together.
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        self.recorder.histogram.value_at_quantile(quantile)
    }

    /// The median of the rounds' rates.
    pub fn calls_per_s(&self) -> f64 {
        median(&self.rates_per_s)
    }

    /// The medians of the rounds, in their order.
    pub fn round_p50_ns(&self) -> &[u64] {
        &self.round_p50_ns
    }

    /// The median of the rounds' first calls, for connections.
    pub fn first_call_p50_ns(&self) -> Option<u64> {
        let times: Vec<f64> = self.first_call_ns.iter().map(|&ns| ns as f64).collect();
        (!times.is_empty()).then(|| median(&times) as u64)
    }

    /// What both processes used in all rounds.
    pub fn used(&self) -> Usage {
        self.used
    }
}

/// The median; 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}
