use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{Frame, Message, MessageKind, StreamId};
use nowire_protocol::geometry::{Geometry, RING_OFFSET, SLOT_BYTES};
use nowire_protocol::memory::{PrivateMemory, ReadMemory};
use nowire_protocol::ring::{Consumer, Control, Outgoing, Producer};

pub(crate) const STREAM: StreamId = StreamId {
    index: 0x1111_2222,
    call: 0x3333_4444,
};

/// An outbox, and the one of the peer in which the cursor moves.
pub(crate) struct Pair {
    pub(crate) geometry: Geometry,
    pub(crate) outbox: PrivateMemory,
    pub(crate) peer: PrivateMemory,
}

impl Pair {
    pub(crate) fn new(geometry: Geometry) -> Self {
        Self {
            geometry,
            outbox: PrivateMemory::zeroed(geometry.outbox_bytes()),
            peer: PrivateMemory::zeroed(geometry.outbox_bytes()),
        }
    }

    pub(crate) fn push(&self, producer: &mut Producer, control: Control) -> bool {
        producer
            .push_control(&self.outbox, &self.peer, control)
            .expect("an honest cursor")
    }

    pub(crate) fn push_parts(&self, producer: &mut Producer, parts: Outgoing<'_>) -> bool {
        producer
            .push_parts(&self.outbox, &self.peer, STREAM, &parts)
            .expect("an honest cursor")
    }

    pub(crate) fn push_message(
        &self,
        producer: &mut Producer,
        kind: MessageKind,
        message: &Message,
    ) -> bool {
        producer
            .push_message(&self.outbox, &self.peer, kind, message)
            .expect("an honest cursor")
    }

    pub(crate) fn slot(&self, index: usize) -> Vec<u8> {
        self.bytes(RING_OFFSET + index * SLOT_BYTES, SLOT_BYTES)
    }

    pub(crate) fn bytes(&self, offset: usize, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.outbox.copy_out(offset, &mut bytes);
        bytes
    }

    pub(crate) fn first_frame(&self) -> Result<Option<Frame>, PeerMisbehaved> {
        Consumer::new(self.geometry).peek(&self.outbox)
    }
}
