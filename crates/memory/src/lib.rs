//! The operating-system side of Nowire: segments of shared memory with one
//! writer, and the control socket their descriptors travel over.
//!
//! An [`OwnedSegment`] is memory only this process can write; its descriptor,
//! handed to a peer, becomes a [`PeerSegment`] there: verified, and read-only.
//! [`socket`] passes descriptors, tells who the peer is and rings doorbells.
//! [`keep_freed_memory`] stops glibc from giving large buffers back.
//!
//! For calls that pass structures, a [`heap`] is memory at one address for its
//! owner and its peer, and [`data`] is what lies there, with its types.
//!
//! Code that may harm memory lives in `sys/`, in `data/`, and where `heap/` hands
//! memory from the one to the other, and nowhere else in the workspace; each
//! module there begins with the numbered rules it keeps.
#![deny(unsafe_code)]

#[cfg(not(target_os = "linux"))]
compile_error!("Nowire stands on Linux: on memory files that can be sealed");

#[allow(
    unsafe_code,
    reason = "memory another process writes is given types here"
)]
pub mod data;
pub mod heap;
pub mod refs;
mod segment;
pub mod socket;
#[allow(
    unsafe_code,
    reason = "the one place where the operating system is reached directly"
)]
mod sys;

pub use segment::{OwnedSegment, PeerSegment, SegmentError};
pub use sys::malloc::keep_freed_memory;
pub use sys::processor::offer_core;
