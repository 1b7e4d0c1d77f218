//! What the project wants to reach, and whether this run reached it.

use crate::cell::{Carrier, Case, Wait};
use crate::row::Row;
use crate::table::columns;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// A figure and what it is to be.
struct Goal {
    what: String,
    wanted: Wanted,
    unit: &'static str,
    got: Option<f64>,
}

#[derive(Clone, Copy)]
enum Wanted {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

impl Wanted {
    fn is_met_by(self, got: f64) -> bool {
        match self {
            Self::AtLeast(bound) => got >= bound,
            Self::AtMost(bound) => got <= bound,
            Self::Below(bound) => got < bound,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Self::AtLeast(bound) => format!("at least {bound}{unit}"),
            Self::AtMost(bound) => format!("at most {bound}{unit}"),
            Self::Below(bound) => format!("under {bound}{unit}"),
        }
    }
}

/// All goals as a table; what was not measured says so.
pub(crate) fn table(rows: &[Row]) -> String {
    let head = ["goal", "wanted", "this run", "reached"];
    let mut lines = vec![head.map(String::from).to_vec()];
    for goal in goals(&Rows(rows)) {
        let (got, reached) = match goal.got {
            Some(got) => (
                format!("{got:.2}{}", goal.unit),
                if goal.wanted.is_met_by(got) {
                    "yes"
                } else {
                    "no"
                },
            ),
            None => ("-".into(), "not measured"),
        };
        lines.push(vec![
            goal.what,
            goal.wanted.text(goal.unit),
            got,
            reached.into(),
        ]);
    }
    columns(&lines, 1)
}

fn goals(rows: &Rows<'_>) -> Vec<Goal> {
    use Carrier::{Floor, Inprocess, Tcp, Unix};
    let p50 = |row: &Row| row.p50_ns as f64;
    let p999 = |row: &Row| row.p999_ns as f64;
    let rate = |row: &Row| row.calls_per_s;
    let small = |case| Key {
        case,
        bytes: 64,
        in_flight: 1,
        wait: Wait::Adaptive,
    };
    let unary = |bytes| Key {
        bytes,
        ..small(Case::Unary)
    };
    let many = Key {
        in_flight: 64,
        ..small(Case::Unary)
    };
    let times = |what: &str, wanted, got| Goal {
        what: what.into(),
        wanted,
        unit: " x",
        got,
    };
    let mut goals = vec![
        times(
            "64 B unary, time against in process",
            Wanted::AtMost(2.5),
            rows.nowire_over(unary(64), Inprocess, p50),
        ),
        times(
            "64 B unary, faster than Unix socket",
            Wanted::AtLeast(14.0),
            rows.over_nowire(unary(64), Unix, p50),
        ),
        times(
            "64 B unary, faster than TCP",
            Wanted::AtLeast(28.0),
            rows.over_nowire(unary(64), Tcp, p50),
        ),
        times(
            "64 KiB unary, faster than Unix socket",
            Wanted::AtLeast(4.0),
            rows.over_nowire(unary(64 * KIB), Unix, p50),
        ),
        times(
            "64 KiB unary, time against the floor",
            Wanted::AtMost(2.5),
            rows.nowire_over(unary(64 * KIB), Floor, p50),
        ),
        times(
            "1 MiB unary, faster than Unix socket",
            Wanted::AtLeast(3.0),
            rows.over_nowire(unary(MIB), Unix, p50),
        ),
        times(
            "1 MiB unary, time against the floor",
            Wanted::AtMost(2.5),
            rows.nowire_over(unary(MIB), Floor, p50),
        ),
        times(
            "64 B, 64 in flight, calls/s against Unix socket",
            Wanted::AtLeast(6.0),
            rows.nowire_over(many, Unix, rate),
        ),
        times(
            "64 B unary, p99.9 lower than Unix socket",
            Wanted::AtLeast(4.0),
            rows.over_nowire(unary(64), Unix, p999),
        ),
    ];
    for (name, case, wait) in [
        ("calls 2 ms apart, adaptive", Case::Parked, Wait::Adaptive),
        ("calls 2 ms apart, park", Case::Parked, Wait::Park),
        ("back to back, park", Case::Unary, Wait::Park),
    ] {
        goals.push(times(
            &format!("64 B, {name}, faster than Unix socket"),
            Wanted::AtLeast(1.0),
            rows.over_nowire(
                Key {
                    wait,
                    ..small(case)
                },
                Unix,
                p50,
            ),
        ));
    }
    let idle = rows.of_carrier(Carrier::Nowire).find_map(|row| row.idle);
    goals.push(Goal {
        what: "1,000 idle connections, of one core".into(),
        wanted: Wanted::Below(0.5),
        unit: " %",
        got: idle.map(|idle| idle.cpu_share * 100.0),
    });
    let kib = |bytes: u64| bytes as f64 / 1024.0;
    goals.push(Goal {
        what: "an idle connection, shared memory".into(),
        wanted: Wanted::AtMost(256.0),
        unit: " KiB",
        got: idle.map(|idle| kib(idle.shared_bytes_per_connection)),
    });
    goals.push(Goal {
        what: "an idle connection, both processes' own memory too".into(),
        wanted: Wanted::AtMost(256.0),
        unit: " KiB",
        got: idle
            .map(|idle| kib(idle.shared_bytes_per_connection + idle.private_bytes_per_connection)),
    });
    goals.push(Goal {
        what: "connect, handshake included".into(),
        wanted: Wanted::Below(2.0),
        unit: " ms",
        got: rows
            .of_carrier(Carrier::Nowire)
            .find(|row| row.case == Case::Connect)
            .map(|row| row.p50_ns as f64 / 1e6),
    });
    for (name, bytes) in [("64 B", 64), ("64 KiB", 64 * KIB), ("1 MiB", MIB)] {
        goals.push(Goal {
            what: format!("{name} unary, page faults a call"),
            wanted: Wanted::Below(0.01),
            unit: "",
            got: rows
                .nowire(unary(bytes))
                .and_then(|row| row.faults_per_call),
        });
    }
    goals
}

/// What a row of Nowire is found by; rivals have no `wait`.
#[derive(Clone, Copy)]
struct Key {
    case: Case,
    bytes: usize,
    in_flight: usize,
    wait: Wait,
}

struct Rows<'a>(&'a [Row]);

