//! A whole run: starts the workers, takes turns, reports.

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{GrpcArgs, Role};
use crate::cell::{Carrier, Case, Load, Party};
use crate::child::{Setting, Worker};
use crate::control::Order;
use crate::machine::{self, Cores};
use crate::plan::{self, Group, Pace};
use crate::process::{Memory, Usage};
use crate::row::{self, Idle, Row};
use crate::samples::{Pool, Samples};
use crate::{goals, report};

/// Measures what was asked for, prints it, and writes it where asked.
pub(crate) fn grpc(args: &GrpcArgs) -> Result<()> {
    let cores = Cores::choose()?;
    let mut groups = plan::groups(args);
    show(&header(args, cores))?;
    if !cores.are_two() {
        // Two spinners on one core measure the scheduler.
        for group in &mut groups {
            group
                .parties
                .retain(|party| party.carrier != Carrier::Floor);
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
    show(&format!("\nGoals\n{}", goals::table(&rows)))
}

fn show(text: &str) -> Result<()> {
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

fn header(args: &GrpcArgs, cores: Cores) -> String {
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

/// A client and, unless it is its own, its server.
struct Pair {
    // The client goes first: a server that loses its clients is an ordinary end.
    client: Worker,
    server: Option<Worker>,
}

impl Pair {
    fn start(setting: &Setting<'_>, cores: Cores, party: Party, purpose: &str) -> Result<Self> {
        let Party { carrier, wait } = party;
        let socket = setting.dir.join(format!("{carrier}-{wait}-{purpose}.sock"));
        let place = match carrier {
            Carrier::Nowire => format!("nowire:bench-{wait}-{purpose}"),
            _ => socket.to_string_lossy().into_owned(),
        };
        let server = match carrier {
            Carrier::Inprocess => None,
            _ => Some(Worker::start(
                setting,
                party,
                Role::Server,
                cores.server,
                &place,
            )?),
        };
        let address = server.as_ref().map_or("", |server| server.address());
        let client = Worker::start(setting, party, Role::Client, cores.client, address)?;
        Ok(Self { client, server })
    }

    /// One party's turn; the second figure is what the server used.
    fn round(&mut self, load: Load, pace: Pace) -> Result<(Samples, Usage)> {
        if load.case == Case::Connect {
            self.client.samples(&Order::Connect { times: 3 })?;
        } else {
            let for_ms = pace.warm_ms;
            self.client.samples(&Order::Run { load, for_ms })?;
        }
        let before = self.server_usage()?;
        let round = self.client.samples(&match load.case {
            Case::Connect => Order::Connect {
                times: pace.connects,
            },
            case => Order::Run {
                load,
                for_ms: pace.run_ms(case),
            },
        })?;
        Ok((round, self.server_usage()?.since(before)))
    }

    fn server_usage(&mut self) -> Result<Usage> {
        self.server
            .as_mut()
            .map_or(Ok(Usage::default()), Worker::usage)
    }

    fn memory(&mut self) -> Result<(u64, u64)> {
        let client = self.client.memory()?;
        let server = match &mut self.server {
            Some(server) => server.memory()?,
            None => Memory::default(),
        };
        Ok((
            Memory::shared_bytes(&[&client, &server]),
            client.private_bytes + server.private_bytes,
        ))
    }

    fn usage(&mut self) -> Result<Usage> {
        Ok(self.client.usage()?.plus(self.server_usage()?))
    }

    fn idle(&mut self, party: Party, pace: Pace) -> Result<Row> {
        let connections = pace.idle_connections;
        let (shared_before, private_before) = self.memory()?;
        self.client.tell(&Order::Open { connections })?;
        // What follows the last call on a connection is not idleness yet.
        self.client.tell(&Order::Rest { for_ms: 200 })?;
        let (shared, private) = self.memory()?;
        let before = self.usage()?;
        self.client.tell(&Order::Rest {
            for_ms: pace.idle_ms,
        })?;
        let cpu_s = self.usage()?.since(before).cpu_ns as f64 / 1e9;
        self.client.tell(&Order::Close)?;
        let idle_s = pace.idle_ms as f64 / 1e3;
        let each = |after: u64, before: u64| after.saturating_sub(before) / connections as u64;
        Ok(Row::of_idle(
            party,
            connections,
            cpu_s,
            Idle {
                idle_s,
                cpu_share: cpu_s / idle_s,
                shared_bytes_per_connection: each(shared, shared_before),
                private_bytes_per_connection: each(private, private_before),
            },
        ))
    }
}

/// A directory for the sockets of this run, gone with it.
struct SocketDir(PathBuf);

impl SocketDir {
    fn make() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("nowire-bench-{}", std::process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SocketDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
