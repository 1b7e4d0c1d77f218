//! The findings as a person reads them.

use super::Examination;
use super::finding::{Finding, Status};
use crate::terminal::{Terminal, Tone, wrap};

const MARK_COLUMN: usize = 4;
const WHAT_COLUMN: usize = 18;
const GAP: usize = 2;

/// All findings as a table, and what follows from them.
pub(super) fn render(examination: &Examination, terminal: &Terminal) -> String {
    let mut text = String::from("\n");
    let sections = [
        ("What Nowire needs", &examination.needs),
        ("What bounds it", &examination.limits),
        ("What else is here", &examination.offers),
    ];
    let columns = Columns::of(terminal);
    for (heading, findings) in sections {
        let heading = format!("{heading:width$}", width = MARK_COLUMN + WHAT_COLUMN);
        let here = format!("{:width$}", "here", width = columns.here + GAP);
        let titles = format!("{here}Nowire today");
        text += &terminal.paint(Tone::Strong, &heading);
        text += &terminal.paint(Tone::Faint, &titles);
        text += "\n";
        for finding in findings {
            text += &row(finding, terminal, columns);
        }
        text += "\n";
    }
    text += &closing(examination, terminal);
    text
}

#[derive(Clone, Copy)]
struct Columns {
    here: usize,
    today: usize,
}

impl Columns {
    fn of(terminal: &Terminal) -> Self {
        let room = terminal
            .width
            .saturating_sub(MARK_COLUMN + WHAT_COLUMN + GAP);
        Self {
            here: room / 2,
            today: room - room / 2,
        }
    }
}

fn row(finding: &Finding, terminal: &Terminal, columns: Columns) -> String {
    let here = wrap(&finding.here, columns.here);
    let today = wrap(&finding.today, columns.today);
    let mut text = String::new();
    for line in 0..here.len().max(today.len()) {
        let cell = |lines: &[String]| lines.get(line).cloned().unwrap_or_default();
        let (mark, what) = if line == 0 {
            (mark(finding.status, terminal), finding.what)
        } else {
            (" ".repeat(MARK_COLUMN), "")
        };
        let body = format!(
            "{what:WHAT_COLUMN$}{:here$}{:GAP$}{}",
            cell(&here),
            "",
            cell(&today),
            here = columns.here
        );
        let body = match finding.status {
            Status::Used => body,
            Status::Unused | Status::Absent => terminal.paint(Tone::Faint, body.trim_end()),
            Status::Missing => terminal.paint(Tone::Bad, body.trim_end()),
        };
        text += &mark;
        text += body.trim_end();
        text += "\n";
    }
    text
}

fn mark(status: Status, terminal: &Terminal) -> String {
    let (tone, mark) = match status {
        Status::Used => (Tone::Good, terminal.either("✓", "+")),
        Status::Unused => (Tone::Faint, terminal.either("·", ".")),
        Status::Absent => (Tone::Faint, terminal.either("–", "-")),
        Status::Missing => (Tone::Bad, terminal.either("✗", "!")),
    };
    let padding = " ".repeat(MARK_COLUMN - 2 - 1);
    format!("  {}{padding}", terminal.paint(tone, mark))
}

fn closing(examination: &Examination, terminal: &Terminal) -> String {
    let legend = format!(
        "  {} used   {} here, not used   {} not here, not needed   {} needed and missing\n",
        terminal.either("✓", "+"),
        terminal.either("·", "."),
        terminal.either("–", "-"),
        terminal.either("✗", "!"),
    );
    let verdict = if examination.fit {
        terminal.paint(Tone::Good, "  Nowire can work here.")
    } else {
        terminal.paint(Tone::Bad, "  Something Nowire needs is missing.")
    };
    format!("{}\n{verdict}\n\n", terminal.paint(Tone::Faint, &legend))
}
