//! A whole run: starts the workers, takes turns, reports.

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use nowire_bench_harness::cell::{Carrier, Case, Load, Party};
use nowire_bench_harness::machine::{self, Cores};
use nowire_bench_harness::samples::Pool;

use crate::args::RunArgs;
use crate::child::Setting;
use crate::goals::{self, Goal};
use crate::pair::Pair;
use crate::plan::{self, Group, Pace};
use crate::row::{self, Row};
use crate::{report, rivals, table1};

/// Measures the gRPC carriers that were asked for.
pub(crate) fn grpc(args: &RunArgs) -> Result<()> {
    run(args, plan::grpc(args), goals::grpc::goals)
}

/// Measures native calls and their rivals.
pub(crate) fn native(args: &RunArgs) -> Result<()> {
    run(args, plan::native(args), goals::native::goals)?;
    show(
        "\nThe document store has a program of its own: cargo run --release -p nowire-cooldb\n\
         Instructions of a call: cargo run --release -p nowire-bench -- instructions\n",
    )
}

/// Measures, prints, and writes where asked.
fn run(args: &RunArgs, mut groups: Vec<Group>, goals: fn(&[Row]) -> Vec<Goal>) -> Result<()> {
    let cores = Cores::choose()?;
    show(&header(args, cores))?;
    if !cores.are_two() {
        // Two spinners on one core measure the scheduler.
        leave_out(&mut groups, &[Carrier::Floor, Carrier::Iceoryx2]);
    }
    let mut rivals = None;
    if plan::has(&groups, Carrier::Iceoryx2) {
        match rivals::build() {
            Ok(program) => rivals = Some(program),
            Err(why) => {
                show(&format!("no iceoryx2 in this run: {why:#}\n"))?;
                leave_out(&mut groups, &[Carrier::Iceoryx2]);
            }
        }
    }
    if groups.is_empty() {
        bail!("no case left to measure");
    }
    let dir = SocketDir::make()?;
    let setting = Setting {
        runtime: args.runtime,
        keep_memory: args.keep_memory,
        dir: dir.path(),
        rivals: rivals.as_deref(),
    };
    let pace = Pace::of(args);
    let mut bench = Bench {
        setting,
        cores,
        pace,
        pairs: HashMap::new(),
        progress: progress(&groups, pace),
    };
    let mut rows = Vec::new();
    for group in &groups {
        rows.extend(bench.measure(group)?);
    }
    bench.progress.finish_and_clear();
    if let Some(path) = &args.json {
        row::write_json(&rows, path)?;
    }
    show(&report::tables(&rows))?;
    show(&table1::table(&rows))?;
    show(&format!("\nGoals\n{}", goals::table(&goals(&rows))))
}

fn leave_out(groups: &mut Vec<Group>, carriers: &[Carrier]) {
    for group in groups.iter_mut() {
        group
            .parties
            .retain(|party| !carriers.contains(&party.carrier));
    }
    groups.retain(|group| !group.parties.is_empty());
}

/// Prints, to whoever still reads.
pub(crate) fn show(text: &str) -> Result<()> {
    let mut output = std::io::stdout();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed.context("printing"),
    }
}

fn header(args: &RunArgs, cores: Cores) -> String {
    let placing = if cores.are_two() {
        format!(
            "clients on core {}, servers on core {}",
            cores.client, cores.server
        )
    } else {
        format!(
            "only one core may be used ({}): both sides share it and there is no floor",
            cores.client
        )
    };
    let malloc = if args.keep_memory {
        "glibc told to keep freed memory"
    } else {
        "glibc's defaults"
    };
    format!(
        "{}\n{placing}; tokio {}; payloads are Vec<u8>; malloc: {malloc}\n\
         reading the clock takes {:.0} ns, which is in every latency\n",
        machine::description(),
        args.runtime.name(),
        machine::clock_ns(),
    )
}

fn progress(groups: &[Group], pace: Pace) -> ProgressBar {
    let steps: usize = groups
        .iter()
        .map(|group| group.parties.len() * rounds(group.load.case, pace))
        .sum();
    let bar = ProgressBar::new(steps as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {elapsed}") {
        bar.set_style(style);
    }
    bar
}

fn rounds(case: Case, pace: Pace) -> usize {
    match case {
        Case::Idle => 1,
        _ => pace.rounds,
    }
}

struct Bench<'a> {
    setting: Setting<'a>,
    cores: Cores,
    pace: Pace,
    pairs: HashMap<Party, Pair>,
    progress: ProgressBar,
}

impl Bench<'_> {
    /// Gives every party of a group its turn in every round, so that whatever
    /// else the machine does hits all alike.
    fn measure(&mut self, group: &Group) -> Result<Vec<Row>> {
        let Load {
            case,
            bytes,
            in_flight,
        } = group.load;
        let mut pools = Vec::new();
        for _ in &group.parties {
            pools.push(Pool::new()?);
        }
        let mut rows = Vec::new();
        for _ in 0..rounds(case, self.pace) {
            for (party, pool) in group.parties.iter().zip(&mut pools) {
                self.progress
                    .set_message(format!("{case} {bytes} B x{in_flight} {party}"));
                let pace = self.pace;
                if case == Case::Idle {
                    // Fresh processes: memory kept from earlier cases would
                    // hide what the connections take.
                    let mut pair = Pair::start(&self.setting, self.cores, *party, "idle")?;
                    rows.push(pair.idle(*party, pace)?);
                } else {
                    let (round, server) = self.pair(*party)?.round(group.load, pace)?;
                    pool.add(&round, server)?;
                }
                self.progress.inc(1);
            }
        }
        if case != Case::Idle {
            for (party, pool) in group.parties.iter().zip(&pools) {
                rows.push(Row::of_calls(case, *party, bytes, in_flight, pool));
            }
        }
        Ok(rows)
    }

    fn pair(&mut self, party: Party) -> Result<&mut Pair> {
        if !self.pairs.contains_key(&party) {
            let pair = Pair::start(&self.setting, self.cores, party, "calls")?;
            self.pairs.insert(party, pair);
        }
        self.pairs.get_mut(&party).context("just started")
    }
}

/// A directory for the sockets of this run, gone with it.
pub(crate) struct SocketDir(PathBuf);

impl SocketDir {
    pub(crate) fn make() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("nowire-bench-{}", std::process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SocketDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
