//! What a service between adds to a call.

use nowire_bench_harness::cell::{Carrier, Case};
use nowire_bench_harness::samples::median;

use super::args::Place;
use super::line::LONGEST;
use super::plan::SHORTER;
use crate::row::Row;
use crate::table::{columns, size, time};

/// What is passed through both chains: what carries it, and how much it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) place: Place,
    pub(crate) carrier: Carrier,
    pub(crate) bytes: usize,
    pub(crate) aside_bytes: Option<usize>,
}

impl Load {
    /// Without anything aside.
    pub(crate) fn of(place: Place, carrier: Carrier, bytes: usize) -> Self {
        Self {
            place,
            carrier,
            bytes,
            aside_bytes: None,
        }
    }

    fn row(self, rows: &[Row], services: usize) -> Option<&Row> {
        rows.iter().find(|row| {
            row.case == Case::Hop
                && row.carrier == self.carrier
                && row.bytes == self.bytes
                && row.passing.services == Some(services)
                && row.passing.place == Some(self.place)
                && row.passing.aside_bytes == self.aside_bytes
        })
    }

    /// What each service added that only passes on, in ns, round by round: the time
    /// through the longest chain less that through the shorter one, which had its turn
    /// next to it, by the services between.
    fn added_ns(self, rows: &[Row]) -> Option<Vec<f64>> {
        let medians = |services| {
            let rounds = &self.row(rows, services)?.passing.round_p50_ns;
            Some(rounds.iter().map(|&ns| ns as f64))
        };
        let between = (LONGEST - SHORTER) as f64;
        let pairs = medians(LONGEST)?.zip(medians(SHORTER)?);
        Some(
            pairs
                .map(|(longest, shorter)| (longest - shorter) / between)
                .collect(),
        )
    }

    /// The median of that. None if something else kept the shorter chain for so long
    /// that it took more than the longer one.
    pub(crate) fn hop_ns(self, rows: &[Row]) -> Option<f64> {
        let added_ns = self.added_ns(rows)?;
        Some(median(&added_ns)).filter(|&ns| ns > 0.0)
    }

    /// How many times that of the other it was in the same round; the median.
    pub(crate) fn times(self, other: Self, rows: &[Row]) -> Option<f64> {
        let pairs = self.added_ns(rows)?.into_iter().zip(other.added_ns(rows)?);
        let ratios: Vec<f64> = pairs
            .filter(|(_, other)| *other > 0.0)
            .map(|(ns, other)| ns / other)
            .collect();
        Some(median(&ratios)).filter(|&ratio| ratio > 0.0)
    }

    /// An empty call through the same processes.
    pub(crate) fn empty(self) -> Self {
        Self::of(self.place, self.carrier, 0)
    }

    /// An empty call beside which the ends have as much to do with data.
    pub(crate) fn control(self) -> Self {
        Self {
            aside_bytes: Some(self.bytes),
            ..self.empty()
        }
    }

    /// Processor time of a service that passes on, in the longest chain.
    fn forwarder_cpu_ns(self, rows: &[Row]) -> Option<f64> {
        self.row(rows, LONGEST)?.passing.forwarder_cpu_ns_per_call
    }
}

/// A line for each load; empty if there is none.
pub(crate) fn table(rows: &[Row]) -> String {
    let head = [
        "place",
        "bytes",
        "aside",
        "carrier",
        "per service",
        "times an empty call's",
        "times that with as much aside",
        "its cpu",
        "times an empty call's",
    ];
    let mut lines = vec![head.map(String::from).to_vec()];
    let mut loads: Vec<Load> = Vec::new();
    for row in rows.iter().filter(|row| row.case == Case::Hop) {
        let Some(place) = row.passing.place else {
            continue;
        };
        let load = Load {
            aside_bytes: row.passing.aside_bytes,
            ..Load::of(place, row.carrier, row.bytes)
        };
        if !loads.contains(&load) {
            loads.push(load);
        }
    }
    for load in loads {
        let Some(ns) = load.hop_ns(rows) else {
            continue;
        };
        let empty = load.empty();
        let ratio = |ratio: Option<f64>| ratio.map_or("-".into(), |ratio| format!("{ratio:.2}"));
        let cpu_ns = load.forwarder_cpu_ns(rows);
        let empty_cpu_ns = empty.forwarder_cpu_ns(rows);
        lines.push(vec![
            load.place.to_string(),
            size(load.bytes as u64),
            load.aside_bytes
                .map_or("-".into(), |bytes| size(bytes as u64)),
            load.carrier.to_string(),
            time(ns),
            ratio(load.times(empty, rows)),
            ratio(load.times(load.control(), rows)),
            cpu_ns.map_or("-".into(), time),
            ratio(cpu_ns.zip(empty_cpu_ns).map(|(ns, empty)| ns / empty)),
        ]);
    }
    if lines.len() == 1 {
        return String::new();
    }
    columns(&lines, 4)
}
