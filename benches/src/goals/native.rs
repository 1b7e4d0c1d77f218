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

#[cfg(test)]
mod tests {
    use nowire_bench_harness::cell::{Party, Wait};

    use super::*;
    use crate::row::Idle;

    fn row(case: Case, carrier: Carrier, in_flight: usize, p50_ns: u64, calls_per_s: f64) -> Row {
        let party = Party {
            carrier,
            wait: Wait::Adaptive,
        };
        let idle = Idle {
            idle_s: 0.0,
            cpu_share: 0.0,
            shared_bytes_per_connection: 0,
            private_bytes_per_connection: 0,
        };
        Row {
            case,
            bytes: PAGE,
            p50_ns,
            calls_per_s,
            idle: None,
            ..Row::of_idle(party, in_flight, 0.0, idle)
        }
    }

    fn got(rows: &[Row], what: &str) -> Option<f64> {
        let goals = goals(rows);
        let goal = goals.iter().find(|goal| goal.what.starts_with(what));
        goal.and_then(|goal| goal.got)
    }

    #[test]
    fn each_side_is_judged_by_its_best_window() {
        let noop = |carrier, window, rate| row(Case::Noop, carrier, window, 1, rate);
        let rows = [
            noop(Carrier::Trust, 1, 9e6),
            noop(Carrier::Trust, 16, 4e6),
            noop(Carrier::Trust, 64, 6e6),
            noop(Carrier::Iceoryx2, 4, 1e6),
            noop(Carrier::Iceoryx2, 64, 5e5),
        ];
        assert_eq!(got(&rows, "no-op, pipelined from one thread"), Some(6.0));
        assert_eq!(got(&rows, "no-op, pipelined, calls/s"), Some(6.0));
    }

    #[test]
    fn what_safety_costs_is_a_difference() {
        let page = |carrier, p50_ns| row(Case::Pass, carrier, 1, p50_ns, 1.0);
        let rows = [page(Carrier::Trust, 500), page(Carrier::Copy, 750)];
        assert_eq!(got(&rows, "one page passed"), Some(0.25));
        assert_eq!(got(&rows[..1], "one page passed"), None);
    }
}
