use nowire_memory::heap::{Heap, HeapError, PeerHeap, PeerHeapError};
use nowire_protocol::handshake::HeapOffer;

/// The heaps of a connection that makes native calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapOptions {
    /// Addresses kept for this side's heap, in bytes: a power of two from 1 MiB to
    /// 1 TiB; 4 GiB by default. They cost no memory, but a process has only
    /// 128 TiB of them for all its connections.
    pub window_bytes: u64,
    /// Most shared memory the heap may take, in bytes; 1 GiB by default. Beyond,
    /// no scope is given out until others were dropped.
    pub quota_bytes: u64,
    /// Size in bytes from which the peer shall seal what it builds for this side,
    /// so that it need not be copied; `u32::MAX`, never, by default. Sealing a
    /// scope costs its owner the scope, so it is worth while for large data that
    /// is kept, or handed to many: see `nowire::Crossover`.
    pub seal_from_bytes: u32,
}

impl Default for HeapOptions {
    fn default() -> Self {
        Self {
            window_bytes: 4 << 30,
            quota_bytes: 1 << 30,
            seal_from_bytes: u32::MAX,
        }
    }
}

impl HeapOptions {
    /// Reserves addresses for a heap of this side; no memory yet.
    pub(crate) fn reserve(&self, label: &str) -> Result<(Heap, HeapOffer), HeapError> {
        let heap = Heap::reserve(self.window_bytes, self.quota_bytes, label)?;
        let offer = HeapOffer {
            base: heap.base(),
            window_bytes: heap.window_bytes(),
            seal_from_bytes: self.seal_from_bytes,
        };
        Ok((heap, offer))
    }
}

/// The two heaps of a connection.
#[derive(Debug)]
pub struct Heaps {
    /// What this side builds in.
    pub own: Heap,
    /// What the peer builds in, as it can be read here.
    pub peer: PeerHeap,
    /// Size in bytes from which the peer wants scopes sealed.
    pub seal_from_bytes: u32,
}

impl Heaps {
    pub(crate) fn new(own: Heap, offer: &HeapOffer) -> Result<Self, PeerHeapError> {
        Ok(Self {
            own,
            peer: PeerHeap::reserve(offer.base, offer.window_bytes)?,
            seal_from_bytes: offer.seal_from_bytes,
        })
    }
}
