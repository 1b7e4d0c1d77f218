//! The directory in which servers and clients meet.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::process::geteuid;

use super::finding::Finding;

const GROUP_AND_OTHERS_WRITE: u32 = 0o022;

/// Which directory it would be, and whether it is fit.
pub(super) fn finding() -> Finding {
    Finding::need(
        "runtime_dir",
        "runtime directory",
        examine(),
        "where the two sides meet",
    )
}

/// By the rule that servers and clients follow; with the reason.
fn directory() -> Option<(PathBuf, &'static str)> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = set("NOWIRE_RUNTIME_DIR") {
        return Some((path.into(), "NOWIRE_RUNTIME_DIR"));
    }
    if let Some(path) = set("XDG_RUNTIME_DIR") {
        return Some((Path::new(&path).join("nowire"), "XDG_RUNTIME_DIR"));
    }
    geteuid().is_root().then(|| ("/run/nowire".into(), "root"))
}

fn examine() -> Result<String, String> {
    let (path, reason) = directory()
        .ok_or("neither NOWIRE_RUNTIME_DIR nor XDG_RUNTIME_DIR is set: set one of them")?;
    let shown = format!("{} ({reason})", path.display());
    match fs::metadata(&path) {
        Ok(metadata) => fitness(&metadata)
            .map(|()| format!("{shown}, {}", owner_and_mode(&metadata)))
            .map_err(|lack| format!("{shown}, {}: {lack}", owner_and_mode(&metadata))),
        Err(_) => match nearest_existing(&path) {
            Some(parent) if access(parent, Access::WRITE_OK).is_ok() => {
                Ok(format!("{shown}, made when first needed"))
            }
            _ => Err(format!("{shown} does not exist and may not be made")),
        },
    }
}

fn fitness(metadata: &Metadata) -> Result<(), &'static str> {
    if !metadata.is_dir() {
        return Err("it is no directory");
    }
    if metadata.uid() != geteuid().as_raw() {
        return Err("it belongs to somebody else");
    }
    if metadata.mode() & GROUP_AND_OTHERS_WRITE != 0 {
        return Err("others may write to it: chmod 700");
    }
    Ok(())
}

fn owner_and_mode(metadata: &Metadata) -> String {
    format!(
        "owner uid {}, mode {:04o}",
        metadata.uid(),
        metadata.mode() & 0o7777
    )
}

fn nearest_existing(path: &Path) -> Option<&Path> {
    path.ancestors().skip(1).find(|ancestor| ancestor.exists())
}
