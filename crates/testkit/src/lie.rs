use nowire_protocol::frame::{Frame, StreamId};
use nowire_protocol::stream::Side;

use crate::blocks::{head_only, request_block};
use crate::hostile::{Failure, HostilePeer};
use crate::lies::LIES;
use crate::reference_lies::REFERENCE_LIES;

/// One thing that no honest peer does.
#[derive(Debug)]
pub struct Lie {
    /// What it is called.
    pub name: &'static str,
    /// Who can tell it.
    pub told_by: &'static [Side],
    /// What the honest side says of it, in part.
    pub noticed_as: &'static str,
    pub(crate) tell: fn(&mut HostilePeer, StreamId) -> Result<(), Failure>,
}

/// When a lie is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Right after the handshake.
    AtOnce,
    /// While a call is open.
    MidCall,
}

impl Lie {
    /// All there are, but for those about references.
    pub const ALL: &'static [Self] = LIES;

    /// Those about references, told while a call is open.
    pub const OF_REFERENCES: &'static [Self] = REFERENCE_LIES;

    /// The lie of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        let mut all = LIES.iter().chain(REFERENCE_LIES);
        all.find(|lie| lie.name == name)
    }

    /// Gets to the moment and tells the lie.
    ///
    /// # Errors
    /// If the honest side did not let it get there.
    pub fn tell(&self, peer: &mut HostilePeer, moment: Moment) -> Result<(), Failure> {
        let stream = match moment {
            Moment::AtOnce => StreamId { index: 0, call: 1 },
            Moment::MidCall => open_call(peer)?,
        };
        (self.tell)(peer, stream)
    }
}

/// Opens a call, or waits for one to be opened.
fn open_call(peer: &mut HostilePeer) -> Result<StreamId, Failure> {
    match peer.side() {
        Side::Client => {
            let stream = StreamId { index: 0, call: 1 };
            peer.send(stream, &head_only(&request_block()))?;
            peer.sync()?;
            Ok(stream)
        }
        Side::Server => {
            let taken = peer.take_until(
                |frame| matches!(frame, Frame::Parts(parts) if parts.head_bytes.is_some()),
            )?;
            match taken.frame {
                Frame::Parts(parts) => Ok(parts.stream),
                _ => unreachable!("nothing else was waited for"),
            }
        }
    }
}
