//! What a person reads at the end.

use nowire_bench_harness::cell::Case;

use super::hop;
use super::line::LONGEST;
use super::plan::MANY;
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
    let hops = hop::table(rows);
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

/// Sizes of the data of a case.
pub(crate) fn sizes(rows: &[Row], case: Case) -> Vec<usize> {
    let of_case = rows.iter().filter(|row| row.case == case);
    let mut sizes: Vec<usize> = of_case.map(|row| row.bytes).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}
