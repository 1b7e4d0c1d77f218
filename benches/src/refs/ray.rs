//! Ray's object store as a rival: installed when it is asked for, started and
//! ended by this program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use nowire_bench_harness::cell::{Carrier, Case, Party, Wait};
use nowire_bench_harness::process::Usage;
use nowire_bench_harness::samples::Pool;
use rustix::process::{Pid, Signal, kill_process};

use super::args::RefsArgs;
use super::orders::{Answer, Order, Task, Work};
use super::plan::{PERCENTS, Pace, SWEPT_BYTES};
use crate::process::Process;
use crate::row::{Passing, Row};
use crate::run::show;

/// Of PyPI; numpy because that is what Ray passes without a copy.
const PACKAGES: [&str; 2] = ["ray==2.*", "numpy"];

/// An object of the swept size passed to an actor, and changed by it.
///
/// # Errors
///
/// When Ray cannot be installed or does not run here, and why.
pub(crate) fn sweep(args: &RefsArgs, dir: &Path, pace: Pace) -> Result<Vec<Row>> {
    if !args.measures(Case::Change) || !args.takes(SWEPT_BYTES) || !args.wants(Carrier::Ray) {
        return Ok(Vec::new());
    }
    let python = install()?;
    measure(Ray::start(&python, &dir.join("ray"))?, pace)
}

fn measure(mut ray: Ray, pace: Pace) -> Result<Vec<Row>> {
    let mut cells = Vec::new();
    for percent in PERCENTS {
        cells.push((percent, Pool::new()?));
    }
    for _ in 0..pace.rounds {
        for (percent, pool) in &mut cells {
            let percent = *percent;
            let task = Task {
                work: Work::Change { percent },
                bytes: SWEPT_BYTES,
                in_flight: 1,
            };
            // Its calls are slow: fewer than that would say little.
            let for_ms = pace.round_ms * 5;
            let samples = match ray.ask(&Order::Run { task, for_ms })? {
                Answer::Samples(samples) => samples,
                other => bail!("Ray answered {other:?} to calls"),
            };
            pool.add(&samples, Usage::default())?;
        }
    }
    ray.end()?;
    let row = |(percent, pool): &(u32, Pool)| {
        let party = Party {
            carrier: Carrier::Ray,
            wait: Wait::Fixed,
        };
        let mut row = Row::of_calls(Case::Change, party, SWEPT_BYTES, 1, pool);
        // The script does not count them.
        row.faults_per_call = None;
        row.passing = Passing {
            services: Some(1),
            changed_percent: Some(*percent),
            ..Passing::default()
        };
        row
    };
    Ok(cells.iter().map(row).collect())
}

/// Makes a Python of its own that has Ray, if there is none yet.
fn install() -> Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let folder = workspace
        .context("the benchmark has no workspace")?
        .join("target/tools/ray");
    let python = folder.join("bin/python");
    let has_ray = Command::new(&python)
        .args(["-c", "import ray, numpy"])
        .output()
        .is_ok_and(|tried| tried.status.success());
    if !has_ray {
        show("installing Ray from PyPI\n")?;
        said(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        said(
            Command::new(&python)
                .args(["-m", "pip", "install", "--quiet"])
                .args(["--disable-pip-version-check"])
                .args(PACKAGES),
        )?;
    }
    Ok(python)
}

/// Runs a program to its end; an error is the last line it said.
fn said(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("running {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        bail!("{command:?}: {}", last.unwrap_or("it does not say why"));
    }
    Ok(())
}

/// The script and every process that Ray starts for it.
struct Ray {
    script: Option<Process>,
    /// Which processes there were when it was last looked.
    family: Vec<Relative>,
    dir: PathBuf,
}

/// A process, told apart from a later one of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Relative {
    pid: i32,
    started: u64,
}

impl Ray {
    fn start(python: &Path, dir: &Path) -> Result<Self> {
        fs::create_dir(dir).with_context(|| format!("making {}", dir.display()))?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("ray/sweep.py");
        let mut command = Command::new(python);
        command
            .arg(&script)
            .arg(dir)
            // What it would leave in the user's home is gone with the run.
            .env("HOME", dir)
            .env("RAY_USAGE_STATS_ENABLED", "0")
            .stderr(std::process::Stdio::null());
        let process = Process::start("Ray".into(), command)?;
        let mut ray = Self {
            script: Some(process),
            family: Vec::new(),
            dir: dir.into(),
        };
        match ray.hear()? {
            Answer::Ready { address } => {
                show(&format!("Ray {address}, two cores, an actor per callee\n"))?;
            }
            other => bail!("Ray began with {other:?}"),
        }
        Ok(ray)
    }

    fn ask(&mut self, order: &Order) -> Result<Answer> {
        let script = self.script.as_mut().context("Ray has ended")?;
        script.tell(order)?;
        self.hear()
    }

    fn hear(&mut self) -> Result<Answer> {
        let script = self.script.as_mut().context("Ray has ended")?;
        let answer = script.hear()?;
        self.family = family_of(script.id());
        match answer {
            Answer::Failed(why) => bail!("Ray failed: {why}"),
            answer => Ok(answer),
        }
    }

    /// Lets it end by itself.
    fn end(mut self) -> Result<()> {
        match self.script.take() {
            Some(script) => script.finish(),
            None => Ok(()),
        }
    }
}

impl Drop for Ray {
    fn drop(&mut self) {
        if let Some(script) = self.script.take() {
            let _ = script.finish();
        }
        for relative in &self.family {
            // It may be gone, and its number somebody else's.
            if started(relative.pid) == Some(relative.started)
                && let Some(pid) = Pid::from_raw(relative.pid)
            {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Everybody whom this process started, and whom those started.
fn family_of(pid: u32) -> Vec<Relative> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if let (Some(parent), Some(started)) = (stat(pid, 1), stat(pid, 19)) {
            all.push((parent, Relative { pid, started }));
        }
    }
    let mut ours = vec![u64::from(pid)];
    let mut family: Vec<Relative> = Vec::new();
    while let Some(parent) = ours.pop() {
        for (_, relative) in all.iter().filter(|(of, _)| *of == parent) {
            ours.push(relative.pid as u64);
            family.push(*relative);
        }
    }
    family
}

fn started(pid: i32) -> Option<u64> {
    stat(pid, 19)
}

/// A field of a process, counted from the one after its name.
fn stat(pid: i32, field: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(field)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_belongs_to_the_family_until_it_is_gone() -> Result<()> {
        let mut child = Command::new("sleep").arg("60").spawn()?;
        let pid = child.id() as i32;
        let family = family_of(std::process::id());
        assert!(
            family.iter().any(|relative| relative.pid == pid),
            "{family:?}"
        );
        child.kill()?;
        child.wait()?;
        let family = family_of(std::process::id());
        assert!(
            !family.iter().any(|relative| relative.pid == pid),
            "{family:?}"
        );
        Ok(())
    }

    #[test]
    fn what_cannot_be_installed_says_why() {
        let failed = said(Command::new("sh").args(["-c", "echo no network >&2; exit 1"]));
        let why = failed.map_err(|error| error.to_string());
        assert!(why.is_err_and(|why| why.ends_with(": no network")));
    }
}
