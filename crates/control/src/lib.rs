//! The `nowire` command line: `nowire demo` shows what Nowire does, `nowire
//! doctor` what a machine offers it.
//!
//! The binary is thin; everything lives here, so that tests and other programs
//! can use the tutorial service and its places.
#![forbid(unsafe_code)]

pub mod cli;
pub mod demo;
pub mod doctor;
pub mod places;
pub mod route_guide;
pub mod terminal;
