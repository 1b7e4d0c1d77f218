//! The official gRPC interoperability test cases: a server that answers them and a client that
//! asks, over any channel that tonic's generated clients accept.
//!
//! The cases, their names and what each must see are those of gRPC's public description of its
//! interoperability tests, without the ones that need TLS or authentication. Both sides are
//! wire-compatible with the programs of other makers.
//!
//! ```
//! use nowire_interop::Case;
//!
//! let cases = Case::select("empty_unary,ping_pong")?;
//! assert_eq!(cases, [Case::EmptyUnary, Case::PingPong]);
//! assert!(Case::select("no_such_case").is_err());
//! # Ok::<(), nowire_interop::UnknownCase>(())
//! ```
#![forbid(unsafe_code)]

mod case;
mod cases;
mod channel;
mod compression;
mod failure;
pub mod proto;
mod server;
mod settings;
mod wire;

pub use case::{Case, Passed, UnknownCase};
pub use channel::Channel;
pub use failure::Failure;
pub use server::{Door, ServerSettings, Services, services};
pub use settings::{Settings, Soak};
