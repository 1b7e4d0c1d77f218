//! References on one connection, seen from this side.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use nowire_memory::refs::{Audience, Passed, Pool, Ref, RefError, Source};
use nowire_protocol::frame::{Extent, StreamId};
use nowire_protocol::handshake::ReferenceOffer;
use nowire_protocol::stream::{REFERENCE_BYTES, REFERENCE_WINDOW_BYTES};
use smallvec::SmallVec;

use super::arrived::{Arrived, Key, Registered};
use super::options::RefOptions;
use crate::Met;
use crate::crash::crash_point;

/// Most extents a reference has when it is sent; one of more is copied into one
/// segment first.
const EXTENTS_LIMIT: usize = 16;

/// Numbers for connections of this process.
static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

/// What two sides that take references agreed on.
#[derive(Debug)]
pub(crate) struct Agreed {
    pub(crate) own: ReferenceOffer,
    pub(crate) peer: ReferenceOffer,
    pub(crate) options: RefOptions,
}

impl RefOptions {
    /// What this side offers; none if it takes no references.
    pub(crate) fn offer(&self) -> std::io::Result<Option<ReferenceOffer>> {
        if !self.enabled {
            return Ok(None);
        }
        let mut key = [0; 16];
        // All zeros would mean that there is none.
        while key == [0; 16] {
            rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty())?;
        }
        Ok(Some(ReferenceOffer {
            key,
            seal_from_bytes: self.seal.bytes(),
            held_limit: u32::try_from(self.held_limit).unwrap_or(u32::MAX),
        }))
    }
}

/// Where references can be sent: a connection, as those see it that write
/// messages for it.
#[derive(Clone, Debug)]
pub struct Carrier(pub(crate) Arc<References>);

#[derive(Debug)]
pub(crate) struct References {
    peer_key: Key,
    numbers: AtomicU64,
    audience: Audience,
    source: Arc<Source>,
    registered: Registered,
    options: RefOptions,
    extents_limit: usize,
    /// References sent on streams that are still open, and how many may be.
    outstanding: AtomicUsize,
    outstanding_limit: usize,
}

/// Most references that may be encoded for one stream at a time.
const ROOM_OF_STREAM: usize = 16;

/// The references of one stream.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Some came; those that nobody took go with the stream.
    pub(crate) came: bool,
    /// Sent references that count as outstanding: in messages that were encoded and
    /// are not sent.
    encoded: usize,
    /// Sent, and not consumed by the peer's reader for all that is known.
    sent: usize,
}

impl Counts {
    /// They were sent.
    pub(crate) fn sent(&mut self, count: usize) {
        self.encoded -= count.min(self.encoded);
        self.sent += count;
    }

    /// So many bytes of the stream, at most, are not consumed: what takes more
    /// than that is no longer outstanding. Returns how many that were.
    pub(crate) fn unconsumed(&mut self, bytes: usize) -> usize {
        let settled = self.sent.saturating_sub(bytes / REFERENCE_BYTES as usize);
        self.sent -= settled;
        settled
    }
}

impl References {
    /// Counts references that are going to be sent on the stream that `counts` is of.
    pub(crate) fn will_send(&self, counts: &mut Counts, count: usize) {
        counts.encoded += count;
        self.outstanding.fetch_add(count, Ordering::Relaxed);
    }

    /// So many are no longer outstanding.
    pub(crate) fn settled(&self, count: usize) {
        if count > 0 {
            self.outstanding.fetch_sub(count, Ordering::Relaxed);
        }
    }

    /// A stream is over: what came and was not taken goes with it, and what was sent
    /// no longer counts.
    pub(crate) fn over(&self, stream: StreamId, counts: &Counts) {
        let count = counts.encoded + counts.sent;
        if count == 0 && !counts.came {
            return;
        }
        self.settled(count);
        if counts.came {
            self.arrived().forget(stream);
        }
        crash_point!("refs.settled");
    }
}

