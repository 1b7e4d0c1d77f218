//! The tests of the workspace.

use std::fs;

use crate::context::Context;
use crate::process::{run, works};
use crate::step::{Done, Failure, Step};

/// Every unit and integration test passes.
pub(crate) const STEP: Step = Step {
    name: "test",
    what: "all tests pass",
    run: test,
};

/// The profile in `.config/nextest.toml` that keeps what passing tests print.
const PROFILE: &str = "check";

fn test(context: &Context) -> Result<Done, Failure> {
    if !works(&mut context.cargo(["nextest", "--version"])) {
        run(context
            .cargo_resolving(["test", "--workspace", "--no-fail-fast"])
            .args(["--lib", "--bins", "--tests", "--examples"]))?;
        return Ok(
            Done::noting("with cargo test, because cargo-nextest is not installed")
                .but_not("test: what tests lacked is not known without cargo-nextest"),
        );
    }
    run(context
        .cargo_resolving(["nextest", "run", "--workspace", "--no-fail-fast"])
        .args(["--profile", PROFILE]))?;
    let printed = context
        .target
        .join("nextest")
        .join(PROFILE)
        .join("junit.xml");
    let printed = fs::read_to_string(&printed)
        .map_err(|why| Failure::wrong(format!("cannot read {}: {why}", printed.display())))?;
    let tests = printed.matches("<testcase ").count();
    Ok(lacking(&printed)
        .into_iter()
        .chain(unsteady(&printed))
        .fold(Done::noting(format!("{tests} tests")), Done::but_not))
}

/// The tests that printed `skipped: REASON`, from nextest's account in XML.
fn lacking(account: &str) -> Vec<String> {
    let mut test = "";
    let mut lacking = Vec::new();
    for line in account.lines().map(str::trim_start) {
        if let Some(case) = line.strip_prefix("<testcase name=\"") {
            test = case.split('"').next().unwrap_or(case);
        }
        let text = ["<system-out>", "<system-err>"]
            .into_iter()
            .find_map(|tag| line.strip_prefix(tag))
            .unwrap_or(line);
        if let Some(reason) = text.strip_prefix("skipped: ") {
            let reason = reason.split("</system-").next().unwrap_or(reason);
            lacking.push(format!("{test}: {reason}"));
        }
    }
    lacking
}

/// The tests that passed at their second try only: each is a defect to be found.
fn unsteady(account: &str) -> Vec<String> {
    let mut test = "";
    let mut unsteady = Vec::new();
    for line in account.lines().map(str::trim_start) {
        if let Some(case) = line.strip_prefix("<testcase name=\"") {
            test = case.split('"').next().unwrap_or(case);
        }
        if line.starts_with("<flakyFailure") {
            unsteady.push(format!(
                "{test}: FAILED AT FIRST and passed at the second try"
            ));
        }
    }
    unsteady
}

#[cfg(test)]
mod tests {
    use super::{lacking, unsteady};

    #[test]
    fn test_that_failed_at_first_is_named() {
        let account = "\
            <testcase name=\"all_is_well\" classname=\"x\">\n\
            </testcase>\n\
            <testcase name=\"now_and_then\" classname=\"x\">\n\
              <flakyFailure type=\"test failure\">\n\
              </flakyFailure>\n\
            </testcase>\n";
        let named = unsteady(account);
        assert_eq!(named.len(), 1);
        assert!(named[0].starts_with("now_and_then: "), "{named:?}");
    }

    #[test]
    fn test_that_lacked_something_is_named_with_what_it_lacked() {
        let account = "\
            <testcase name=\"all_is_well\" classname=\"x\">\n\
              <system-out>\nrunning 1 test\n</system-out>\n\
            </testcase>\n\
            <testcase name=\"namespaces_are_told_apart\" classname=\"x\">\n\
              <system-out>\nrunning 1 test\n</system-out>\n\
              <system-err>skipped: needs root\n</system-err>\n\
            </testcase>\n";
        assert_eq!(lacking(account), ["namespaces_are_told_apart: needs root"]);
    }
}
