//! The directory in which servers and clients meet.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nowire::{Address, ListenOptions, Listener};
use rustix::fs::{Access, access};

use super::finding::Finding;

/// Which directory it is, and whether a server can announce itself there.
pub(super) fn finding() -> Finding {
    Finding::need(
        "runtime_dir",
        "runtime directory",
        examine(),
        "where the two sides meet",
    )
}

fn examine() -> Result<String, String> {
    let path = nowire::runtime_dir().map_err(|error| error.to_string())?;
    let shown = path.display();
    let Ok(metadata) = fs::metadata(&path) else {
        return if may_be_made(&path) {
            Ok(format!("{shown}, made when first needed"))
        } else {
            Err(format!("{shown} does not exist and may not be made"))
        };
    };
    match try_to_announce() {
        Ok(()) => Ok(format!("{shown}, {}", owner_and_mode(&metadata))),
        Err(reason) => Err(format!("{}: {reason}", owner_and_mode(&metadata))),
    }
}

/// Announces a server and takes it back: the library's own rules decide.
fn try_to_announce() -> Result<(), String> {
    let name = Address::name(&format!("doctor-{}", std::process::id()));
    let name = name.map_err(|error| error.to_string())?;
    match Listener::bind(&[name], ListenOptions::default()) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn owner_and_mode(metadata: &Metadata) -> String {
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    format!("owner uid {owner}, mode {mode:04o}")
}

fn may_be_made(path: &Path) -> bool {
    let parent = path.ancestors().skip(1).find(|ancestor| ancestor.exists());
    parent.is_some_and(|parent| access(parent, Access::WRITE_OK).is_ok())
}
