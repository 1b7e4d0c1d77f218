//! Native calls between real processes: what users rely on.
#![forbid(unsafe_code)]

#[path = "../common/mod.rs"]
mod common;

mod asynchronous;
mod cancelled;
mod child;
mod crashes;
mod dead_peers;
mod failures;
mod house;
mod idle;
mod keeping;
mod lab;
mod layouts;
mod lending;
mod lifecycle;
mod memory;
mod metadata;
mod pipelining;
mod post;
mod references;
mod references_killed;
mod replies;
mod round_trips;
mod sealing;
mod shapes;
mod streams;
mod tasks;
mod turns;
mod vitals;
