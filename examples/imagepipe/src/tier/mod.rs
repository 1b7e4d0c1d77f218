//! The tiers behind the client.

mod balancer;
mod compressor;
mod firewall;
mod image_service;
mod transcoder;

mod args;
mod serve;
mod status;

pub use self::args::{Tier, TierArgs};
pub use self::balancer::Balancer;
pub use self::compressor::CompressorTier;
pub use self::firewall::{Firewall, TokenCheck};
pub use self::image_service::ImageService;
pub use self::serve::main;
pub use self::transcoder::TranscoderTier;

pub(crate) use self::args::TOKEN_VARIABLE;
pub(crate) use self::firewall::TOKEN_HEADER;

/// Largest message, in bytes: there are images beyond the 4 MiB that tonic allows.
pub(crate) const MESSAGE_LIMIT_BYTES: usize = 64 << 20;
