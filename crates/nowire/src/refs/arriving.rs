//! A reference that is coming, extent by extent.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nowire_memory::refs::{self, MAX_EXTENTS, Ref, RefError, Source};
use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{Extent, StreamId};
use smallvec::SmallVec;

use crate::descriptors::Handed;

/// A reference, or why it is not there.
pub(crate) type Arrival = Result<Ref, Box<RefError>>;

/// A reference that is there.
#[derive(Debug)]
pub(crate) struct Come {
    pub(crate) stream: StreamId,
    pub(crate) number: u64,
    pub(crate) reference: Arrival,
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
        if !self.is_amid() && !extent.more && extent.descriptor == 0 {
            // As nearly all come.
            return match next()? {
                Some(next) => come(
                    extent,
                    Ref::arrived_in_one(&said(extent), next.descriptor(), source),
                ),
                None => Ok(Step::Wait),
            };
        }
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
        self.extents.push(said(extent));
        if extent.more {
            return Ok(Step::Amid);
        }
        let Self {
            extents,
            descriptors,
            ..
        } = std::mem::take(self);
        come(extent, Ref::arrived(&extents, descriptors, source))
    }
}

fn said(extent: &Extent) -> refs::Extent {
    refs::Extent {
        descriptor: extent.descriptor.into(),
        offset_bytes: extent.offset_bytes,
        bytes: extent.bytes,
        segment_bytes: extent.segment_bytes,
        whole: extent.whole,
    }
}

/// What the last extent of a reference led to.
fn come(extent: &Extent, reference: Result<Ref, RefError>) -> Result<Step, PeerMisbehaved> {
    if let Err(RefError::Extent { .. }) = reference {
        return Err(PeerMisbehaved::References("extents that cannot be"));
    }
    Ok(Step::Come(Come {
        stream: extent.stream,
        number: extent.number,
        reference: reference.map_err(Box::new),
    }))
}
