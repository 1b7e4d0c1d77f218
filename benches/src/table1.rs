//! The rows of the first table of RPCool's paper, as this run has them.

use nowire_bench_harness::cell::{Carrier, Case};

use crate::row::Row;
use crate::table::{columns, time};

const PAGE: usize = 4 << 10;

/// Name, case, carrier and bytes of each row.
const LINES: [(&str, Case, Carrier, usize); 8] = [
    ("no-op call", Case::Noop, Carrier::Trust, 0),
    (
        "no-op call, safe tier, 1 page",
        Case::Pass,
        Carrier::Copy,
        PAGE,
    ),
    ("seal and check, 1 page", Case::Seal, Carrier::Sealed, PAGE),
    (
        "seal and check, 1024 pages",
        Case::Seal,
        Carrier::Sealed,
        1024 * PAGE,
    ),
    ("memcpy, 1 page", Case::Seal, Carrier::Memcpy, PAGE),
    (
        "memcpy, 1024 pages",
        Case::Seal,
        Carrier::Memcpy,
        1024 * PAGE,
    ),
    ("connect", Case::Connect, Carrier::Trust, 0),
    (
        "create, use once and destroy a channel",
        Case::Channel,
        Carrier::Trust,
        0,
    ),
];

/// The table; nothing when none of its rows was measured.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut lines = vec![["operation", "p50", "p99"].map(String::from).to_vec()];
    for (name, case, carrier, bytes) in LINES {
        let row = rows.iter().find(|row| {
            row.case == case && row.carrier == carrier && row.bytes == bytes && row.in_flight == 1
        });
        if let Some(row) = row {
            lines.push(vec![
                name.into(),
                time(row.p50_ns as f64),
                time(row.p99_ns as f64),
            ]);
        }
    }
    if lines.len() == 1 {
        return String::new();
    }
    format!("\nWhat RPCool's Table 1 lists\n{}", columns(&lines, 1))
}
