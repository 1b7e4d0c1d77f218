//! `cargo xtask check`: runs on a developer's machine exactly what CI runs.
#![forbid(unsafe_code)]

mod context;
mod options;
mod process;
mod report;
mod step;
mod steps;
mod tools;

use std::process::ExitCode;

use context::Context;
use options::{Options, Request};

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1), &steps::names()) {
        Ok(Request::Help) => {
            println!("{}", options::USAGE);
            ExitCode::SUCCESS
        }
        Ok(Request::List) => {
            for step in steps::ALL {
                println!("{:<10} {}", step.name, step.what);
            }
            ExitCode::SUCCESS
        }
        Ok(Request::Check(options)) => check(options),
        Err(misuse) => {
            eprintln!("{misuse}\n\n{}", options::USAGE);
            ExitCode::from(2)
        }
    }
}

fn check(options: Options) -> ExitCode {
    let context = Context::find(options);
    let report = report::Report::of(steps::ALL, &context);
    report.print();
    if report.failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
