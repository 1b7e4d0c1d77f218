use std::fmt;
use std::path::Path;

use clap::ValueEnum;
use nowire_grpc::{CarrierPolicy, Channel, Endpoint, Server};
use serde::Serialize;

/// How images get from process to process. Services and stubs are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// As bytes, over HTTP/2 and a Unix socket: tonic's own transport
    Unix,
    /// As bytes, through Nowire's rings
    Nowire,
    /// As references to where they lie, through Nowire's rings
    Refs,
}

impl Carrier {
    /// What a person calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Unix => "by value, Unix socket",
            Self::Nowire => "by value, Nowire",
            Self::Refs => "by reference, Nowire",
        }
    }

    /// How a process waits for another, where there is a choice.
    pub(crate) fn wait(self) -> &'static str {
        match self {
            Self::Unix => "-",
            Self::Nowire | Self::Refs => "adaptive",
        }
    }

    /// Where the tier of this name listens, given the folder of all of them.
    pub(crate) fn address(self, dir: &Path, name: &str) -> String {
        match self {
            Self::Unix => format!("unix:{}", dir.join(name).display()),
            Self::Nowire | Self::Refs => format!("nowire:{name}"),
        }
    }

    /// A server for a tier.
    pub(crate) fn server(self, dir: &Path) -> Server {
        Server::builder()
            .memory(self != Self::Unix)
            .memory_options(|options| {
                options.runtime_dir = Some(dir.to_owned());
                options.references.enabled = self == Self::Refs;
            })
    }

    /// A channel to the tier of this name.
    pub(crate) async fn connect(
        self,
        dir: &Path,
        name: &str,
    ) -> Result<Channel, nowire_grpc::Error> {
        let policy = match self {
            Self::Unix => CarrierPolicy::Never,
            Self::Nowire | Self::Refs => CarrierPolicy::Require,
        };
        Endpoint::from_shared(self.address(dir, name))?
            .carrier(policy)
            .memory_options(|options| {
                options.runtime_dir = Some(dir.to_owned());
                options.references.enabled = self == Self::Refs;
            })
            .connect()
            .await
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("?", |value| value.get_name()))
    }
}
