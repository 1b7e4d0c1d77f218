//! Writes the first inputs of every target: `seeds FOLDER` makes
//! `FOLDER/TARGET/seed-N`.
#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;

fn main() -> io::Result<()> {
    let folder = env::args_os()
        .nth(1)
        .map(PathBuf::from)
        .ok_or_else(|| io::Error::other("which folder? usage: seeds FOLDER"))?;
    for (target, inputs) in nowire_fuzz::seeds::all() {
        let corpus = folder.join(target);
        fs::create_dir_all(&corpus)?;
        for (number, input) in inputs.iter().enumerate() {
            fs::write(corpus.join(format!("seed-{number}")), input)?;
        }
    }
    Ok(())
}
