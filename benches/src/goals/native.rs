//! Of native calls.

use nowire_bench_harness::cell::{Carrier, Case};

use super::{Goal, Rows, Wanted, times};
use crate::row::Row;

const PAGE: usize = 4 << 10;
const MIB: usize = 1 << 20;

pub(crate) fn goals(rows: &[Row]) -> Vec<Goal> {
    use Carrier::{Copy, Floor, Iceoryx2, Nowire, Trust};
    let rows = Native(Rows(rows));
    let p50 = |case, carrier| rows.p50(case, None, carrier);
    let over = |case, slow, fast| Some(p50(case, slow)? / p50(case, fast)?);
    let above_trust =
        |case| Some((rows.p50(case, Some(PAGE), Copy)? - rows.p50(case, Some(PAGE), Trust)?) / 1e3);
    let against_bare = |carrier| {
        Some(rows.p50(Case::Write, Some(MIB), carrier)? / rows.p50(Case::Write, Some(MIB), Floor)?)
    };
    let pipelined = rows.best_rate(Trust);
    let at_least = Wanted::AtLeast;
    vec![
        times(
            "no-op, time against the bare cache-line round trip",
            Wanted::AtMost(2.5),
            over(Case::Noop, Trust, Floor),
        ),
        times(
            "no-op, faster than iceoryx2",
            at_least(3.0),
            over(Case::Noop, Iceoryx2, Trust),
        ),
        Goal {
            what: "no-op, pipelined from one thread (this or the next)".into(),
            wanted: at_least(5.0),
            unit: " M calls/s",
            got: pipelined.map(|rate| rate / 1e6),
        },
        times(
            "no-op, pipelined, calls/s against iceoryx2's best",
            at_least(5.0),
            pipelined
                .zip(rows.best_rate(Iceoryx2))
                .map(|(ours, theirs)| ours / theirs),
        ),
        times(
            "tree, faster than prost over the same ring, trust",
            at_least(10.0),
            over(Case::Tree, Nowire, Trust),
        ),
        times(
            "tree, faster than prost over the same ring, safe",
            at_least(5.0),
            over(Case::Tree, Nowire, Copy),
        ),
        times(
            "tree, built each time, faster than prost, trust",
            at_least(4.0),
            over(Case::Grow, Nowire, Trust),
        ),
        times(
            "tree, built each time, faster than prost, safe",
            at_least(3.0),
            over(Case::Grow, Nowire, Copy),
        ),
        Goal {
            what: "one page passed, safe above trust".into(),
            wanted: Wanted::AtMost(0.6),
            unit: " µs",
            got: above_trust(Case::Pass),
        },
        Goal {
            what: "one page written and read, safe above trust".into(),
            wanted: Wanted::AtMost(0.6),
            unit: " µs",
            got: above_trust(Case::Write),
        },
        times(
            "1 MiB written and read, time against the bare cost",
            Wanted::AtMost(1.3),
            against_bare(Trust),
        ),
        Goal {
            what: "connect".into(),
            wanted: Wanted::Below(2.0),
            unit: " ms",
            got: p50(Case::Connect, Trust).map(|ns| ns / 1e6),
        },
    ]
}

struct Native<'a>(Rows<'a>);

impl Native<'_> {
    /// The median of calls one by one, in ns.
    fn p50(&self, case: Case, bytes: Option<usize>, carrier: Carrier) -> Option<f64> {
        let mut rows = self.0.of_carrier(carrier);
        let row = rows.find(|row| {
            row.case == case && row.in_flight == 1 && bytes.is_none_or(|bytes| row.bytes == bytes)
        })?;
        Some(row.p50_ns as f64)
    }

    /// The most no-op calls a second of any number in flight.
    fn best_rate(&self, carrier: Carrier) -> Option<f64> {
        let rows = self.0.of_carrier(carrier);
        rows.filter(|row| row.case == Case::Noop && row.in_flight > 1)
            .map(|row| row.calls_per_s)
            .max_by(f64::total_cmp)
    }
}
