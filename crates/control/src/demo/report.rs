//! The figures as a person reads them, and as a program does.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::client::IN_FLIGHT;
use super::digest::Digest;
use super::kind::Kind;
use super::message::{Findings, Measurement};
use super::placement::Placement;
use super::transport::Carrier;
use crate::places::places;
use crate::terminal::{Terminal, Tone};

const KIND_COLUMN: usize = 15;
const CARRIER_COLUMN: usize = 13;
const TIME_COLUMN: usize = 9;
const RATE_COLUMN: usize = 11;
const RATIO_COLUMN: usize = 10;

/// A finished demonstration.
#[derive(Debug, Clone)]
pub struct Report {
    /// Where the processes ran.
    pub placement: Placement,
    /// Calls of each kind over each carrier.
    pub calls: u32,
    /// How long it all took.
    pub elapsed: Duration,
    /// What the client found.
    pub findings: Findings,
}

/// What is about to happen, printed before it does.
#[must_use]
pub fn opening(terminal: &Terminal, placement: Placement, calls: u32) -> String {
    let heading = "Nowire demo: gRPC's RouteGuide between two processes";
    let cores = match placement {
        Placement::Separate {
            server,
            client,
            siblings,
        } => {
            let note = if siblings {
                " (two hardware threads of one core)"
            } else {
                ""
            };
            format!("server pinned to {server}, client pinned to {client}{note}")
        }
        Placement::Shared => "only one: server and client share it, and all is slower".to_owned(),
    };
    let calls = grouped(u64::from(calls));
    let facts = [
        ("data", format!("{} places of the world", places().len())),
        (
            "calls",
            format!("{calls} of each kind over each carrier, and as many {IN_FLIGHT} at once"),
        ),
        ("cores", cores),
    ];
    let mut text = format!("\n  {}\n\n", terminal.paint(Tone::Strong, heading));
    for (label, fact) in facts {
        let label = terminal.paint(Tone::Faint, &format!("{label:8}"));
        let _ = writeln!(text, "  {label}{fact}");
    }
    text.push('\n');
    text
}

impl Report {
    /// The table, the bar chart and the verdict on the answers.
    #[must_use]
    pub fn text(&self, terminal: &Terminal) -> String {
        let mut text = self.table(terminal);
        text.push_str(&self.chart(terminal));
        text.push_str(&self.closing(terminal));
        text
    }

    fn table(&self, terminal: &Terminal) -> String {
        let heading = format!(
            "  {:KIND_COLUMN$}{:CARRIER_COLUMN$}{:>TIME_COLUMN$}{:>TIME_COLUMN$}{:>RATE_COLUMN$}{:>RATIO_COLUMN$}{:>RATIO_COLUMN$}",
            "call", "carrier", "median", "p99", "calls/s", "vs TCP", "vs Unix"
        );
        let mut table = terminal.paint(Tone::Strong, &heading);
        table.push('\n');
        for kind in Kind::ALL {
            let labels = [kind.title(), kind.method(), ""];
            for (row, label) in self.rows(kind).zip(labels) {
                let label = format!("  {label:KIND_COLUMN$}");
                let tone = if label.contains(kind.method()) {
                    Tone::Faint
                } else {
                    Tone::Strong
                };
                let figures = format!(
                    "{:CARRIER_COLUMN$}{:>TIME_COLUMN$}{:>TIME_COLUMN$}{:>RATE_COLUMN$}{:>RATIO_COLUMN$}{:>RATIO_COLUMN$}",
                    row.carrier.to_string(),
                    time(row.p50_ns, terminal),
                    time(row.p99_ns, terminal),
                    grouped(row.calls_per_s.round() as u64),
                    self.ratio(row, Carrier::Tcp, terminal),
                    self.ratio(row, Carrier::Unix, terminal),
                );
                table.push_str(&terminal.paint(tone, &label));
                table.push_str(&highlight(terminal, row.carrier, &figures));
                table.push('\n');
            }
            table.push('\n');
        }
        table
    }

    fn chart(&self, terminal: &Terminal) -> String {
        let heading = "  Median time of one call (shorter is better; each kind has its own scale)";
        let mut chart = terminal.paint(Tone::Strong, heading);
        chart.push_str("\n\n");
        let beside = 2 + KIND_COLUMN + CARRIER_COLUMN + 1 + TIME_COLUMN;
        let room = terminal.width.saturating_sub(beside).max(1);
        for kind in Kind::ALL {
            let longest_ns = self.rows(kind).map(|row| row.p50_ns).max().unwrap_or(0);
            let labels = [kind.title(), "", ""];
            for (row, label) in self.rows(kind).zip(labels) {
                let bar = bar(row.p50_ns, longest_ns, room, terminal.unicode);
                let line = format!(
                    "{:CARRIER_COLUMN$}{bar} {}",
                    row.carrier.to_string(),
                    time(row.p50_ns, terminal).trim_start()
                );
                let label = format!("  {label:KIND_COLUMN$}");
                chart.push_str(&terminal.paint(Tone::Strong, &label));
                chart.push_str(&highlight(terminal, row.carrier, &line));
                chart.push('\n');
            }
            chart.push('\n');
        }
        chart
    }

    fn closing(&self, terminal: &Terminal) -> String {
        let mut all = Digest::default();
        for (_, digest) in &self.findings.reference {
            all.merge(*digest);
        }
        let mark = terminal.either("✓", "ok:");
        let equal = format!(
            "  {mark} answers equal: {} messages over each carrier, digest {all}",
            grouped(all.messages)
        );
        let mut closing = terminal.paint(Tone::Good, &equal);
        let _ = write!(
            closing,
            "\n  {:.1} s in all\n\n",
            self.elapsed.as_secs_f64()
        );
        closing
    }

