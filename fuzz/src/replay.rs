//! Running a reader on inputs kept from an earlier run.

use std::ffi::OsString;
use std::fs;
use std::process::ExitCode;

/// Feeds the named files to a reader, one after the other.
///
/// # Panics
/// Where the reader does: that is what a kept input is replayed for.
pub fn files(names: impl Iterator<Item = OsString>, reader: fn(&[u8])) -> ExitCode {
    for name in names {
        match fs::read(&name) {
            Ok(input) => {
                println!("{}: {} bytes", name.display(), input.len());
                reader(&input);
            }
            Err(why) => {
                eprintln!("{}: {why}", name.display());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
