//! What a person and what a program reads at the end.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::args::{Args, Carrier};
use crate::case::Case;
use crate::figures::Figures;

/// What the others are compared with.
const BASE: Carrier = Carrier::Unix;

/// A line a case, a column a carrier; beside each carrier, how many times
/// quicker it is than the one they are all compared with.
pub(crate) fn table(figures: &Figures, args: &Args, carriers: &[Carrier]) -> String {
    let mut lines = vec![head(carriers)];
    let mut searches = Vec::new();
    for case in Case::all() {
        let times: Vec<_> = carriers
            .iter()
            .map(|&carrier| figures.get(case, carrier).map(|figure| figure.time()))
            .collect();
        lines.push(line(&case.to_string(), case.what(), carriers, &times));
        if matches!(case, Case::Search(_)) {
            searches.push(times);
        }
    }
    let total: Vec<_> = (0..carriers.len())
        .map(|carrier| searches.iter().map(|times| times[carrier]).sum())
        .collect();
    lines.push(line("search", "one of each query", carriers, &total));
    format!(
        "\n{} documents in batches of {}, {} rounds; build: all of it, the rest: a call (median)\n{}",
        args.documents,
        args.batch,
        args.rounds,
        columns(&lines)
    )
}

fn head(carriers: &[Carrier]) -> Vec<String> {
    let mut cells = vec!["case".to_owned(), String::new()];
    for &carrier in carriers {
        cells.push(carrier.title().to_owned());
        if compares(carrier, carriers) {
            cells.push("times".to_owned());
        }
    }
    cells
}

fn line(name: &str, what: &str, carriers: &[Carrier], times: &[Option<Duration>]) -> Vec<String> {
    let base = carriers.iter().zip(times).find(|(it, _)| **it == BASE);
    let base = base.and_then(|(_, time)| *time);
    let mut cells = vec![name.to_owned(), what.to_owned()];
    for (&carrier, &took) in carriers.iter().zip(times) {
        cells.push(took.map_or_else(|| "-".to_owned(), time));
        if compares(carrier, carriers) {
            let ratio = base
                .zip(took)
                .map(|(base, took)| base.as_secs_f64() / took.as_secs_f64());
            cells.push(ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.1}")));
        }
    }
    cells
}

fn compares(carrier: Carrier, carriers: &[Carrier]) -> bool {
    carrier != BASE && carriers.contains(&BASE)
}

/// Lines up cells in columns; the first two are left-aligned.
fn columns(lines: &[Vec<String>]) -> String {
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
            .map(|(column, (cell, &width))| match column {
                0 | 1 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A time with the unit that suits it.
fn time(time: Duration) -> String {
    match time.as_nanos() as f64 {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.1} µs", ns / 1e3),
        ns if ns < 1e9 => format!("{:.2} ms", ns / 1e6),
        ns => format!("{:.2} s", ns / 1e9),
    }
}

/// Writes all figures as a JSON list, a figure a line.
pub(crate) fn write_json(figures: &Figures, documents: u32, path: &Path) -> Result<()> {
    let context = || format!("writing {}", path.display());
    let mut file = BufWriter::new(File::create(path).with_context(context)?);
    let mut before = "[\n";
    for row in figures.rows(documents) {
        write!(file, "{before}{}", serde_json::to_string(&row)?).with_context(context)?;
        before = ",\n";
    }
    file.write_all(b"\n]\n").with_context(context)?;
    file.flush().with_context(context)
}
