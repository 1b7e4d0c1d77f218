//! This run's ratios beside those that DmRPC's authors publish.

use nowire_bench_harness::cell::{Carrier, Case};

use super::line::LONGEST;
use super::plan::{KIB, MANY, MIB, SWEPT_BYTES};
use crate::goals::refs::chain_rate;
use crate::row::Row;
use crate::table::{columns, size};

/// What is in the summary of the paper and of its code. Of the other figures no
/// numbers are published outside the paper.
const SEVEN_TIERS: &str = "4.2 (network) / 8.3 (CXL)";
const SEVEN_TIERS_LATENCY: &str = "1.1 (network) / 1.7 (CXL)";
const RAY: &str = "up to 21.6";
const UNKNOWN: &str = "-";

/// A line for each figure of which there are rows.
pub(crate) fn table(rows: &[Row]) -> String {
    let rows = Rows(rows);
    let head = [
        "figure",
        "ratio",
        "paper",
        "to nowire",
        "to plain",
        "to unix",
    ];
    let mut lines = vec![head.map(String::from).to_vec()];
    let mut line = |figure: &str, what: String, paper: &str, ours: [Option<f64>; 3]| {
        if ours.iter().any(Option::is_some) {
            let ours = ours.map(|ratio| ratio.map_or("-".into(), |ratio| format!("{ratio:.2}")));
            let mut line = vec![figure.to_string(), what, paper.into()];
            line.extend(ours);
            lines.push(line);
        }
    };
    let by_value = [Carrier::Nowire, Carrier::Plain, Carrier::Unix];
    for bytes in [4 * KIB, 64 * KIB, MIB] {
        let what = format!("most calls/s through {LONGEST}, {}", size(bytes as u64));
        let rate = |carrier| chain_rate(rows.0, carrier, bytes);
        line("5", what, UNKNOWN, by_value.map(|other| gain(&rate, other)));
    }
    for bytes in [4 * KIB, 64 * KIB] {
        let what = format!("calls/s through a balancer, {}", size(bytes as u64));
        let rate = |carrier| {
            rows.figure(Case::Balance, carrier, bytes, MANY, |row| {
                Some(row.calls_per_s)
            })
        };
        line("6", what, UNKNOWN, by_value.map(|other| gain(&rate, other)));
    }
    for bytes in [4 * KIB, MIB, 4 * MIB] {
        let time = |carrier| {
            rows.figure(Case::Share, carrier, bytes, 1, |row| {
                Some(row.p50_ns as f64)
            })
        };
        let what = format!("copying over sharing, {}", size(bytes as u64));
        line(
            "7",
            what,
            UNKNOWN,
            [loss(&time, Carrier::Memcpy), None, None],
        );
    }
    for percent in [0, 100] {
        let rate = |carrier| {
            rows.figure(Case::Change, carrier, SWEPT_BYTES, 1, |row| {
                (row.passing.changed_percent == Some(percent)).then_some(row.calls_per_s)
            })
        };
        let what = format!("calls/s, callee changes {percent} % of 32 KiB");
        line("8", what, UNKNOWN, by_value.map(|other| gain(&rate, other)));
        let what = format!("calls/s to Ray's, callee changes {percent} %");
        line("8", what, RAY, [gain(&rate, Carrier::Ray), None, None]);
    }
    for part in ["routing", "work"] {
        for bytes in [256 * KIB, MIB] {
            let of_part =
                |row: &Row, figure| (row.passing.part.as_deref() == Some(part)).then_some(figure);
            let rate = |carrier| {
                rows.figure(Case::Image, carrier, bytes, MANY, |row| {
                    of_part(row, row.calls_per_s)
                })
            };
            let what = format!("images/s, {part}, {}", size(bytes as u64));
            line(
                "9",
                what,
                SEVEN_TIERS,
                by_value.map(|other| gain(&rate, other)),
            );
            let mean = |carrier| {
                rows.figure(Case::Image, carrier, bytes, MANY, |row| {
                    of_part(row, row.mean_ns)
                })
            };
            let what = format!("mean time, {part}, {}", size(bytes as u64));
            let ours = by_value.map(|other| loss(&mean, other));
            line("10", what, SEVEN_TIERS_LATENCY, ours);
            let p99 = |carrier| {
                rows.figure(Case::Image, carrier, bytes, MANY, |row| {
                    of_part(row, row.p99_ns as f64)
                })
            };
            let what = format!("p99, {part}, {}", size(bytes as u64));
            line("10", what, UNKNOWN, by_value.map(|other| loss(&p99, other)));
        }
    }
    if lines.len() == 1 {
        return String::new();
    }
    columns(&lines, 3)
}

/// How many times as much references reach.
fn gain(figure: &impl Fn(Carrier) -> Option<f64>, other: Carrier) -> Option<f64> {
    Some(figure(Carrier::Refs)? / figure(other)?)
}

/// How many times as long the other takes.
fn loss(figure: &impl Fn(Carrier) -> Option<f64>, other: Carrier) -> Option<f64> {
    Some(figure(other)? / figure(Carrier::Refs)?)
}

struct Rows<'a>(&'a [Row]);

impl Rows<'_> {
    fn figure(
        &self,
        case: Case,
        carrier: Carrier,
        bytes: usize,
        in_flight: usize,
        figure: impl Fn(&Row) -> Option<f64>,
    ) -> Option<f64> {
        let mut rows = self.0.iter().filter(|row| {
            row.case == case
                && row.carrier == carrier
                && row.bytes == bytes
                && row.in_flight == in_flight
        });
        rows.find_map(figure)
    }
}
