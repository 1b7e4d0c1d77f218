//! The byte layouts and state machines of Nowire, without an operating system.
//!
//! Two processes that talk own one *outbox* each: a segment of shared memory
//! which only its owner may write and which its peer maps read-only. This crate
//! says what lies where in an outbox ([`geometry`]), how frames pass through
//! the ring in it ([`ring`], [`frame`]), how a sleeping side is woken
//! ([`bell`]), who of a side reads ([`turn`]), how streams keep to their windows
//! ([`stream`]) and how gRPC header blocks are written ([`head`]).
//!
//! Nothing here maps memory or makes a system call: memory is reached through
//! [`memory::ReadMemory`] and [`memory::WriteMemory`], so the code that ships is
//! the code that runs under loom, under the fuzzer and in the simulator.
#![forbid(unsafe_code)]

pub mod bell;
pub mod frame;
pub mod geometry;
pub mod handshake;
pub mod head;
pub mod memory;
mod misbehaved;
pub mod ring;
pub mod stream;
mod try_lock;
pub mod turn;

pub use misbehaved::PeerMisbehaved;
