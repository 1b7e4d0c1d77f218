//! Large data that is passed on from service to service: by value over a Unix
//! socket, by value over shared memory, and by reference.
//!
//! Every service is a process, and every chain its own ones.

mod args;
mod argument;
mod figures;
mod floor;
pub(crate) mod hop;
mod images;
mod line;
mod orders;
mod page;
mod paper;
mod plan;
mod ray;
mod relay;
pub(crate) mod report;
mod run;
mod sharing;
pub(crate) mod strangers;
mod tier;

pub(crate) use args::{Place, RefsArgs, TierArgs};
pub(crate) use line::LONGEST;
#[cfg(test)]
pub(crate) use plan::SHORTER;
pub(crate) use plan::{KIB, MANY, MIB};
pub(crate) use run::main;
pub(crate) use tier::main as tier;
