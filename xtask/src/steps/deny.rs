//! What may enter the dependency tree.

use crate::context::Context;
use crate::process::run;
use crate::step::{Done, Failure, Step};
use crate::tools;

use super::fuzz;

/// Licences, bans and sources of all dependencies follow `deny.toml`.
pub(crate) const STEP: Step = Step {
    name: "deny",
    what: "dependencies have allowed licences, versions and sources",
    run: deny,
};

fn deny(context: &Context) -> Result<Done, Failure> {
    let tool = tools::cargo_deny(context)?;
    for manifest in ["Cargo.toml", fuzz::MANIFEST] {
        run(context
            .command(&tool)
            .args(["--manifest-path", manifest, "--config", "deny.toml"])
            .args(["check", "--hide-inclusion-graph"])
            .args(["bans", "licenses", "sources"]))?;
    }
    Ok(Done::default().but_not(
        "deny: known vulnerabilities; the advisory database is on a host that CI cannot reach \
         (`cargo deny check advisories` by hand)",
    ))
}
