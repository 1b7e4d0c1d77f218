//! Refs that come from a peer.

use std::sync::Arc;

use rustix::fd::OwnedFd;

use super::{Extent, Ref, RefError, Source};

impl Ref {
    /// The ref that a peer passed, as its extents and descriptors arrived; `None`
    /// stands for a descriptor that was lost because this process had none left.
    pub fn arrived(
        extents: &[Extent],
        descriptors: Vec<Option<OwnedFd>>,
        source: &Arc<Source>,
    ) -> Result<Self, RefError> {
        let _ = (extents, descriptors, source);
        todo!()
    }
}
