//! What the tests of bad peers and bad days share: a peer that lies, programs
//! that can be killed and stopped, and what the system says of them.
//!
//! A [`HostilePeer`] holds a real handshake with the code under test and then
//! has its outbox to itself. The [lies](Lie) and [deeds](Deed) it can do are
//! told by name to the program `nowire-hostile`, so that the liar is a process
//! of its own; `nowire-honest` is the honest side where it has to be one.
//!
//! An [`ExampleServer`] runs an example as its reader would.
#![forbid(unsafe_code)]

mod blocks;
mod deed;
pub mod depot;
mod draft;
mod example_server;
mod hostile;
mod house;
mod jammed;
mod lie;
mod lies;
mod load;
pub mod native;
mod odd;
mod program;
mod reference_lies;
mod starved;
mod vitals;
mod witness;

pub use blocks::{answer_blocks, message, request_to};
pub use deed::Deed;
pub use draft::Draft;
pub use example_server::ExampleServer;
pub use hostile::{Failure, HostilePeer, Taken};
pub use house::{House, Steady, connect, serve};
pub use jammed::Jammed;
pub use lie::{Lie, Moment};
pub use load::{Calls, Load, Tally};
pub use program::Program;
pub use starved::Starved;
pub use vitals::Vitals;
pub use witness::{panics, warnings, watch};
