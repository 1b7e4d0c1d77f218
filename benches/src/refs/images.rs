//! The cloud image service of `examples/imagepipe`, as rows like all others.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use indicatif::ProgressBar;
use nowire_bench_harness::cell::{Carrier, Case, Wait};
use nowire_imagepipe::{self as imagepipe, Figure, Mode, Placement, Plan, Program, Progress};

use super::args::{Place, RefsArgs};
use super::plan::{KIB, MANY, MIB, Pace};
use crate::row::{Passing, Row};

/// The word after which this program is a tier of the service.
pub(crate) const TIER: &str = "image-tier";

/// Images through every tier, on every carrier.
pub(crate) fn process(args: &RefsArgs, pace: Pace) -> Result<Vec<Row>> {
    let Some(plan) = plan(args, pace) else {
        return Ok(Vec::new());
    };
    let program = Program {
        path: std::env::current_exe().context("finding this program")?,
        arguments: vec![TIER.into()],
    };
    let progress = ProgressBar::new_spinner();
    let mut watch = |step: Progress<'_>| {
        progress.set_message(format!("{}/{}  {}", step.done, step.steps, step.doing));
        progress.tick();
    };
    // It moves its thread to the client's core; others shall stay where they are.
    let figures = std::thread::scope(|threads| {
        let running = threads.spawn(|| imagepipe::run(&plan, &program, &mut watch));
        match running.join() {
            Ok(figures) => figures,
            Err(_) => bail!("the image service's client panicked"),
        }
    })?;
    progress.finish_and_clear();
    Ok(figures.iter().map(row).collect())
}

fn plan(args: &RefsArgs, pace: Pace) -> Option<Plan> {
    let carriers: Vec<_> = imagepipe::Carrier::value_variants()
        .iter()
        .copied()
        .filter(|&carrier| args.wants(ours(carrier)))
        .collect();
    let (sizes, in_flight): (&[usize], &[usize]) = if args.quick {
        (&[4 * KIB, 256 * KIB], &[MANY])
    } else {
        let sizes = &[4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB];
        (sizes, &[1, MANY])
    };
    let sizes: Vec<usize> = sizes
        .iter()
        .copied()
        .filter(|&bytes| args.takes(bytes))
        .collect();
    if !args.measures(Case::Image) || carriers.is_empty() || sizes.is_empty() {
        return None;
    }
    Some(Plan {
        carriers,
        modes: Mode::value_variants().to_vec(),
        sizes,
        in_flight: in_flight.to_vec(),
        // Decoding and encoding large images takes long.
        rounds: pace.rounds.min(3),
        round: Duration::from_millis(pace.round_ms),
        seed: 1,
        placement: match args.place() {
            Place::Alternate | Place::Apart => Placement::Alternate,
            Place::Halves => Placement::Halves,
            Place::One => Placement::One,
        },
    })
}

fn row(figure: &Figure) -> Row {
    Row {
        case: Case::Image,
        carrier: ours(figure.carrier),
        bytes: figure.bytes,
        in_flight: figure.in_flight,
        wait: match figure.carrier {
            imagepipe::Carrier::Unix => Wait::Fixed,
            _ => Wait::Adaptive,
        },
        calls: figure.calls,
        mean_ns: figure.mean_ns,
        p50_ns: figure.p50_ns,
        p99_ns: figure.p99_ns,
        p999_ns: figure.p999_ns,
        calls_per_s: figure.calls_per_s,
        cpu_s: figure.cpu_s,
        faults_per_call: None,
        first_call_p50_ns: None,
        idle: None,
        passing: Passing {
            part: Some(figure.mode.to_string()),
            ..Passing::default()
        },
    }
}

fn ours(carrier: imagepipe::Carrier) -> Carrier {
    match carrier {
        imagepipe::Carrier::Unix => Carrier::Unix,
        imagepipe::Carrier::Nowire => Carrier::Nowire,
        imagepipe::Carrier::Refs => Carrier::Refs,
    }
}
