//! Documentation and the examples in it.

use crate::context::Context;
use crate::process::run;
use crate::step::{Done, Failure, Step};

/// The documentation builds, and its links lead somewhere.
pub(crate) const STEP: Step = Step {
    name: "doc",
    what: "documentation builds without a warning",
    run: document,
};

/// The examples in the documentation compile and run.
pub(crate) const EXAMPLES: Step = Step {
    name: "doctest",
    what: "examples in the documentation work",
    run: run_examples,
};

fn document(context: &Context) -> Result<Done, Failure> {
    run(context
        .cargo_resolving(["doc", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Done::default())
}

fn run_examples(context: &Context) -> Result<Done, Failure> {
    run(&mut context.cargo_resolving(["test", "--doc", "--workspace"]))?;
    Ok(Done::default())
}
