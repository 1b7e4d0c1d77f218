use nowire_memory::heap::{Crossover, Heap, HeapError, PeerHeap, PeerHeapError};
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
    /// Most addresses the peer may keep for its heap, in bytes; 16 GiB by default.
    /// They are kept here too.
    pub peer_window_limit_bytes: u64,
    /// Which scopes the peer shall seal when it hands them to this side, so that
    /// they need not be copied; those that are large enough for sealing to be
    /// quicker, by default. Sealing a scope costs its owner the scope. Servers do
    /// not seal replies.
    pub seal: SealFrom,
}

/// The size from which a scope is sealed instead of copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SealFrom {
    /// None is.
    Never,
    /// From where sealing is quicker on this machine; measured once per process,
    /// which takes some milliseconds, when a server starts. A client does not
    /// wait for that, and has none sealed until it was measured.
    #[default]
    Measured,
    /// From this size in bytes.
    Bytes(u32),
}

impl SealFrom {
    pub(crate) fn bytes(self) -> u32 {
        match self {
            Self::Never => u32::MAX,
            Self::Measured => Crossover::measured()
                .and_then(|crossover| crossover.seal_from_bytes)
                .and_then(|bytes| u32::try_from(bytes).ok())
                .unwrap_or(u32::MAX),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl Default for HeapOptions {
    fn default() -> Self {
        Self {
            window_bytes: 4 << 30,
            quota_bytes: 1 << 30,
            peer_window_limit_bytes: 16 << 30,
            seal: SealFrom::Measured,
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
            seal_from_bytes: self.seal.bytes(),
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
