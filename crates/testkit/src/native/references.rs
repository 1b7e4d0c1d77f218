//! Lies about references in native calls.

use nowire_protocol::frame::{Extent, Message, MessageKind, StreamId};
use nowire_protocol::stream::Side;
use rustix::fd::AsFd;

use super::forgery::message;
use crate::hostile::{Failure, HostilePeer};
use crate::reference_lies::{BYTES, segment};

/// In a root, what names a reference to nothing, and a blob that came by value.
const NONE: u32 = u32::MAX;

fn extent(stream: StreamId, number: u64) -> Extent {
    Extent {
        stream,
        number,
        more: false,
        whole: true,
        descriptor: 0,
        offset_bytes: 0,
        bytes: BYTES,
        segment_bytes: BYTES,
    }
}

fn hand_over(peer: &HostilePeer) -> Result<(), Failure> {
    if peer.hand_over(segment().as_fd()) {
        Ok(())
    } else {
        Err(Failure::HungUp)
    }
}

/// The stream of the call that is to carry the lie.
fn next(peer: &HostilePeer, stream: StreamId) -> StreamId {
    match peer.side() {
        Side::Client => StreamId { index: 1, call: 1 },
        Side::Server => stream,
    }
}

/// A call that takes a reference and a blob, or a reply that is a reference.
fn naming(
    peer: &HostilePeer,
    stream: StreamId,
    reference: u32,
    (blob, blob_bytes): (u32, u32),
) -> (MessageKind, Message) {
    let (kind, mut message) = message(peer.side(), "weigh", stream);
    message.inline[0] = match peer.side() {
        Side::Client => u64::from(reference) | u64::from(blob) << 32,
        Side::Server => u64::from(reference),
    };
    if peer.side() == Side::Client {
        message.inline[1] = u64::from(blob_bytes);
    }
    (kind, message)
}

/// Sends references as these extents say, a descriptor ahead of each, and a message
/// that names the first.
fn passed(
    peer: &mut HostilePeer,
    stream: StreamId,
    extents: impl IntoIterator<Item = Extent>,
) -> Result<(), Failure> {
    for extent in extents {
        hand_over(peer)?;
        peer.send_extent(extent)?;
    }
    let (kind, message) = naming(peer, stream, 0, (NONE, 0));
    peer.send_message(kind, &message)
}

pub(super) fn ahead_of_another(peer: &mut HostilePeer, stream: StreamId) -> Result<(), Failure> {
    let stream = next(peer, stream);
    let elsewhere = StreamId {
        index: stream.index + 7,
        ..stream
    };
    passed(peer, stream, [extent(elsewhere, 0)])
}

pub(super) fn counted_from_1(peer: &mut HostilePeer, stream: StreamId) -> Result<(), Failure> {
    let stream = next(peer, stream);
    passed(peer, stream, [extent(stream, 1)])
}

pub(super) fn cut_short(peer: &mut HostilePeer, stream: StreamId) -> Result<(), Failure> {
    let stream = next(peer, stream);
    let more = true;
    let first = Extent {
        more,
        ..extent(stream, 0)
    };
    passed(peer, stream, [first])
}

pub(super) fn nine(peer: &mut HostilePeer, stream: StreamId) -> Result<(), Failure> {
    let stream = next(peer, stream);
    passed(peer, stream, (0..9).map(|number| extent(stream, number)))
}

pub(super) fn without_descriptor(peer: &mut HostilePeer, stream: StreamId) -> Result<(), Failure> {
    let stream = next(peer, stream);
    peer.send_extent(extent(stream, 0))
}

pub(super) fn named_and_not_there(peer: &mut HostilePeer, stream: StreamId) -> Result<(), Failure> {
    let stream = next(peer, stream);
    let (kind, message) = naming(peer, stream, 5, (NONE, 0));
    peer.send_message(kind, &message)
}

pub(super) fn named_twice(peer: &mut HostilePeer, stream: StreamId) -> Result<(), Failure> {
    let stream = next(peer, stream);
    hand_over(peer)?;
    peer.send_extent(extent(stream, 0))?;
    let (kind, message) = naming(peer, stream, 0, (0, 0));
    peer.send_message(kind, &message)
}

pub(super) fn blob_too_long(peer: &mut HostilePeer, stream: StreamId) -> Result<(), Failure> {
    let stream = next(peer, stream);
    let (kind, message) = naming(peer, stream, NONE, (NONE, 9));
    peer.send_message(kind, &message)
}
