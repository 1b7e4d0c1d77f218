//! What a person reads at the end.

use nowire_bench_harness::cell::Case;

use crate::row::Row;
use crate::table::{columns, rate, size, time};

/// One table a kind of case.
pub(crate) fn tables(rows: &[Row]) -> String {
    let mut text = String::new();
    let exchanges = [
        (
            Case::Unary,
            "Unary calls; in flight more than one: throughput",
        ),
        (Case::Stream, "Ping-pong on one bidirectional stream"),
        (
            Case::Parked,
            "Unary calls 2 ms apart, both sides asleep before each",
        ),
        (
            Case::Connect,
            "From an endpoint to a channel; first call: to the first answer",
        ),
        (
            Case::Channel,
            "A connection made, called once and destroyed; first call: to its answer",
        ),
        (
            Case::Noop,
            "A number there and back; in flight: from one thread",
        ),
        (
            Case::Tree,
            "A tree of 1,000 nodes that lies ready, summed by the server",
        ),
        (Case::Grow, "The same tree built for each call"),
        (
            Case::Fetch,
            "The same tree built by the server, summed by the client",
        ),
        (
            Case::Pass,
            "Bytes that lie ready, and that the server does not read",
        ),
        (
            Case::Write,
            "Bytes written by the caller, all read by the server",
        ),
        (
            Case::Seal,
            "Pages made unchangeable and checked by their reader, in one process",
        ),
    ];
    for (case, title) in exchanges {
        let of_case: Vec<&Row> = rows.iter().filter(|row| row.case == case).collect();
        if !of_case.is_empty() {
            text.push_str(&format!("\n{title}\n{}", calls(&of_case, case)));
        }
    }
    let idle: Vec<&Row> = rows.iter().filter(|row| row.case == Case::Idle).collect();
    if !idle.is_empty() {
        text.push_str(&format!("\nIdle connections\n{}", idle_table(&idle)));
    }
    text
}

/// Rows of one case, a line each; what none of them has gets no column.
pub(crate) fn calls(rows: &[&Row], case: Case) -> String {
    let services = rows.iter().any(|row| row.passing.services.is_some());
    let changed = rows.iter().any(|row| row.passing.changed_percent.is_some());
    let parts = rows.iter().any(|row| row.passing.part.is_some());
    let forwarded = rows
        .iter()
        .any(|row| row.passing.forwarded_bytes_per_call.is_some());
    let mut head = vec!["bytes", "in flight"];
    let optional = [
        (services, "services"),
        (changed, "changed"),
        (parts, "part"),
    ];
    head.extend(
        optional
            .iter()
            .filter_map(|(has, name)| has.then_some(name)),
    );
    head.extend(["carrier", "wait"]);
    let left = head.len();
    head.extend([
        "calls",
        "mean",
        "p50",
        "p99",
        "p99.9",
        "calls/s",
        "cpu/call",
        "faults/call",
    ]);
    if matches!(case, Case::Connect | Case::Channel) {
        head.push("first call");
    }
    if forwarded {
        head.extend(["forwarded", "forwarder cpu"]);
    }
    let mut lines = vec![head.into_iter().map(String::from).collect::<Vec<_>>()];
    let mut last = None;
    for row in rows {
        let passing = &row.passing;
        let key = (
            row.bytes,
            row.in_flight,
            passing.services,
            passing.changed_percent,
        );
        if last.is_some_and(|last| last != key) {
            lines.push(Vec::new());
        }
        last = Some(key);
        let calls = row.calls.max(1) as f64;
        let mut line = vec![size(row.bytes as u64), row.in_flight.to_string()];
        if services {
            line.push(passing.services.map_or("-".into(), |n| n.to_string()));
        }
        if changed {
            let percent = passing.changed_percent;
            line.push(percent.map_or("-".into(), |percent| format!("{percent} %")));
        }
        if parts {
            line.push(passing.part.clone().unwrap_or("-".into()));
        }
        line.extend([
            row.carrier.to_string(),
            row.wait.to_string(),
            row.calls.to_string(),
            time(row.mean_ns),
            time(row.p50_ns as f64),
            time(row.p99_ns as f64),
            time(row.p999_ns as f64),
            rate(row.calls_per_s),
            time(row.cpu_s * 1e9 / calls),
            row.faults_per_call
                .map_or("-".into(), |faults| format!("{faults:.3}")),
        ]);
        line.extend(row.first_call_p50_ns.map(|ns| time(ns as f64)));
        line.extend(
            passing
                .forwarded_bytes_per_call
                .map(|bytes| size(bytes as u64)),
        );
        line.extend(passing.forwarder_cpu_ns_per_call.map(time));
        lines.push(line);
    }
    columns(&lines, left)
}

fn idle_table(rows: &[&Row]) -> String {
    let head = [
        "carrier",
        "wait",
        "connections",
        "watched",
        "cpu of one core",
        "shared each",
        "private each",
    ];
    let mut lines = vec![head.map(String::from).to_vec()];
    for row in rows {
        if let Some(idle) = row.idle {
            lines.push(vec![
                row.carrier.to_string(),
                row.wait.to_string(),
                row.in_flight.to_string(),
                format!("{:.0} s", idle.idle_s),
                format!("{:.3} %", idle.cpu_share * 100.0),
                size(idle.shared_bytes_per_connection),
                size(idle.private_bytes_per_connection),
            ]);
        }
    }
    columns(&lines, 2)
}
