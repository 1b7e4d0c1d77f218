//! What every process that Nowire's benchmarks measure has in common: the
//! cases, the orders it gets and the answers it gives, its clock and its core.
//!
//! The program that is run by hand starts itself and other programs as workers,
//! a client and a server for each carrier, and tells them over their standard
//! input when to do what. A rival with dependencies of its own is another
//! program that understands the same orders.
#![forbid(unsafe_code)]

pub mod cell;
pub mod control;
pub mod machine;
pub mod mark;
pub mod process;
pub mod samples;
pub mod timing;
pub mod worker;
