//! How a process is set up, in words as `keeping=trust`.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use nowire::refs::{Pool, PoolOptions, Reuse};
use nowire::{ConnectOptions, Keeping};
use nowire::{RefOptions, SealFrom, Trust};
use nowire_grpc::{CarrierPolicy, Channel, Endpoint, Server};
use nowire_protocol::geometry::Geometry;

use crate::scene::PATIENCE;

/// What the words say, and where processes meet.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    words: String,
    dir: PathBuf,
}

impl Setup {
    pub(crate) fn new(words: &str, dir: &Path) -> Self {
        Self {
            words: words.to_owned(),
            dir: dir.to_owned(),
        }
    }

    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        let mut words = self.words.split_whitespace();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        Some(self.word(name)?.parse().expect("a number"))
    }

    pub(crate) fn says(&self, word: &str) -> bool {
        self.words.split_whitespace().any(|said| said == word)
    }

    fn geometry(&self) -> Geometry {
        if self.says("small") {
            Geometry::SMALLEST
        } else {
            Geometry::DEFAULT
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust {
            uids: self
                .number("trusted")
                .map(|uid| uid as u32)
                .into_iter()
                .collect(),
            gids: Vec::new(),
        }
    }

    /// The pool of the process.
    pub(crate) fn pool(&self) -> Pool {
        static USED_ONCE: LazyLock<Pool> = LazyLock::new(|| {
            Pool::new(PoolOptions {
                reuse: Reuse::Never,
                ..PoolOptions::default()
            })
        });
        if self.says("used-once") {
            USED_ONCE.clone()
        } else {
            Pool::process().clone()
        }
    }

    fn references(&self) -> RefOptions {
        let mut references = RefOptions {
            enabled: !self.says("off"),
            keeping: match self.word("keeping") {
                Some("trust") => Keeping::Trust,
                Some("seal") => Keeping::Seal,
                _ => Keeping::Copy,
            },
            seal: match self.number("seal") {
                Some(bytes) => SealFrom::Bytes(bytes as u32),
                None => SealFrom::Never,
            },
            pool: Some(self.pool()),
            ..RefOptions::default()
        };
        if let Some(limit) = self.number("held") {
            references.held_limit = limit as usize;
        }
        // What most tests send is short, so that there can be much of it.
        let from_bytes = self.number("from").map_or(16 << 10, |bytes| bytes as usize);
        references.reference_from_bytes = from_bytes;
        references
    }

    pub(crate) fn server(&self) -> Server {
        Server::builder().memory_options(|listen| {
            listen.runtime_dir = Some(self.dir.clone());
            listen.handshake_timeout = PATIENCE;
            listen.outbox = self.geometry();
            listen.allowed = self.trust();
            listen.references = self.references();
            if let Some(bytes) = self.number("window") {
                listen.window_bytes = bytes as u32;
            }
        })
    }

    pub(crate) fn endpoint(&self, address: &str) -> Endpoint {
        let policy = match self.word("carrier") {
            Some("http2") => CarrierPolicy::Never,
            _ => CarrierPolicy::Require,
        };
        Endpoint::from_shared(address)
            .expect("an address")
            .carrier(policy)
            .memory_options(|connect| {
                let authority = std::mem::take(&mut connect.authority);
                *connect = self.connect_options();
                connect.authority = authority;
            })
    }

    pub(crate) fn connect_options(&self) -> ConnectOptions {
        let mut connect = ConnectOptions {
            runtime_dir: Some(self.dir.clone()),
            timeout: PATIENCE,
            outbox: self.geometry(),
            trusted: self.trust(),
            references: self.references(),
            ..ConnectOptions::default()
        };
        if let Some(bytes) = self.number("window") {
            connect.window_bytes = bytes as u32;
        }
        connect
    }

    /// A channel that connects when it is used.
    pub(crate) fn channel(&self, address: &str) -> Channel {
        self.endpoint(address).connect_lazy()
    }
}