    fn rows(&self, kind: Kind) -> impl Iterator<Item = &Measurement> {
        let all = self.findings.measurements.iter();
        all.filter(move |row| row.kind == kind)
    }

    fn times_faster(&self, row: &Measurement, than: Carrier) -> Option<f64> {
        let other = self.rows(row.kind).find(|other| other.carrier == than)?;
        (row.p50_ns > 0).then(|| other.p50_ns as f64 / row.p50_ns as f64)
    }

    fn ratio(&self, row: &Measurement, than: Carrier, terminal: &Terminal) -> String {
        let times = terminal.either("×", "x");
        match self.times_faster(row, than) {
            Some(ratio) => format!("{ratio:.1} {times}"),
            None => "-".to_owned(),
        }
    }

    /// All figures as a JSON document.
    ///
    /// # Errors
    /// If a figure is no number.
    pub fn json(&self) -> serde_json::Result<String> {
        let (server_core, client_core) = match self.placement {
            Placement::Separate { server, client, .. } => (Some(server), Some(client)),
            Placement::Shared => (None, None),
        };
        let rows = self.findings.measurements.iter().map(|row| JsonRow {
            kind: row.kind,
            method: row.kind.method(),
            carrier: row.carrier,
            calls: row.calls,
            p50_ns: row.p50_ns,
            p99_ns: row.p99_ns,
            calls_per_s: row.calls_per_s,
            times_faster_than_tcp: self.times_faster(row, Carrier::Tcp),
            times_faster_than_unix: self.times_faster(row, Carrier::Unix),
            messages: row.answers.messages,
            digest: row.answers.to_string(),
        });
        let document = JsonReport {
            service: "routeguide.RouteGuide",
            places: places().len(),
            server_core,
            client_core,
            in_flight: IN_FLIGHT,
            elapsed_s: self.elapsed.as_secs_f64(),
            answers_equal: super::verdict::require_equal_answers(&self.findings).is_ok(),
            rows: rows.collect(),
        };
        let mut text = serde_json::to_string_pretty(&document)?;
        text.push('\n');
        Ok(text)
    }
}

#[derive(Serialize)]
struct JsonReport {
    service: &'static str,
    places: usize,
    server_core: Option<usize>,
    client_core: Option<usize>,
    in_flight: usize,
    elapsed_s: f64,
    answers_equal: bool,
    rows: Vec<JsonRow>,
}

#[derive(Serialize)]
struct JsonRow {
    kind: Kind,
    method: &'static str,
    carrier: Carrier,
    calls: u64,
    p50_ns: u64,
    p99_ns: u64,
    calls_per_s: f64,
    times_faster_than_tcp: Option<f64>,
    times_faster_than_unix: Option<f64>,
    messages: u64,
    digest: String,
}

fn highlight(terminal: &Terminal, carrier: Carrier, text: &str) -> String {
    match carrier {
        Carrier::Nowire => terminal.paint(Tone::Good, text),
        Carrier::Tcp | Carrier::Unix => text.to_owned(),
    }
}

/// Three significant digits, with the unit.
fn time(ns: u64, terminal: &Terminal) -> String {
    let (value, unit) = match ns {
        0..1_000 => (ns as f64, "ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, terminal.either("µs", "us")),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    let decimals = match value {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.decimals$} {unit}")
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A bar of `value / longest` of `room` characters; never quite nothing.
fn bar(value: u64, longest: u64, room: usize, unicode: bool) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let share = if longest == 0 {
        0.0
    } else {
        value as f64 / longest as f64
    };
    if !unicode {
        return "#".repeat(((share * room as f64).round() as usize).max(1));
    }
    let eighths = ((share * room as f64 * 8.0).round() as usize).max(1);
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for (width, unicode) in [(80, false), (80, true), (110, true)] {
            let terminal = Terminal {
                width,
                rich: false,
                unicode,
            };
            let text = sample().text(&terminal) + &opening(&terminal, Placement::Shared, 1_000_000);
            for line in text.lines() {
                assert!(line.chars().count() <= width, "{width} columns: {line:?}");
            }
        }
    }

    #[test]
    fn plain_output_is_ascii() {
        let text = sample().text(&Terminal::PLAIN);
        assert!(text.is_ascii() && !text.contains('\x1b'), "{text}");
    }

    #[test]
    fn bars_are_in_proportion() {
        assert_eq!(bar(50, 100, 10, false), "#####");
        assert_eq!(bar(100, 100, 10, true), "██████████");
        assert_eq!(bar(1, 1_000_000, 10, true), "▏");
    }

    fn sample() -> Report {
        let measurement = |kind, carrier, p50_ns| Measurement {
            kind,
            carrier,
            calls: 10,
            p50_ns,
            p99_ns: 2 * p50_ns,
            calls_per_s: 1_234_567.0,
            answers: Digest::default(),
        };
        let rows = Kind::ALL.iter().flat_map(|&kind| {
            [
                measurement(kind, Carrier::Tcp, 99_940),
                measurement(kind, Carrier::Unix, 999_600),
                measurement(kind, Carrier::Nowire, 2_900),
            ]
        });
        Report {
            placement: Placement::Shared,
            calls: 10,
            elapsed: Duration::from_secs(10),
            findings: Findings {
                reference: Vec::new(),
                measurements: rows.collect(),
            },
        }
    }
}
