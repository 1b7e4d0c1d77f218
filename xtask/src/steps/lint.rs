//! Clippy.

use crate::context::Context;
use crate::process::run;
use crate::step::{Done, Failure, Step};

use super::fuzz;

/// Clippy has nothing to say, about tests, examples and benches neither.
pub(crate) const STEP: Step = Step {
    name: "clippy",
    what: "no lint speaks up",
    run: lint,
};

fn lint(context: &Context) -> Result<Done, Failure> {
    run(context
        .cargo_resolving(["clippy", "--workspace", "--all-targets"])
        .args(["--", "-D", "warnings"]))?;
    run(context
        .cargo_resolving(["clippy", "--all-targets", "--manifest-path", fuzz::MANIFEST])
        .args(["--", "-D", "warnings"]))?;
    Ok(Done::default())
}
