//! What the tests of the meeting share.
#![allow(dead_code, reason = "each test program uses a part")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use nowire::{Address, ConnectError, ConnectOptions, ListenOptions, Listener, Met, meet};

/// A runtime directory of its own for one test.
pub(crate) struct Runtime {
    path: PathBuf,
}

impl Runtime {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nowire-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory");
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn listen_options(&self) -> ListenOptions {
        ListenOptions {
            runtime_dir: Some(self.path.clone()),
            ..ListenOptions::default()
        }
    }

    pub(crate) fn connect_options(&self) -> ConnectOptions {
        ConnectOptions {
            runtime_dir: Some(self.path.clone()),
            // A busy machine must not fail a test.
            timeout: std::time::Duration::from_secs(20),
            ..ConnectOptions::default()
        }
    }

    pub(crate) fn listen(&self, address: &str) -> Listener {
        Listener::bind(&[parse(address)], self.listen_options()).expect("the address is free")
    }

    pub(crate) async fn meet(&self, address: &str) -> Result<Met, ConnectError> {
        meet(&parse(address), self.connect_options()).await
    }

    /// Names of the files in the directory, sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.path).expect("the directory is there");
        let mut names: Vec<_> = entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // A directory left behind harms nobody.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

pub(crate) fn parse(address: &str) -> Address {
    address.parse().expect("an address")
}

/// Lets a client and a server of this process meet.
pub(crate) async fn both_meet(runtime: &Runtime, listener: &Listener, address: &str) -> (Met, Met) {
    let (client, server) = tokio::join!(runtime.meet(address), listener.accept());
    (client.expect("connected"), server.expect("accepted"))
}

/// Whether a test that needs root can run; tells what is lacking otherwise.
pub(crate) fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: needs root");
    }
    root
}
