//! What a service between adds to a call.

use nowire_bench_harness::cell::{Carrier, Case};

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

    /// What each service adds that only passes on, in ns: the median through the
    /// longest chain less the median through the shorter one, by the services
    /// between. None if something else kept the shorter chain for so long that it
    /// took more than the longer one.
    pub(crate) fn hop_ns(self, rows: &[Row]) -> Option<f64> {
        let p50_ns = |services| Some(self.row(rows, services)?.p50_ns as f64);
        let added_ns = p50_ns(LONGEST)? - p50_ns(SHORTER)?;
        (added_ns > 0.0).then(|| added_ns / (LONGEST - SHORTER) as f64)
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
        let empty = Load::of(load.place, Carrier::Nowire, 0);
        let times = |ns: Option<f64>, empty: Option<f64>| {
            let ratio = ns.zip(empty).map(|(ns, empty)| ns / empty);
            ratio.map_or("-".into(), |ratio| format!("{ratio:.2}"))
        };
        let cpu_ns = load.forwarder_cpu_ns(rows);
        lines.push(vec![
            load.place.to_string(),
            size(load.bytes as u64),
            load.aside_bytes
                .map_or("-".into(), |bytes| size(bytes as u64)),
            load.carrier.to_string(),
            time(ns),
            times(Some(ns), empty.hop_ns(rows)),
            cpu_ns.map_or("-".into(), time),
            times(cpu_ns, empty.forwarder_cpu_ns(rows)),
        ]);
    }
    if lines.len() == 1 {
        return String::new();
    }
    columns(&lines, 4)
}
