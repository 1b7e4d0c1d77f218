//! What a person and what a program reads at the end.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use nowire_imagepipe::{Carrier, Figure, Mode};

/// A table a mode.
pub(crate) fn tables(figures: &[Figure]) -> String {
    let mut modes: Vec<Mode> = Vec::new();
    for figure in figures {
        if !modes.contains(&figure.mode) {
            modes.push(figure.mode);
        }
    }
    let table = |mode: Mode| {
        let of_mode = |figure: &&Figure| figure.mode == mode;
        let figures: Vec<&Figure> = figures.iter().filter(of_mode).collect();
        format!("\n{mode}: {}\n{}", mode.title(), table(&figures))
    };
    let tables: String = modes.into_iter().map(table).collect();
    format!(
        "{tables}\nx: how many times the throughput of the others; cpu: of all seven processes, a call\n"
    )
}

fn table(figures: &[&Figure]) -> String {
    let head = [
        "sent",
        "received",
        "at a time",
        "carrier",
        "calls",
        "images/s",
        "p50",
        "p99",
        "cpu",
        "x Unix",
        "x Nowire",
    ];
    let mut lines = vec![head.map(String::from).to_vec()];
    let mut last = None;
    for figure in figures {
        let cell = (figure.bytes, figure.in_flight);
        if last.is_some_and(|last| last != cell) {
            lines.push(Vec::new());
        }
        last = Some(cell);
        let times = |carrier: Carrier| {
            let other = figures
                .iter()
                .find(|other| other.carrier == carrier && (other.bytes, other.in_flight) == cell);
            match other {
                Some(other) if other.carrier != figure.carrier => {
                    format!("{:.2}", figure.calls_per_s / other.calls_per_s)
                }
                _ => "-".to_owned(),
            }
        };
        lines.push(vec![
            size(figure.sent_bytes),
            size(figure.received_bytes),
            figure.in_flight.to_string(),
            figure.carrier.title().to_owned(),
            figure.calls.to_string(),
            rate(figure.calls_per_s),
            time(figure.p50_ns as f64),
            time(figure.p99_ns as f64),
            time(figure.cpu_s * 1e9 / figure.calls.max(1) as f64),
            times(Carrier::Unix),
            times(Carrier::Nowire),
        ]);
    }
    columns(&lines, 3)
}

/// Lines up cells in columns, right-aligned but for the one with the words.
fn columns(lines: &[Vec<String>], words: usize) -> String {
    let mut widths = vec![0; lines.first().map_or(0, Vec::len)];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in lines {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| {
                if column == words {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A time with the unit that suits it.
fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.1} µs", ns / 1e3),
        ns if ns < 1e9 => format!("{:.2} ms", ns / 1e6),
        ns => format!("{:.2} s", ns / 1e9),
    }
}

/// A size with the unit that suits it.
fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.2} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// A number a second.
fn rate(per_s: f64) -> String {
    match per_s {
        rate if rate < 1e2 => format!("{rate:.1}"),
        rate if rate < 1e4 => format!("{rate:.0}"),
        rate => format!("{:.1} k", rate / 1e3),
    }
}

/// Writes all figures as a JSON list, a figure a line.
pub(crate) fn write_json(figures: &[Figure], path: &Path) -> Result<()> {
    let context = || format!("writing {}", path.display());
    let mut file = BufWriter::new(File::create(path).with_context(context)?);
    let mut before = "[\n";
    for figure in figures {
        write!(file, "{before}{}", serde_json::to_string(figure)?).with_context(context)?;
        before = ",\n";
    }
    let after = if figures.is_empty() { "[]\n" } else { "\n]\n" };
    file.write_all(after.as_bytes()).with_context(context)?;
    file.flush().with_context(context)
}
