//! A whole run: starts the tiers, takes turns, reports.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use nowire_bench_harness::cell::{Carrier, Case, Party, Wait};
use nowire_bench_harness::machine::{self, Cores};
use nowire_bench_harness::samples::Pool;

use super::args::{Place, RefsArgs};
use super::line::{LONGEST, Line, Setting, Shape};
use super::orders::{Spent, Work};
use super::plan::{self, Cell, Group, Pace};
use super::ray;
use super::report;
use super::{figures, images, page, paper};
use super::{sharing, strangers};
use crate::goals;
use crate::row::{self, Passing, Row};
use crate::run::{SocketDir, show};

/// Measures what was asked for, prints it, and writes it where asked.
pub(crate) fn main(args: &RefsArgs) -> Result<()> {
    let cores = Cores::choose()?;
    let dir = SocketDir::make()?;
    let setting = Setting {
        cores,
        wait: args.wait,
        refer_from: None,
        trust: args.trust,
        dir: dir.path(),
    };
    let head = header(args, &setting);
    show(&head)?;
    let pace = Pace::of(args);
    let groups = plan::calls(args);
    let mut bench = Bench {
        setting,
        lines: HashMap::new(),
        started: 0,
        progress: progress(&groups),
    };
    let mut rows = Vec::new();
    for group in &groups {
        rows.extend(bench.measure(group)?);
    }
    bench.progress.finish_and_clear();
    // Sleeping processes take no time, but what follows is measured alone.
    drop(bench);
    // What is measured by then shall not be lost by a service that fails.
    let images = images::process(args, pace).map(|images| rows.extend(images));
    if args.ray {
        match ray::sweep(args, dir.path(), pace) {
            Ok(measured) => rows.extend(measured),
            Err(why) => show(&format!("no Ray in this run: {why:#}\n"))?,
        }
    }
    let alone = alone(args, cores, pace, &mut rows);
    if rows.is_empty() {
        images?;
        alone?;
        bail!("nothing was measured");
    }
    let report = reported(&rows);
    show(&report)?;
    if let Some(path) = &args.json {
        row::write_json(&rows, path)?;
    }
    if let Some(dir) = &args.plot {
        figures::draw(&rows, dir)?;
    }
    if let Some(path) = &args.insert {
        page::insert(path, &format!("{head}{report}"))?;
    }
    images.context("the image service")?;
    alone
}

/// What is measured within this process.
fn alone(args: &RefsArgs, cores: Cores, pace: Pace, rows: &mut Vec<Row>) -> Result<()> {
    machine::stay_on(cores.client)?;
    for bytes in plan::shared_sizes(args, Case::Share) {
        rows.extend(sharing::share(args, bytes, pace)?);
    }
    for bytes in plan::shared_sizes(args, Case::Stranger) {
        rows.extend(strangers::steps(args, bytes, pace)?);
    }
    Ok(())
}

fn reported(rows: &[Row]) -> String {
    let mut text = report::tables(rows);
    let beside = paper::table(rows);
    if !beside.is_empty() {
        text.push_str(&format!(
            "\nReferences against by value, beside the paper's ratios\n{beside}"
        ));
    }
    text.push_str(&format!(
        "\nGoals\n{}",
        goals::table(&goals::refs::goals(rows))
    ));
    text
}

fn header(args: &RefsArgs, setting: &Setting<'_>) -> String {
    let placing = if setting.cores.are_two() {
        let cores: Vec<String> = (0..=LONGEST)
            .map(|distance| {
                let chain = Shape::Chain(LONGEST);
                setting.core(args.place(), chain, distance).to_string()
            })
            .collect();
        format!(
            "client on core {}, the services of a chain on cores {}; where a hop is measured apart, \
             the last with the client and those between on the other core",
            cores[0],
            cores[1..].join(" ")
        )
    } else {
        format!(
            "all on the only core that may be used ({})",
            setting.cores.client
        )
    };
    format!(
        "{}\n{placing}; wait {}; tokio current_thread; blobs by value are Bytes; malloc: glibc's \
         defaults\nreading the clock takes {:.0} ns, which is in every latency\n",
        machine::description(),
        args.wait,
        machine::clock_ns(),
    )
}

