//! Instructions a no-op call takes, counted rather than timed: the count stays
//! the same on a machine that does other things meanwhile.
//!
//! One side runs under valgrind and the other at full speed, so that whatever
//! the slow side waits for is there when it looks: what is counted is the work
//! of a call, hardly any waiting. Counts of two runs are subtracted, which takes
//! away start, connection and end.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nowire_bench_harness::cell::{Carrier, Case, Load, Party, Wait};
use nowire_bench_harness::control::Order;
use nowire_bench_harness::machine::Cores;
use nowire_bench_harness::worker::{Flavour, Role};
use serde::Serialize;

use crate::args::InstructionsArgs;
use crate::child::{Setting, Worker};
use crate::run::{SocketDir, show};
use crate::table::columns;

/// The least of so many runs counts: waiting only ever adds.
const RUNS: usize = 5;
/// The longer run makes so many times the calls of the shorter.
const LONGER: u64 = 3;
const WINDOWS: [usize; 2] = [1, 64];

/// Spinning for long on both sides: a peer that sleeps would be waited for.
const PARTY: Party = Party {
    carrier: Carrier::Trust,
    wait: Wait::Spin,
};

/// What one side of one load takes.
#[derive(Debug, Serialize)]
struct Count {
    case: Case,
    carrier: Carrier,
    in_flight: usize,
    side: &'static str,
    instructions_per_call: f64,
}

/// Counts, prints, and writes where asked.
pub(crate) fn main(args: &InstructionsArgs) -> Result<()> {
    if !valgrind_is_here() {
        return show(
            "nothing was counted: there is no valgrind (Debian: apt-get install valgrind)\n",
        );
    }
    let cores = Cores::choose()?;
    if !cores.are_two() {
        return show("nothing was counted: with one core, the waiting would be counted\n");
    }
    let mut counts = Vec::new();
    for in_flight in WINDOWS {
        for (role, side) in [(Role::Client, "client"), (Role::Server, "server")] {
            let load = Load {
                case: Case::Noop,
                bytes: 0,
                in_flight,
            };
            let few = least(cores, role, load, args.calls)?;
            let many = least(cores, role, load, args.calls * LONGER)?;
            let more_calls = args.calls * (LONGER - 1);
            counts.push(Count {
                case: load.case,
                carrier: PARTY.carrier,
                in_flight,
                side,
                instructions_per_call: many.saturating_sub(few) as f64 / more_calls as f64,
            });
        }
    }
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&counts)? + "\n";
        fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    show(&table(&counts))
}

fn table(counts: &[Count]) -> String {
    let head = ["case", "side", "in flight", "instructions/call"];
    let mut lines = vec![head.map(String::from).to_vec()];
    for count in counts {
        lines.push(vec![
            count.case.to_string(),
            count.side.into(),
            count.in_flight.to_string(),
            format!("{:.0}", count.instructions_per_call),
        ]);
    }
    columns(&lines, 2)
}

fn valgrind_is_here() -> bool {
    Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The least of several counts of the same.
fn least(cores: Cores, counted: Role, load: Load, calls: u64) -> Result<u64> {
    let mut least = u64::MAX;
    for _ in 0..RUNS {
        least = least.min(count(cores, counted, load, calls)?);
    }
    Ok(least)
}

/// All instructions of one side that makes or answers so many calls.
fn count(cores: Cores, counted: Role, load: Load, calls: u64) -> Result<u64> {
    let dir = SocketDir::make()?;
    let setting = Setting {
        runtime: Flavour::Current,
        keep_memory: false,
        dir: dir.path(),
        rivals: None,
    };
    let out = dir.path().join("callgrind.out");
    let start = |role, core, address: &str| {
        let program = std::env::current_exe().context("finding this program")?;
        let command = if role == counted {
            callgrind(&program, &out)
        } else {
            Command::new(program)
        };
        Worker::start_with(command, &setting, PARTY, role, core, address)
    };
    let server = start(Role::Server, cores.server, "bench-instructions")?;
    let mut client = start(Role::Client, cores.client, server.address())?;
    client.tell(&Order::Repeat { load, calls })?;
    client.finish()?;
    server.finish()?;
    total(&out)
}

fn callgrind(program: &Path, out: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program);
    command
}

/// The number of instructions in a file of callgrind's.
fn total(out: &Path) -> Result<u64> {
    let text = fs::read_to_string(out).with_context(|| format!("reading {}", out.display()))?;
    for line in text.lines() {
        let count = line
            .strip_prefix("totals:")
            .or_else(|| line.strip_prefix("summary:"));
        if let Some(count) = count {
            return Ok(count.trim().parse()?);
        }
    }
    bail!("{} holds no total", out.display())
}
