//! Where the check runs.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::options::Options;

/// The workspace and how to call the tools in it.
pub(crate) struct Context {
    /// The workspace's root folder.
    pub(crate) root: PathBuf,
    /// The folder of build products shared by all steps.
    pub(crate) target: PathBuf,
    /// What the caller asked for.
    pub(crate) options: Options,
    cargo: OsString,
    locked: bool,
}

impl Context {
    /// Finds the workspace this program was built from.
    pub(crate) fn find(options: Options) -> Context {
        let own_folder =
            env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&own_folder)
            .parent()
            .map_or_else(|| PathBuf::from("."), Path::to_path_buf);
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |named| root.join(named));
        Context {
            root,
            target,
            options,
            cargo: env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
            locked: env::var_os("CI").is_some(),
        }
    }

    /// A command that runs in the workspace's root and reads no input.
    pub(crate) fn command(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(program.into());
        command
            .current_dir(&self.root)
            .stdin(std::process::Stdio::null());
        command
    }

    /// The cargo that runs this program, with the words of one subcommand.
    pub(crate) fn cargo<const N: usize>(&self, words: [&str; N]) -> Command {
        let mut command = self.command(&self.cargo);
        command.args(words);
        command
    }

    /// Like [`Context::cargo`], for subcommands that resolve dependencies: in CI
    /// a lock file that does not fit the manifests is an error, on a developer's
    /// machine it is updated.
    pub(crate) fn cargo_resolving<const N: usize>(&self, words: [&str; N]) -> Command {
        let mut command = self.cargo(words);
        if self.locked {
            command.arg("--locked");
        }
        command
    }
}
