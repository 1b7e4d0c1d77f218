//! Reading what the kernel tells in files.

use std::fs;
use std::path::Path;

/// The trimmed content of `path`, if there is such a file.
pub(super) fn text(path: impl AsRef<Path>) -> Option<String> {
    let content = fs::read_to_string(path).ok()?;
    Some(content.trim().to_owned())
}

/// The number that `path` holds.
pub(super) fn number(path: impl AsRef<Path>) -> Option<u64> {
    text(path)?.parse().ok()
}

/// The names in the directory `path`, in order; none if there is no such directory.
pub(super) fn names(path: impl AsRef<Path>) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// The chosen word of a setting that lists all, as in `always [madvise] never`.
pub(super) fn chosen(path: impl AsRef<Path>) -> Option<String> {
    let setting = text(path)?;
    let (_, rest) = setting.split_once('[')?;
    let (word, _) = rest.split_once(']')?;
    Some(word.to_owned())
}

/// A size for people: whole units where it is one.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(value.fract() != 0.0 && value < 100.0);
    format!("{value:.decimals$} {}", UNITS[unit])
}
