//! Fills and searches the same store in several ways, and says what each costs.
#![forbid(unsafe_code)]

mod args;
mod case;
mod child;
mod compare;
mod figures;
mod measure;
mod report;
mod serve;

use anyhow::Result;
use clap::Parser;

use crate::args::{Args, Command};

fn main() -> Result<()> {
    let args = Args::parse();
    match &args.command {
        Some(Command::Serve(serve)) => serve::main(serve),
        None => compare::main(&args),
    }
}
