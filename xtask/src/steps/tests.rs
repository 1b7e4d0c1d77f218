//! The tests of the workspace.

use crate::context::Context;
use crate::process::{run, works};
use crate::step::{Done, Failure, Step};

/// Every unit and integration test passes.
pub(crate) const STEP: Step = Step {
    name: "test",
    what: "all tests pass",
    run: test,
};

fn test(context: &Context) -> Result<Done, Failure> {
    if works(&mut context.cargo(["nextest", "--version"])) {
        run(&mut context.cargo_resolving(["nextest", "run", "--workspace", "--no-fail-fast"]))?;
        return Ok(Done::noting("with cargo-nextest"));
    }
    run(context
        .cargo_resolving(["test", "--workspace", "--no-fail-fast"])
        .args(["--lib", "--bins", "--tests", "--examples"]))?;
    Ok(Done::noting(
        "with cargo test, because cargo-nextest is not installed",
    ))
}