fn progress(groups: &[Group]) -> ProgressBar {
    let turns = |group: &Group| group.cells.len() * group.pace.rounds;
    let bar = ProgressBar::new(groups.iter().map(turns).sum::<usize>() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {elapsed}") {
        bar.set_style(style);
    }
    bar
}

/// What lines are told apart by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    carrier: Carrier,
    shape: Shape,
    place: Place,
    refer_from: Option<usize>,
}

impl Key {
    /// Of what passes this on.
    fn of(group: &Group, cell: &Cell) -> Self {
        Self {
            carrier: cell.carrier,
            shape: cell.shape,
            place: group.place,
            refer_from: group.refer_from,
        }
    }
}

struct Bench<'a> {
    setting: Setting<'a>,
    lines: HashMap<Key, Line>,
    /// Lines that were started.
    started: usize,
    progress: ProgressBar,
}

impl Bench<'_> {
    /// Gives every carrier of a group its turn in every round, so that whatever
    /// else the machine does hits all alike.
    fn measure(&mut self, group: &Group) -> Result<Vec<Row>> {
        let needed: Vec<_> = group
            .cells
            .iter()
            .map(|cell| Key::of(group, cell))
            .collect();
        self.lines.retain(|line, _| needed.contains(line));
        let mut cells = Vec::new();
        for cell in &group.cells {
            cells.push((cell, Pool::new()?, Spent::default()));
        }
        for round in 0..group.pace.rounds {
            for turn in group.turns(round) {
                let (cell, pool, forwarders) = &mut cells[turn];
                self.progress.set_message(format!(
                    "{} {} B x{} through {} {}",
                    group.case,
                    cell.bytes,
                    group.in_flight,
                    cell.services(),
                    cell.carrier
                ));
                let line = self.line(Key::of(group, cell))?;
                let (samples, used) =
                    line.round(cell.task(group.in_flight), group.round_ms(cell))?;
                pool.add(&samples, used.all())?;
                *forwarders = forwarders.plus(used.first(cell.forwarders()));
                self.progress.inc(1);
            }
        }
        Ok(cells
            .iter()
            .map(|(cell, pool, forwarders)| self.row(group, cell, pool, *forwarders))
            .collect())
    }

    fn row(&self, group: &Group, cell: &Cell, pool: &Pool, forwarders: Spent) -> Row {
        let carrier = cell.carrier;
        let wait = match carrier {
            Carrier::Plain | Carrier::Nowire | Carrier::Refs | Carrier::Fresh => self.setting.wait,
            _ => Wait::Fixed,
        };
        let party = Party { carrier, wait };
        let mut row = Row::of_calls(group.case, party, cell.bytes, group.in_flight, pool);
        row.passing = Passing {
            services: Some(cell.services()),
            place: Some(group.place),
            aside_bytes: match cell.work {
                Work::Way { aside_bytes, .. } => (aside_bytes > 0).then_some(aside_bytes),
                Work::Pass { .. } | Work::Change { .. } => None,
            },
            changed_percent: match cell.work {
                Work::Change { percent } => Some(percent),
                Work::Pass { .. } | Work::Way { .. } => None,
            },
            round_p50_ns: match group.case {
                Case::Hop => pool.round_p50_ns().to_vec(),
                _ => Vec::new(),
            },
            ..Passing::default()
        };
        // The floor counts none.
        if cell.forwarders() > 0 && forwarders.calls > 0 {
            let each = (forwarders.calls * cell.forwarders() as u64) as f64;
            let cpu_ns = forwarders.usage.cpu_ns as f64;
            row.passing.forwarded_bytes_per_call = Some(forwarders.data_bytes as f64 / each);
            row.passing.forwarder_cpu_ns_per_call = Some(cpu_ns / each);
        }
        row
    }

    fn line(&mut self, key: Key) -> Result<&mut Line> {
        if !self.lines.contains_key(&key) {
            let setting = Setting {
                refer_from: key.refer_from,
                ..self.setting
            };
            let (carrier, shape, place) = (key.carrier, key.shape, key.place);
            let line = Line::start(&setting, carrier, shape, place, self.started)?;
            self.started += 1;
            self.lines.insert(key, line);
        }
        self.lines.get_mut(&key).context("just started")
    }
}
