//! The `nowire` command line.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    nowire_control::cli::main()
}
