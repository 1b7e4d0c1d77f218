//! What a person reads at the end.

use nowire_bench_harness::cell::{Carrier, Case};

use super::args::Place;
use super::line::LONGEST;
use super::plan::{MANY, SHORTER};
use super::strangers::Step;
use crate::report::calls;
use crate::row::Row;
use crate::table::{columns, rate, size, time};

/// Every table that these rows fill.
pub(crate) fn tables(rows: &[Row]) -> String {
    let mut text = String::new();
    let nested: Vec<&Row> = rows.iter().filter(|row| row.case == Case::Nested).collect();
    if !nested.is_empty() {
        text.push_str(&format!(
            "\nThrough a chain of services, the last of which sums: median time of a call\n{}\
             \nThe same with {MANY} in flight: calls/s\n{}",
            by_length(&nested, 1, |row| time(row.p50_ns as f64)),
            by_length(&nested, MANY, |row| rate(row.calls_per_s)),
        ));
        let mut longest: Vec<&Row> = nested
            .iter()
            .copied()
            .filter(|row| row.passing.services == Some(LONGEST))
            .collect();
        longest.sort_by_key(|row| (row.bytes, row.in_flight));
        if !longest.is_empty() {
            text.push_str(&format!(
                "\nThe chain of {LONGEST}\n{}",
                calls(&longest, Case::Nested)
            ));
        }
    }
    let hops = hops(rows);
    if !hops.is_empty() {
        text.push_str(&format!(
            "\nWhat a service between adds, one call at a time\n{hops}"
        ));
    }
    for (case, title) in [
        (
            Case::Stranger,
            "Until a reader that does not trust the owner has read, step by step",
        ),
        (
            Case::Balance,
            "Through a balancer to one of two services, which sums",
        ),
        (
            Case::Share,
            "The owner gives up writing; memcpy: the same bytes copied; both in one process",
        ),
        (
            Case::Image,
            "Images through the image service of examples/imagepipe",
        ),
        (
            Case::Change,
            "The callee changes a part of the pages, then reads all",
        ),
    ] {
        let mut of_case: Vec<&Row> = rows.iter().filter(|row| row.case == case).collect();
        // Ray's come last and belong to the others; steps keep their order.
        of_case.sort_by_key(|row| row.passing.changed_percent);
        if case == Case::Image {
            of_case.sort_by_key(|row| (row.in_flight, row.passing.part.clone()));
        }
        if !of_case.is_empty() {
            text.push_str(&format!("\n{title}\n{}", calls(&of_case, case)));
        }
    }
    let broken_down = strangers(rows);
    if !broken_down.is_empty() {
        text.push_str(&format!(
            "\nSealing for strangers against letting them copy, in all\n{broken_down}"
        ));
    }
    text
}

/// What sealing costs the owner, what it saves each reader, and from how many
/// readers on it pays.
fn strangers(rows: &[Row]) -> String {
    let ns = |step: Step, bytes: usize| {
        let row = rows.iter().find(|row| {
            row.case == Case::Stranger
                && row.bytes == bytes
                && row.passing.part.as_deref() == Some(step.name())
        });
        row.map(|row| row.p50_ns as f64)
    };
    let mut sizes: Vec<usize> = rows.iter().map(|row| row.bytes).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let head = [
        "bytes",
        "fresh memory",
        "remap",
        "F_SEAL_WRITE",
        "a copying reader",
        "a mapping reader",
        "of it F_GET_SEALS",
        "beats copying from",
    ];
    let mut lines = vec![head.map(String::from).to_vec()];
    for bytes in sizes {
        let line = || {
            let fresh = ns(Step::MakeAfresh, bytes)? - ns(Step::TakeKept, bytes)?;
            let seal = ns(Step::Seal, bytes)?;
            let sealing = ns(Step::PassSealed, bytes)? - ns(Step::Pass, bytes)?;
            let (copying, mapping) = (ns(Step::ReadCopy, bytes)?, ns(Step::ReadSealed, bytes)?);
            let saved = copying - mapping;
            let readers = ((fresh + sealing) / saved).floor() + 1.0;
            // What is within the noise saves nothing.
            let pays = if saved > copying * 0.05 {
                format!("{} readers", readers.max(1.0))
            } else {
                "never".into()
            };
            Some(vec![
                size(bytes as u64),
                time(fresh.max(0.0)),
                time((sealing - seal).max(0.0)),
                time(seal),
                time(copying),
                time(mapping),
                time(ns(Step::Verify, bytes)?),
                pays,
            ])
        };
        lines.extend(line());
    }
    if lines.len() == 1 {
        return String::new();
    }
    columns(&lines, 1)
}

/// A line for each size and carrier, a column for each length of the chain.
fn by_length(rows: &[&Row], in_flight: usize, figure: fn(&Row) -> String) -> String {
    let mut lengths: Vec<usize> = rows.iter().filter_map(|row| row.passing.services).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let mut head = vec!["bytes".to_string(), "carrier".into()];
    head.extend(lengths.iter().map(|n| format!("{n} services")));
    let mut lines = vec![head];
    let mut last = None;
    for row in rows {
        if row.in_flight != in_flight || row.passing.services != lengths.first().copied() {
            continue;
        }
        if last.is_some_and(|last| last != row.bytes) {
            lines.push(Vec::new());
        }
        last = Some(row.bytes);
        let mut line = vec![size(row.bytes as u64), row.carrier.to_string()];
        for &length in &lengths {
            let cell = rows.iter().find(|other| {
                (other.bytes, other.carrier, other.in_flight) == (row.bytes, row.carrier, in_flight)
                    && other.passing.services == Some(length)
            });
            line.push(cell.map_or("-".into(), |row| figure(row)));
        }
        lines.push(line);
    }
    columns(&lines, 2)
}

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

/// Sizes of the data of a case.
pub(crate) fn sizes(rows: &[Row], case: Case) -> Vec<usize> {
    let of_case = rows.iter().filter(|row| row.case == case);
    let mut sizes: Vec<usize> = of_case.map(|row| row.bytes).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

fn hops(rows: &[Row]) -> String {
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
