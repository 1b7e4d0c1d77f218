//! Sends images through seven processes in several ways, and says what each costs.
#![forbid(unsafe_code)]

mod args;
mod report;

use anyhow::Result;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use nowire_bench_harness::machine;
use nowire_imagepipe::{Program, tier};

use crate::args::{Args, Command};

fn main() -> Result<()> {
    let args = Args::parse();
    match &args.command {
        Some(Command::Tier(tier)) => tier::main(tier),
        None => compare(&args),
    }
}

fn compare(args: &Args) -> Result<()> {
    let machine = machine::description();
    let plan = args.plan();
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {elapsed}") {
        bar.set_style(style);
    }
    let figures = nowire_imagepipe::run(&plan, &Program::this()?, &mut |progress| {
        bar.set_length(progress.steps as u64);
        bar.set_position(progress.done as u64);
        bar.set_message(progress.doing.to_owned());
    });
    bar.finish_and_clear();
    let figures = figures?;
    if let Some(path) = &args.json {
        report::write_json(&figures, path)?;
    }
    println!("{machine}");
    println!("seven processes a carrier, {}", plan.placement.title());
    print!("{}", report::tables(&figures));
    Ok(())
}
