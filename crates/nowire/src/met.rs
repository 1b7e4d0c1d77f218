use std::fmt;

use nowire_memory::{OwnedSegment, PeerSegment};
use nowire_protocol::geometry::Geometry;
use nowire_protocol::handshake::ReferenceOffer;
use rustix::fd::OwnedFd;

use crate::budget::Charge;
use crate::heap_options::Heaps;
use crate::peer::Peer;
use crate::refs::Agreed;

/// Two processes that have met: everything a connection is made of. Dropping it
/// hangs up and gives everything back.
pub struct Met {
    /// The control socket, non-blocking: nothing but doorbells from here on, and
    /// the hang-up that tells of the peer's death.
    pub socket: OwnedFd,
    /// What this side writes; its descriptor is closed already.
    pub outbox: OwnedSegment,
    /// What the peer writes, verified and read-only.
    pub inbox: PeerSegment,
    /// Shape of this side's outbox.
    pub outbox_geometry: Geometry,
    /// Shape of the peer's outbox.
    pub inbox_geometry: Geometry,
    /// Streams the client may have open at once.
    pub streams: u32,
    /// Window in bytes the peer grants each stream at first.
    pub send_window_bytes: u32,
    /// Window in bytes this side grants each stream at first.
    pub receive_window_bytes: u32,
    /// The process at the other end.
    pub peer: Peer,
    /// The authority the client named, or was told to name; may be empty.
    pub authority: String,
    /// What the client calls itself; may be empty.
    pub user_agent: String,
    /// What the connection counts for against the server's limits; given back
    /// when dropped. A client's counts for nothing.
    pub charge: Charge,
    /// The heaps, if both sides make native calls.
    pub heaps: Option<Heaps>,
    pub(crate) references: Option<Agreed>,
}

impl Met {
    /// What this side and the peer said of references, if both take some. Only a
    /// test that plays a peer has a use for it.
    #[doc(hidden)]
    pub fn reference_offers(&self) -> Option<(ReferenceOffer, ReferenceOffer)> {
        let agreed = self.references.as_ref()?;
        Some((agreed.own, agreed.peer))
    }
}

impl fmt::Debug for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            peer,
            outbox_geometry,
            inbox_geometry,
            streams,
            ..
        } = self;
        f.debug_struct("Met")
            .field("peer", &peer)
            .field("outbox_geometry", &outbox_geometry)
            .field("inbox_geometry", &inbox_geometry)
            .field("streams", &streams)
            .finish_non_exhaustive()
    }
}
