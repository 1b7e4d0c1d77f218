use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

/// What the client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The image itself: firewall and routing only, nobody looks at it
    Routing,
    /// A digest that the image service makes of it
    Digest,
    /// Real work: a PNG made a JPEG and a JPEG made smaller, in turn
    Work,
}

impl Mode {
    /// What a person calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Routing => "firewall and routing only; the image comes back",
            Self::Digest => "firewall, routing and a digest of the image",
            Self::Work => "real work: PNG to JPEG, JPEG to a smaller JPEG, in turn",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("?", |value| value.get_name()))
    }
}
