//! A reference that is coming, extent by extent.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nowire_memory::refs::{self, MAX_EXTENTS, Ref, RefError, Source};
use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{Extent, StreamId};
use smallvec::SmallVec;

use crate::descriptors::Handed;

/// A reference that is there.
#[derive(Debug)]
pub(crate) struct Come {
    pub(crate) stream: StreamId,
    pub(crate) number: u64,
    pub(crate) reference: Result<Ref, RefError>,
}

/// What an extent led to.
#[derive(Debug)]
pub(crate) enum Step {
    /// Its descriptor has not come yet; it is to be taken once more.
    Wait,
    /// There are further extents.
    Amid,
    /// It was the last.
    Come(Come),
}

/// What has come of a reference so far.
#[derive(Debug, Default)]
pub(crate) struct Arriving {
    stream: Option<(StreamId, u64)>,
    extents: SmallVec<[refs::Extent; 1]>,
    /// None for one that was lost.
    descriptors: SmallVec<[Option<OwnedFd>; 1]>,
}

impl Arriving {
    /// Whether a reference has begun and not ended.
    pub(crate) fn is_amid(&self) -> bool {
        self.stream.is_some()
    }

    /// Takes one more extent; `next` gives the next descriptor of the socket, if it
    /// has come.
    pub(crate) fn take(
        &mut self,
        extent: &Extent,
        source: &Arc<Source>,
        next: impl FnOnce() -> Result<Option<Handed>, PeerMisbehaved>,
    ) -> Result<Step, PeerMisbehaved> {
        let named = (extent.stream, extent.number);
        if *self.stream.get_or_insert(named) != named {
            return Err(PeerMisbehaved::References("one begins amid another"));
        }
        if self.extents.len() == MAX_EXTENTS {
            return Err(PeerMisbehaved::References("one of too many extents"));
        }
        let descriptor = usize::from(extent.descriptor);
        if descriptor > self.descriptors.len() {
            return Err(PeerMisbehaved::References("descriptors out of order"));
        }
        if descriptor == self.descriptors.len() {
            match next()? {
                Some(next) => self.descriptors.push(next.descriptor()),
                None => return Ok(Step::Wait),
            }
        }
        self.extents.push(refs::Extent {
            descriptor,
            offset_bytes: extent.offset_bytes,
            bytes: extent.bytes,
            segment_bytes: extent.segment_bytes,
            whole: extent.whole,
        });
        if extent.more {
            return Ok(Step::Amid);
        }
        let Self {
            extents,
            descriptors,
            ..
        } = std::mem::take(self);
        let reference = Ref::arrived(&extents, descriptors, source);
        if let Err(RefError::Extent { .. }) = reference {
            return Err(PeerMisbehaved::References("extents that cannot be"));
        }
        Ok(Step::Come(Come {
            stream: extent.stream,
            number: extent.number,
            reference,
        }))
    }
}
