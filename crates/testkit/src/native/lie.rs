use std::sync::Arc;

use nowire::{Shared, Slice, Str};
use nowire_memory::heap::PAGE_BYTES;
use nowire_protocol::frame::{Frame, Message, MessageKind, StreamId};
use nowire_protocol::stream::Side;

use super::forgery::{message, run_of};
use super::lies::LIES;
use super::survey;
use crate::hostile::{Failure, HostilePeer};

/// One thing that no honest peer does on a connection for native calls.
#[derive(Debug)]
pub struct NativeLie {
    /// What it is called.
    pub name: &'static str,
    /// Who can tell it.
    pub told_by: &'static [Side],
    /// What the honest side says of it, in part.
    pub noticed_as: &'static str,
    /// What an honest client [does](super::call_on) when a server is to tell it.
    pub during: &'static str,
    /// Whether it is one only where what is passed is read in place.
    pub in_place: bool,
    pub(crate) tell: fn(&mut HostilePeer, StreamId) -> Result<(), Failure>,
}

impl NativeLie {
    /// All there are.
    pub const ALL: &'static [Self] = LIES;

    /// The lie of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        LIES.iter().find(|lie| lie.name == name)
    }

    /// Opens a call, or waits for one, and tells the lie.
    ///
    /// # Errors
    /// If the honest side did not let it get there.
    pub fn tell(&self, peer: &mut HostilePeer) -> Result<(), Failure> {
        let stream = match peer.side() {
            Side::Client => hold(peer, 0)?,
            Side::Server => take_call(peer)?.stream,
        };
        (self.tell)(peer, stream)
    }
}

/// Opens a call that stays open.
pub(crate) fn hold(peer: &mut HostilePeer, index: u32) -> Result<StreamId, Failure> {
    let stream = StreamId { index, call: 1 };
    let (kind, call) = message(Side::Client, "hold", stream);
    peer.send_message(kind, &call)?;
    peer.sync()?;
    Ok(stream)
}

/// Waits for a call of a method. Before, an honest client asks which there are.
pub(crate) fn take_call(peer: &mut HostilePeer) -> Result<Message, Failure> {
    loop {
        let wanted = |frame: &Frame| matches!(frame, Frame::Call(call) if !call.has(Message::ITEM));
        match peer.take_until(wanted)?.frame {
            Frame::Call(call) if call.code == 0 => describe(peer, call.stream, |_| {})?,
            Frame::Call(call) => return Ok(call),
            _ => unreachable!("nothing else was waited for"),
        }
    }
}

/// As an honest server describes its methods.
#[derive(Shared)]
struct Description<'s> {
    methods: Slice<'s, Described<'s>>,
}

#[derive(Shared)]
struct Described<'s> {
    code: u16,
    name: Str<'s>,
    layout: Str<'s>,
}

/// Says which methods there are, after `change`.
pub(crate) fn describe(
    peer: &mut HostilePeer,
    stream: StreamId,
    change: impl Fn(&mut survey::Told),
) -> Result<(), Failure> {
    let run = run_of(peer, 16 * PAGE_BYTES)?;
    let scope = Arc::clone(&run).scope();
    let methods: Vec<_> = survey::told()
        .into_iter()
        .map(|mut told| {
            change(&mut told);
            Described {
                code: told.code,
                name: scope.str(told.name).expect("room"),
                layout: scope.str(&told.layout).expect("room"),
            }
        })
        .collect();
    let description = Description {
        methods: scope.slice_of(methods).expect("room"),
    };
    let (_, mut reply) = message(Side::Server, "", stream);
    reply.page = run.page();
    reply.bytes = run.used_bytes();
    nowire::macro_support::write_root(&description, &mut reply.inline);
    peer.runs.push(run);
    peer.send_message(MessageKind::Reply, &reply)
}
