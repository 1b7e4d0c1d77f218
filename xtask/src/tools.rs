//! Tools the check needs beside cargo itself.

use std::env;
use std::fs;
use std::path::PathBuf;

use crate::context::Context;
use crate::process;
use crate::step::Failure;

/// The cargo-deny whose configuration format `deny.toml` is written in.
const DENY_VERSION: &str = "0.20.2";

/// Where a cargo-deny is to be found: the one installed here before, or one on
/// the search path; else it is built, without optimisation, because compiling
/// it takes far longer than running it.
///
/// # Errors
/// It cannot be built, as when the registry cannot be reached.
pub(crate) fn cargo_deny(context: &Context) -> Result<PathBuf, Failure> {
    let folder = context.target.join("tools");
    let own = folder.join("bin/cargo-deny");
    if own.exists() {
        return Ok(own);
    }
    if let Some(found) = on_path("cargo-deny") {
        return Ok(found);
    }
    let build = folder.join("build");
    process::run(
        context
            .cargo(["install", "cargo-deny", "--version", DENY_VERSION])
            .args(["--locked", "--no-default-features", "--root"])
            .arg(&folder)
            .env("CARGO_TARGET_DIR", &build)
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "256")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "0"),
    )?;
    fs::remove_dir_all(&build)
        .map_err(|why| Failure::wrong(format!("could not clear {}: {why}", build.display())))?;
    Ok(own)
}

/// Makes sure that Python can make virtual environments.
///
/// # Errors
/// It cannot, and this user may not install Debian's package for it.
pub(crate) fn python_venv(context: &Context) -> Result<(), Failure> {
    let usable = || {
        process::works(
            context
                .command("python3")
                .args(["-c", "import ensurepip, venv"]),
        )
    };
    if usable() {
        return Ok(());
    }
    let install = ["install", "-y", "--no-install-recommends", "python3-venv"];
    if on_path("apt-get").is_none() || !process::works(context.command("test").args(["-w", "/usr"]))
    {
        return Err(Failure::wrong(
            "python3 cannot make virtual environments; install the package python3-venv",
        ));
    }
    process::run(context.command("apt-get").args(["update", "-qq"]))?;
    process::run(
        context
            .command("apt-get")
            .args(install)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    if usable() {
        Ok(())
    } else {
        Err(Failure::wrong(
            "python3 still cannot make virtual environments after python3-venv was installed",
        ))
    }
}

/// The first executable of this name on the search path.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}
