//! A child process that never outlives its parent.

use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStdout;

/// Longest TMPDIR that leaves room for a socket's name: the kernel allows a
/// Unix socket's path 107 bytes.
const TMPDIR_BYTES_MAX: usize = 60;
const LOG_LINES_SHOWN: usize = 12;
const EXIT_POLLS: u32 = 100;
const EXIT_POLL: Duration = Duration::from_millis(10);

/// A directory only this user can look into, removed when dropped.
#[derive(Debug)]
pub struct PrivateDir(PathBuf);

impl PrivateDir {
    /// Makes one among the temporary files.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create() -> anyhow::Result<Self> {
        let parent = Some(std::env::temp_dir())
            .filter(|path| path.as_os_str().len() <= TMPDIR_BYTES_MAX)
            .unwrap_or_else(|| PathBuf::from("/tmp"));
        let mut salt = [0; 8];
        rustix::rand::getrandom(&mut salt, rustix::rand::GetRandomFlags::empty())?;
        let path = parent.join(format!("nowire-demo-{:016x}", u64::from_ne_bytes(salt)));
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make the directory {}", path.display()))?;
        Ok(Self(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        // Nobody is left to tell; what stays behind is a few empty sockets.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// This program once more, as a server or a client; killed and reaped when
/// dropped.
#[derive(Debug)]
pub struct Child {
    role: &'static str,
    process: process::Child,
    lines: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

impl Child {
    /// Starts this program with the subcommand `role` and what `configure`
    /// adds; what it says to standard error goes to a file in `dir`, which is
    /// also its runtime directory.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(
        role: &'static str,
        dir: &PrivateDir,
        configure: impl FnOnce(&mut Command),
    ) -> anyhow::Result<Self> {
        let log = dir.path().join(format!("{role}.log"));
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg(role)
            .arg("--parent")
            .arg(process::id().to_string())
            .env("NOWIRE_RUNTIME_DIR", dir.path())
            // The demonstration chooses the carriers itself.
            .env_remove("NOWIRE")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            // A Ctrl-C is for the parent alone, which then stops both children;
            // else the first of them to die would look like a failure.
            .process_group(0);
        configure(&mut command);
        let mut process = command
            .spawn()
            .with_context(|| format!("cannot start the {role} process"))?;
        let stdout = process.stdout.take().map(ChildStdout::from_std);
        // Made before anything can fail, so that Drop takes care of the process.
        let Some(Ok(stdout)) = stdout else {
            kill_and_reap(&mut process);
            bail!("cannot listen to the {role} process");
        };
        Ok(Self {
            role,
            process,
            lines: BufReader::new(stdout).lines(),
            log,
        })
    }

    /// The next line it says; fails with its last words if it has ended.
    ///
    /// # Errors
    /// If it has ended, or its words are no text.
    pub async fn line(&mut self) -> anyhow::Result<String> {
        if let Some(line) = self.lines.next_line().await? {
            return Ok(line);
        }
        let status = self.end().await?;
        bail!("{}", self.obituary(status))
    }

    /// The subcommand it runs.
    #[must_use]
    pub fn role(&self) -> &'static str {
        self.role
    }

    /// What it wrote to standard error, the last lines of it.
    #[must_use]
    pub fn last_words(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    /// How it ended, once it has closed its standard output.
    async fn end(&mut self) -> io::Result<ExitStatus> {
        for _ in 0..EXIT_POLLS {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(EXIT_POLL).await;
        }
        kill_and_reap(&mut self.process);
        self.process.wait()
    }

    fn obituary(&self, status: ExitStatus) -> String {
        let last_words = self.last_words();
        let last_words = if last_words.is_empty() {
            "it said nothing".to_owned()
        } else {
            format!("its last words:\n{last_words}")
        };
        format!(
            "the {} process ended early ({status}); {last_words}",
            self.role
        )
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        kill_and_reap(&mut self.process);
    }
}

fn kill_and_reap(process: &mut process::Child) {
    // Fails only if it has ended already, which is as good.
    let _ = process.kill();
    let _ = process.wait();
}

/// Called first thing in a child: die with `parent`, even if that is killed.
///
/// # Errors
/// If the parent is gone already, or the kernel refuses.
pub fn die_with(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let alive = u32::try_from(Pid::as_raw(getppid()));
    if alive == Ok(parent) {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "this subcommand is for `nowire demo` itself, and its process {parent} is gone"
    )))
}
