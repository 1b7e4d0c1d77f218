//! Runs the steps and tells what came of them.

use std::time::{Duration, Instant};

use crate::context::Context;
use crate::step::{Done, Failure, Step};

/// What came of every step.
pub(crate) struct Report {
    lines: Vec<Line>,
}

struct Line {
    step: &'static str,
    took: Duration,
    outcome: Outcome,
}

enum Outcome {
    Passed(Done),
    Failed(String),
    NotAskedFor,
}

impl Report {
    /// Runs the steps in their order. One that fails does not keep the next from
    /// running: a single run is to show all that is wrong.
    pub(crate) fn of(steps: &'static [Step], context: &Context) -> Report {
        let lines = steps.iter().map(|step| Line::of(step, context)).collect();
        Report { lines }
    }

    /// Whether any step failed.
    pub(crate) fn failed(&self) -> bool {
        self.count(|outcome| matches!(outcome, Outcome::Failed(_))) > 0
    }

    /// Prints the table, what was left out, and a line of counts.
    pub(crate) fn print(&self) {
        println!();
        for line in &self.lines {
            let (verdict, note) = match &line.outcome {
                Outcome::Passed(done) => ("ok", done.note.as_deref().unwrap_or("")),
                Outcome::Failed(why) => ("FAILED", why.as_str()),
                Outcome::NotAskedFor => continue,
            };
            let took = line.took.as_secs_f64();
            let row = format!("{:<10} {verdict:<8} {took:>7.1} s  {note}", line.step);
            println!("{}", row.trim_end());
        }
        let mut left_out: Vec<String> = self.lines.iter().flat_map(Line::left_out).collect();
        left_out.extend(self.not_asked_for());
        if !left_out.is_empty() {
            println!("\nLeft out:");
            for what in left_out {
                println!("- {what}");
            }
        }
        let took: Duration = self.lines.iter().map(|line| line.took).sum();
        println!("\n{:.0} s in all", took.as_secs_f64());
        println!(
            "{} passed, {} failed, {} skipped",
            self.count(|outcome| matches!(outcome, Outcome::Passed(_))),
            self.count(|outcome| matches!(outcome, Outcome::Failed(_))),
            self.count(|outcome| matches!(outcome, Outcome::NotAskedFor)),
        );
    }

    fn not_asked_for(&self) -> Option<String> {
        let names: Vec<&str> = self
            .lines
            .iter()
            .filter(|line| matches!(line.outcome, Outcome::NotAskedFor))
            .map(|line| line.step)
            .collect();
        (!names.is_empty()).then(|| format!("not asked for: {}", names.join(", ")))
    }

    fn count(&self, which: impl Fn(&Outcome) -> bool) -> usize {
        self.lines
            .iter()
            .filter(|line| which(&line.outcome))
            .count()
    }
}

impl Line {
    fn of(step: &'static Step, context: &Context) -> Line {
        if !context.options.wants(step.name) {
            return Line {
                step: step.name,
                took: Duration::ZERO,
                outcome: Outcome::NotAskedFor,
            };
        }
        println!("\n=== {}: {}", step.name, step.what);
        let begin = Instant::now();
        let outcome = match (step.run)(context) {
            Ok(done) => Outcome::Passed(done),
            Err(Failure(why)) => Outcome::Failed(why),
        };
        let took = begin.elapsed();
        let said = match &outcome {
            Outcome::Passed(_) => "ok",
            Outcome::Failed(why) => why.as_str(),
            Outcome::NotAskedFor => "not asked for",
        };
        println!("--- {}: {said} ({:.1} s)", step.name, took.as_secs_f64());
        Line {
            step: step.name,
            took,
            outcome,
        }
    }

    fn left_out(&self) -> Vec<String> {
        match &self.outcome {
            Outcome::Passed(done) => done.left_out.clone(),
            Outcome::Failed(_) | Outcome::NotAskedFor => Vec::new(),
        }
    }
}
