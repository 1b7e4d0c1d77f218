//! Of the gRPC benchmark.

use nowire_bench_harness::cell::{Carrier, Case, Wait};

use super::{Goal, Key, Rows, Wanted, times};
use crate::row::Row;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

pub(crate) fn goals(rows: &[Row]) -> Vec<Goal> {
    let rows = Rows(rows);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Idle;
    use nowire_bench_harness::cell::Party;

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
        let table = crate::goals::table(&goals(rows));
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
