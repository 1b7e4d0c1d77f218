//! All that was measured, and whether everybody said the same.

use std::time::Duration;

use anyhow::{Result, ensure};
use nowire_bench_harness::process::Usage;
use serde::Serialize;

use crate::args::Carrier;
use crate::case::Case;
use crate::measure::Outcome;

/// One case on one carrier, all rounds together.
pub(crate) struct Figure {
    pub(crate) case: Case,
    pub(crate) carrier: Carrier,
    /// Of all rounds, ascending.
    times: Vec<Duration>,
    /// The sum of each round.
    rounds: Vec<Duration>,
    used: Usage,
    rows: u64,
    digest: u64,
}

/// A figure as programs read it. The fields up to `cpu_s` are those that every
/// benchmark of the project writes.
#[derive(Serialize)]
pub(crate) struct Row {
    case: Case,
    carrier: Carrier,
    bytes: u64,
    in_flight: u32,
    wait: &'static str,
    calls: u64,
    mean_ns: f64,
    p50_ns: u64,
    p99_ns: u64,
    p999_ns: u64,
    calls_per_s: f64,
    cpu_s: f64,
    documents: u32,
    /// The median of the rounds.
    round_s: f64,
    rows: u64,
    digest: String,
}

/// Every figure so far.
#[derive(Default)]
pub(crate) struct Figures {
    figures: Vec<Figure>,
}

impl Figures {
    /// Adds what a case took on a carrier, and what both processes used
    /// meanwhile.
    pub(crate) fn add(
        &mut self,
        case: Case,
        carrier: Carrier,
        outcome: Outcome,
        used: Usage,
    ) -> Result<()> {
        if let Some(other) = self.figures.iter().find(|figure| figure.case == case) {
            ensure!(
                (other.rows, other.digest) == (outcome.rows, outcome.digest),
                "{case}: {carrier} gave {} rows with the digest {:016x}, {} gave {} with {:016x}",
                outcome.rows,
                outcome.digest,
                other.carrier,
                other.rows,
                other.digest,
            );
        }
        let round = outcome.times.iter().sum();
        let known = self
            .figures
            .iter_mut()
            .find(|figure| figure.case == case && figure.carrier == carrier);
        match known {
            Some(figure) => {
                figure.times.extend(outcome.times);
                figure.times.sort_unstable();
                figure.rounds.push(round);
                figure.rounds.sort_unstable();
                figure.used = figure.used.plus(used);
            }
            None => {
                let mut times = outcome.times;
                times.sort_unstable();
                self.figures.push(Figure {
                    case,
                    carrier,
                    times,
                    rounds: vec![round],
                    used,
                    rows: outcome.rows,
                    digest: outcome.digest,
                });
            }
        }
        Ok(())
    }

    /// What a case took on a carrier, if it was measured.
    pub(crate) fn get(&self, case: Case, carrier: Carrier) -> Option<&Figure> {
        self.figures
            .iter()
            .find(|figure| figure.case == case && figure.carrier == carrier)
    }

    /// What programs read.
    pub(crate) fn rows(&self, documents: u32) -> impl Iterator<Item = Row> {
        self.figures.iter().map(move |figure| figure.row(documents))
    }
}

impl Figure {
    /// What the case took: building, in all; else a call.
    pub(crate) fn time(&self) -> Duration {
        match self.case {
            Case::Build => middle(&self.rounds),
            _ => middle(&self.times),
        }
    }

    fn row(&self, documents: u32) -> Row {
        let calls = self.times.len() as u64;
        let total: Duration = self.times.iter().sum();
        let per_mille = |share| {
            let place = self.times.len() * share / 1000;
            let time = self.times.get(place).or(self.times.last());
            time.map_or(0, |time| nanos(*time))
        };
        Row {
            case: self.case,
            carrier: self.carrier,
            bytes: 0,
            in_flight: 1,
            wait: self.carrier.wait(),
            calls,
            mean_ns: nanos(total) as f64 / calls.max(1) as f64,
            p50_ns: per_mille(500),
            p99_ns: per_mille(990),
            p999_ns: per_mille(999),
            calls_per_s: calls as f64 / total.as_secs_f64().max(1e-9),
            cpu_s: self.used.cpu_ns as f64 / 1e9,
            documents,
            round_s: middle(&self.rounds).as_secs_f64(),
            rows: self.rows,
            digest: format!("{:016x}", self.digest),
        }
    }
}

fn middle(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