impl References {
    /// What passes references on the connection of `met`, if the two agreed.
    pub(crate) fn new(met: &mut Met) -> Option<Arc<Self>> {
        let Agreed { own, peer, options } = met.references.take()?;
        let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        let uid = met.peer.uid;
        Some(Arc::new(Self {
            peer_key: peer.key,
            numbers: AtomicU64::new(1),
            audience: Audience {
                connection,
                uid,
                seal_from_bytes: peer.seal_from_bytes,
            },
            source: Source::new(
                connection,
                uid,
                options.keeping,
                options.held_limit,
                &met.peer.to_string(),
            ),
            registered: Registered::new(own.key),
            options,
            outstanding: AtomicUsize::new(0),
            // Of some the peer may keep the descriptor when the call is over.
            outstanding_limit: match met.send_window_bytes {
                REFERENCE_WINDOW_BYTES.. => peer.held_limit as usize / 2,
                _ => 0,
            },
            extents_limit: EXTENTS_LIMIT.min(met.outbox_geometry.ring_slots() as usize / 2),
        }))
    }

    pub(crate) fn peer_key(&self) -> &Key {
        &self.peer_key
    }

    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// To be called when the connection is over, however long this is kept.
    pub(crate) fn end(&self) {
        self.source.end();
    }

    pub(crate) fn arrived(&self) -> &Arc<Arrived> {
        self.registered.arrived()
    }

    pub(crate) fn pool(&self) -> &Pool {
        self.options
            .pool
            .as_ref()
            .unwrap_or_else(|| Pool::process())
    }

    /// Size in bytes from which data goes by reference.
    pub(crate) fn reference_from_bytes(&self) -> usize {
        self.options.reference_from_bytes
    }

    /// How many more references one stream may send before it is looked again; none
    /// while the peer has as many as it takes.
    pub(crate) fn room(&self) -> usize {
        let outstanding = self.outstanding.load(Ordering::Relaxed);
        let room = self.outstanding_limit.saturating_sub(outstanding);
        room.min(ROOM_OF_STREAM)
    }

    /// Most extents that go before one frame.
    pub(crate) fn extents_limit(&self) -> usize {
        self.extents_limit
    }

    /// A number that no other reference to this peer has.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes a reference ready to be sent under a number.
    #[inline]
    pub(crate) fn pass(&self, number: u64, reference: &Ref) -> Result<Passing, RefError> {
        let mut passed = reference.pass(&self.audience, self.pool())?;
        if passed.extents().len() > self.extents_limit {
            passed = self.pass_copy(reference)?;
        }
        crash_point!("refs.passing");
        Ok(Passing { number, passed })
    }

    #[cold]
    fn pass_copy(&self, reference: &Ref) -> Result<Passed, RefError> {
        let whole = self.pool().copy_of(&reference.map()?)?;
        whole.pass(&self.audience, self.pool())
    }
}

/// References that go together, of which there is mostly one.
pub type Passings = SmallVec<[Passing; 1]>;

/// A reference on its way to the peer.
#[derive(Debug)]
pub struct Passing {
    number: u64,
    passed: Passed,
}

impl Passing {
    pub(crate) fn passed(&self) -> &Passed {
        &self.passed
    }

    /// How many descriptors it takes.
    pub(crate) fn descriptors(&self) -> usize {
        self.passed.descriptors().len()
    }

    /// Its frames on a stream.
    pub(crate) fn extents(&self, stream: StreamId) -> impl ExactSizeIterator<Item = Extent> {
        let extents = self.passed.extents();
        let count = extents.len();
        extents.iter().enumerate().map(move |(i, extent)| Extent {
            stream,
            number: self.number,
            more: i + 1 < count,
            descriptor: extent.descriptor as u16,
            offset_bytes: extent.offset_bytes,
            bytes: extent.bytes,
            segment_bytes: extent.segment_bytes,
            whole: extent.whole,
        })
    }
}
