//! Heaps: memory in which a process builds what it passes to a peer, at
//! addresses that mean the same to both.
//!
//! The owner reserves a *window* of addresses ([`Heap::reserve`]) and fills it
//! with segments as it needs them ([`Heap::grow`]). The peer reserves the same
//! window ([`PeerHeap::reserve`]) and maps each segment it is sent at the same
//! place ([`PeerHeap::add`]), so a plain pointer into the heap is good on both
//! sides. Where the peer has something else at those addresses it maps the heap
//! elsewhere and is *displaced*: it then works on copies.
//!
//! Places in a heap are counted in pages of [`PAGE_BYTES`] from the start of the
//! window. A [`Run`] of pages holds one [`Scope`](crate::data::Scope). Which
//! pages are free is known to the owner alone.
//!
//! What a peer says (page numbers, sizes, descriptors, and every byte of its
//! heap) is checked by [`PeerHeap`]; nothing it says makes this side panic.

mod address;
mod crossover;
mod lending;
mod owner;
mod pages;
mod peer;
mod pool;
mod runs;
#[allow(unsafe_code, reason = "checked memory is given its type here")]
mod taken;

pub use address::{MAX_WINDOW_BYTES, MIN_WINDOW_BYTES};
pub use crossover::Crossover;
pub use lending::ReplyPlace;
pub use owner::{Grown, Heap, HeapError, Run};
pub use peer::{Keeping, PeerHeap, PeerHeapError, TakeError};
pub use taken::{Part, Taken};

/// Size in bytes of the pages a heap is counted in, on every machine.
pub const PAGE_BYTES: usize = 4096;

/// Bytes at the start of a run that its scope keeps for itself.
pub const RUN_HEADER_BYTES: usize = crate::data::HEADER_BYTES;

/// Segments a heap may have at one time.
pub const MAX_SEGMENTS: usize = 4096;

/// Sealable segments of a heap that are not sealed yet, at one time. Each costs
/// both sides a descriptor.
pub const MAX_UNSEALED: usize = 64;

/// Pages of the system in pages of a heap: what segments are a multiple of.
fn system_pages() -> u32 {
    (rustix::param::page_size() / PAGE_BYTES).max(1) as u32
}

/// A number of pages, in bytes.
fn bytes_of(pages: u32) -> usize {
    pages as usize * PAGE_BYTES
}
