use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{Frame, Parts, StreamId};
use nowire_protocol::geometry::Geometry;
use nowire_protocol::memory::PrivateMemory;
use nowire_protocol::ring::Consumer;
use nowire_protocol::stream::{CREDIT_LIMIT, Inbound, Outbound, REFERENCE_BYTES, Side};

use crate::input::Input;
use crate::slot;

const GEOMETRY: Geometry = Geometry::SMALLEST;
const STREAMS: usize = 4;

/// Frames of every kind and order on a few streams, with a reader that consumes
/// and a writer that sends as it may. What is accepted keeps to a plain account
/// of what was granted and what came.
pub fn stream_frames(input: &[u8]) {
    let mut input = Input::new(input);
    let from = if input.byte().is_multiple_of(2) {
        Side::Client
    } else {
        Side::Server
    };
    let outbox = PrivateMemory::zeroed(GEOMETRY.outbox_bytes());
    let nobody = PrivateMemory::zeroed(GEOMETRY.outbox_bytes());
    let mut consumer = Consumer::new(GEOMETRY);
    let mut streams: [Option<Stream>; STREAMS] = std::array::from_fn(|_| None);
    while !input.is_used_up() {
        let deed = input.byte();
        if deed >= 0xc0 {
            if let Some(stream) = &mut streams[usize::from(deed) % STREAMS] {
                stream.read_and_write(&mut input);
            }
            continue;
        }
        slot::write(&outbox, GEOMETRY, consumer.taken(), &mut input);
        let Ok(frame) = consumer.peek(&outbox) else {
            return;
        };
        consumer.advance(&nobody, 0);
        if handle(frame, from, &mut streams, &mut input).is_err() {
            return;
        }
    }
}

fn handle(
    frame: Option<Frame>,
    from: Side,
    streams: &mut [Option<Stream>; STREAMS],
    input: &mut Input<'_>,
) -> Result<(), PeerMisbehaved> {
    match frame {
        Some(Frame::Parts(parts)) => {
            let index = parts.stream.index as usize % STREAMS;
            streams[index]
                .get_or_insert_with(|| Stream::new(parts.stream, from, input.word()))
                .accept(&parts)
        }
        Some(Frame::Extent(extent)) => {
            let index = extent.stream.index as usize % STREAMS;
            let stream = streams[index]
                .get_or_insert_with(|| Stream::new(extent.stream, from, input.word()));
            if extent.more {
                Ok(())
            } else {
                stream.accept_reference()
            }
        }
        Some(Frame::Credit { stream, bytes }) => {
            match &mut streams[stream.index as usize % STREAMS] {
                Some(stream) => stream.grant(bytes),
                None => Ok(()),
            }
        }
        Some(Frame::Reset { stream, .. }) => {
            streams[stream.index as usize % STREAMS] = None;
            Ok(())
        }
        Some(Frame::GoAway | Frame::Ping { .. }) => Ok(()),
        // Native calls have no such streams.
        Some(native) => Err(PeerMisbehaved::Kind(native.kind())),
        None => unreachable!("a slot stamped for this turn is a frame or a fault"),
    }
}

/// Both halves of a stream, and an account kept apart from theirs.
struct Stream {
    from: Side,
    inbound: Inbound,
    outbound: Outbound,
    /// Data the peer may still send, by our account.
    allowed_bytes: u64,
    /// Data that came and was not read yet.
    unread_bytes: u64,
    /// Data we may still send, by our account.
    credit_bytes: u64,
    head: bool,
    ended: bool,
}

impl Stream {
    fn new(stream: StreamId, from: Side, window: u32) -> Self {
        // As the handshake would: no window beyond what a sender may hold.
        let window = window % (CREDIT_LIMIT as u32 + 1);
        Self {
            from,
            inbound: Inbound::new(stream, from, window),
            outbound: Outbound::new(stream, window),
            allowed_bytes: u64::from(window),
            unread_bytes: 0,
            credit_bytes: u64::from(window),
            head: false,
            ended: false,
        }
    }

    fn accept(&mut self, parts: &Parts) -> Result<(), PeerMisbehaved> {
        let data = u64::from(parts.data_bytes.unwrap_or(0));
        let allowed = !self.ended
            && self.head != parts.head_bytes.is_some()
            && (parts.tail_bytes.is_none() || self.from == Side::Server)
            && data <= self.allowed_bytes;
        let accepted = self.inbound.accept(parts);
        assert_eq!(accepted.is_ok(), allowed, "{parts:?}: {accepted:?}");
        accepted?;
        self.head = true;
        self.ended = parts.end;
        self.allowed_bytes -= data;
        self.unread_bytes += data;
        assert_eq!(self.inbound.has_ended(), self.ended);
        Ok(())
    }

    fn accept_reference(&mut self) -> Result<(), PeerMisbehaved> {
        let bytes = u64::from(REFERENCE_BYTES);
        let allowed = !self.ended && bytes <= self.allowed_bytes;
        let accepted = self.inbound.accept_reference();
        assert_eq!(accepted.is_ok(), allowed, "{accepted:?}");
        accepted?;
        self.allowed_bytes -= bytes;
        self.unread_bytes += bytes;
        Ok(())
    }

    fn grant(&mut self, bytes: u32) -> Result<(), PeerMisbehaved> {
        let sum = self.credit_bytes + u64::from(bytes);
        let granted = self.outbound.grant(bytes);
        assert_eq!(granted.is_ok(), sum <= CREDIT_LIMIT);
        granted?;
        self.credit_bytes = sum;
        assert_eq!(self.outbound.credit_bytes() as u64, sum);
        Ok(())
    }

    /// Reads some of what came, and sends some of what may be sent.
    fn read_and_write(&mut self, input: &mut Input<'_>) {
        let read = u64::from(input.length()).min(self.unread_bytes);
        self.unread_bytes -= read;
        if let Some(credit) = self.inbound.consume(read as u32) {
            assert!(!self.ended, "credit for a stream that has ended");
            self.allowed_bytes += u64::from(credit);
        }
        let sent = u64::from(input.length()).min(self.credit_bytes);
        self.outbound.spend(sent as usize);
        self.credit_bytes -= sent;
    }
}
