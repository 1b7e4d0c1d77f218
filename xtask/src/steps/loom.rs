//! Exhaustive interleavings.

use std::fs;
use std::path::Path;

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
    let packages = packages_with_models(&context.root.join("crates"))?;
    let named = packages.iter().flat_map(|package| ["-p", package.as_str()]);
    // A target folder of its own, because other flags would otherwise throw away
    // what the other steps built.
    let counts = run_keeping(
        context
            .cargo_resolving(["test", "--release", "--test", "loom"])
            .args(named)
            .arg("--target-dir")
            .arg(context.target.join("loom"))
            .args(["--", "--nocapture", "--test-threads=1"])
            .env("RUSTFLAGS", "--cfg loom")
            .env("CARGO_PROFILE_RELEASE_LTO", "off"),
        executions,
    )?;
    if counts.is_empty() {
        return Err(Failure::wrong("no model told how often it was executed"));
    }
    let total: u64 = counts.iter().sum();
    Ok(Done::noting(format!(
        "{total} executions of {} models",
        counts.len()
    )))
}

/// The packages whose models are in `tests/loom.rs`.
fn packages_with_models(crates: &Path) -> Result<Vec<String>, Failure> {
    let cannot = |why| Failure::wrong(format!("cannot look for models: {why}"));
    let mut packages = Vec::new();
    for folder in fs::read_dir(crates).map_err(cannot)? {
        let folder = folder.map_err(cannot)?.path();
        if !folder.join("tests/loom.rs").exists() {
            continue;
        }
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).map_err(cannot)?;
        packages.extend(package_name(&manifest).map(String::from));
    }
    packages.sort();
    if packages.is_empty() {
        return Err(Failure::wrong("no package has a tests/loom.rs"));
    }
    Ok(packages)
}

/// The name in a manifest that begins with its package.
fn package_name(manifest: &str) -> Option<&str> {
    let value = manifest
        .lines()
        .find_map(|line| line.strip_prefix("name = \""))?;
    value.strip_suffix('"')
}

/// The count in the line `N executions` that every model prints at its end.
fn executions(line: &str) -> Option<u64> {
    let counted = line.strip_suffix(" executions")?;
    counted.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{executions, package_name};

    #[test]
    fn count_of_executions_ends_its_line() {
        assert_eq!(executions("test bell ... bell: 88 executions"), Some(88));
        assert_eq!(executions("88 executions were too few"), None);
    }

    #[test]
    fn manifest_gives_its_packages_name() {
        let manifest = "[package]\nname = \"nowire-protocol\"\nversion = \"1\"\n";
        assert_eq!(package_name(manifest), Some("nowire-protocol"));
    }
}
