//! Formatting.

use crate::context::Context;
use crate::process::run;
use crate::step::{Done, Failure, Step};

use super::fuzz;

/// All Rust sources are as rustfmt leaves them.
pub(crate) const STEP: Step = Step {
    name: "fmt",
    what: "sources are formatted",
    run: format,
};

fn format(context: &Context) -> Result<Done, Failure> {
    run(&mut context.cargo(["fmt", "--all", "--check"]))?;
    run(&mut context.cargo(["fmt", "--check", "--manifest-path", fuzz::MANIFEST]))?;
    Ok(Done::default())
}
