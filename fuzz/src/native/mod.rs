//! Both sides of native calls, whole: an honest one in this process, and frames
//! from the input against it.

pub(crate) mod client;
mod liar;
pub(crate) mod server;
mod subject;

use std::path::PathBuf;
use std::time::Duration;

use nowire::{HeapOptions, SealFrom};
use nowire_protocol::geometry::Geometry;

/// Small, so that the ring turns and the data area fills within one input.
const GEOMETRY: Geometry = Geometry::SMALLEST;

/// Far beyond what an honest side takes for anything here.
const PATIENCE: Duration = Duration::from_secs(5);

const HEAP: HeapOptions = HeapOptions {
    window_bytes: 1 << 20,
    quota_bytes: 1 << 20,
    peer_window_limit_bytes: 1 << 40,
    seal: SealFrom::Never,
};

/// A directory of this process's own.
fn runtime_dir() -> PathBuf {
    let dir = std::env::temp_dir().join(format!("nowire-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    dir
}
