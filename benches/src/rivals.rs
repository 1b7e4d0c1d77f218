//! The program of the rivals that need more than this workspace: built when a
//! run wants them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Builds it if it is not built yet, and returns where it lies.
///
/// # Errors
///
/// When it cannot be built here, and why.
pub(crate) fn build() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rivals");
    eprintln!("building the rivals, which takes minutes the first time");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--quiet"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .output()
        .context("cargo cannot be run")?;
    if !built.status.success() {
        let said = String::from_utf8_lossy(&built.stderr);
        bail!("{} does not build: {}", folder.display(), cause(&said));
    }
    Ok(folder.join("target/release/nowire-bench-rivals"))
}

/// What a person should know of a failed build.
fn cause(said: &str) -> String {
    if said.contains("libclang") {
        return "it needs libclang (Debian: apt-get install libclang-dev)".into();
    }
    let line = said.lines().find(|line| line.starts_with("error"));
    line.unwrap_or("cargo does not say why").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_libclang_is_named_with_its_remedy() {
        let said = "error: failed to run custom build command\n\
            thread 'main' panicked: Unable to find libclang: \"couldn't find any valid \
            shared libraries\"";
        assert!(cause(said).contains("apt-get install libclang-dev"));
        assert_eq!(cause("error: no network\n"), "error: no network");
    }
}
