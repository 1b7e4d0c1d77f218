//! Programs that a user would start.

use std::env;

use crate::context::Context;
use crate::process::run;
use crate::step::{Done, Failure, Step};
use crate::tools;

/// The first thing a user tries works.
pub(crate) const DEMO: Step = Step {
    name: "demo",
    what: "`nowire demo` runs to its end",
    run: demo,
};

/// gRPC that somebody else wrote understands ours, as client and as server.
pub(crate) const INTEROP: Step = Step {
    name: "interop",
    what: "Python's grpcio and ours understand each other",
    run: interop,
};

const INTEROP_SCRIPT: &str = "examples/interop/python/run.sh";

fn demo(context: &Context) -> Result<Done, Failure> {
    // Not `cargo run -p`: with one package chosen, features of the dependencies
    // are unified differently, and all of them would be compiled once more.
    run(&mut context.cargo_resolving(["build", "--workspace", "--all-targets"]))?;
    let program = env::current_exe()
        .map_err(|why| Failure::wrong(format!("cannot find the build folder: {why}")))?
        .with_file_name("nowire");
    run(context
        .command(program)
        .args(["demo", "--calls", "50", "--plain"]))?;
    Ok(Done::default())
}

fn interop(context: &Context) -> Result<Done, Failure> {
    tools::python_venv(context)?;
    run(&mut context.command(context.root.join(INTEROP_SCRIPT)))?;
    Ok(Done::default())
}
