//! Exhaustive interleavings.

use crate::context::Context;
use crate::process::run_keeping;
use crate::step::{Done, Failure, Step};

/// Every interleaving of the lock-free code that loom can reach is right.
pub(crate) const STEP: Step = Step {
    name: "loom",
    what: "lock-free code is right in every interleaving loom reaches",
    run: explore,
};

fn explore(context: &Context) -> Result<Done, Failure> {
    // A target folder of its own, because other flags would otherwise throw away
    // what the other steps built.
    let counts = run_keeping(
        context
            .cargo_resolving(["test", "-p", "nowire-protocol", "--release"])
            .args(["--lib", "--tests"])
            .arg("--target-dir")
            .arg(context.target.join("loom"))
            .args(["--", "--nocapture", "--test-threads=1", "loom"])
            .env("RUSTFLAGS", "--cfg loom")
            .env("LOOM_LOG", "loom::model=info"),
        executions,
    )?;
    if counts.is_empty() {
        return Err(Failure::wrong("no loom test ran"));
    }
    let total: u64 = counts.iter().sum();
    Ok(Done::noting(format!(
        "{total} executions of {} models",
        counts.len()
    )))
}

/// The count in loom's closing line for a model.
fn executions(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("Completed in ")?;
    rest.strip_suffix(" iterations")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::executions;

    #[test]
    fn looms_closing_line_gives_its_count_and_others_none() {
        assert_eq!(
            executions(" INFO loom::model: Completed in 1437 iterations"),
            Some(1437)
        );
        assert_eq!(
            executions(" INFO loom::model:  === Iteration 20000 ==="),
            None
        );
    }
}