impl<'a> Rows<'a> {
    fn of_carrier(&self, carrier: Carrier) -> impl Iterator<Item = &'a Row> {
        self.0.iter().filter(move |row| row.carrier == carrier)
    }

    fn rival(&self, key: Key, carrier: Carrier) -> Option<&'a Row> {
        self.of_carrier(carrier).find(|row| {
            row.case == key.case && row.bytes == key.bytes && row.in_flight == key.in_flight
        })
    }

    fn nowire(&self, key: Key) -> Option<&'a Row> {
        self.of_carrier(Carrier::Nowire).find(|row| {
            row.case == key.case
                && row.bytes == key.bytes
                && row.in_flight == key.in_flight
                && row.wait == key.wait
        })
    }

    fn nowire_over(&self, key: Key, rival: Carrier, figure: fn(&Row) -> f64) -> Option<f64> {
        Some(figure(self.nowire(key)?) / figure(self.rival(key, rival)?))
    }

    fn over_nowire(&self, key: Key, rival: Carrier, figure: fn(&Row) -> f64) -> Option<f64> {
        Some(figure(self.rival(key, rival)?) / figure(self.nowire(key)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Party;
    use crate::row::Idle;

    fn row(carrier: Carrier, wait: Wait, p50_ns: u64) -> Row {
        let idle = Idle {
            idle_s: 1.0,
            cpu_share: 0.0,
            shared_bytes_per_connection: 0,
            private_bytes_per_connection: 0,
        };
        let party = Party { carrier, wait };
        Row {
            case: Case::Unary,
            bytes: 64,
            p50_ns,
            idle: None,
            ..Row::of_idle(party, 1, 0.0, idle)
        }
    }

    fn line(rows: &[Row], goal: &str) -> String {
        let table = table(rows);
        let line = table.lines().find(|line| line.starts_with(goal));
        line.unwrap_or_default().into()
    }

    #[test]
    fn the_default_policy_is_what_counts() {
        let rows = [
            row(Carrier::Nowire, Wait::Park, 50_000),
            row(Carrier::Nowire, Wait::Adaptive, 3_000),
            row(Carrier::Unix, Wait::Fixed, 45_000),
            row(Carrier::Tcp, Wait::Fixed, 81_000),
        ];
        let unix = line(&rows, "64 B unary, faster than Unix");
        assert!(unix.contains("15.00 x") && unix.ends_with(" yes"), "{unix}");
        let tcp = line(&rows, "64 B unary, faster than TCP");
        assert!(tcp.contains("27.00 x") && tcp.ends_with(" no"), "{tcp}");
    }

    #[test]
    fn a_goal_without_its_rows_is_not_reached() {
        let rows = [row(Carrier::Nowire, Wait::Adaptive, 1)];
        let line = line(&rows, "64 B unary, faster than Unix");
        assert!(line.ends_with("not measured"), "{line}");
    }
}
