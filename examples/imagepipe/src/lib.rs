//! Cloud image processing: a client, a firewall, a load balancer, two image
//! services, a transcoder and a compressor, each a process of its own, to see what
//! it costs to move images through them.
//!
//! [`run`] starts the processes once for each way of carrying images and measures
//! them; [`Pipeline`] starts them to be called by hand.
//!
//! ```
//! use nowire_imagepipe::photo::{Format, Photo};
//! use nowire_imagepipe::work;
//!
//! let photo = Photo::new(Format::Png, 16 << 10, 1)?;
//! let smaller = work::compress(photo.bytes(), 40)?;
//! assert!(smaller.len() < photo.bytes().len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod carrier;
mod client;
mod compare;
mod exam;
mod figure;
mod mode;
pub mod photo;
mod pipeline;
mod placement;
mod process;
pub mod tier;
pub mod work;

pub use self::carrier::Carrier;
pub use self::client::Client;
pub use self::compare::{Plan, Progress, run};
pub use self::figure::Figure;
pub use self::mode::Mode;
pub use self::pipeline::Pipeline;
pub use self::placement::Placement;
pub use self::process::Program;

/// The messages and stubs of `imagepipe.proto`.
pub mod proto {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::allow_attributes_without_reason,
        reason = "generated from imagepipe.proto, which says what there is to say"
    )]
    tonic::include_proto!("imagepipe");
}
