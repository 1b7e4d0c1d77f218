use std::sync::atomic::Ordering;

use nowire_protocol::PeerMisbehaved;
use nowire_protocol::bell::Ringer;
use nowire_protocol::frame::{
    Extent, Frame, Message, MessageKind, Pages, RELEASE_PAGES, ResetCode, StreamId,
};
use nowire_protocol::geometry::{CURSOR_OFFSET, Geometry, SLEEPING_OFFSET};
use nowire_protocol::memory::{PrivateMemory, ReadMemory, WriteMemory};
use nowire_protocol::ring::{Consumer, Control, Outgoing, Producer};

use crate::input::Input;
use crate::restless::Restless;
use crate::slot;

/// Small, so that the ring turns and the data area fills within one input.
const GEOMETRY: Geometry = Geometry::SMALLEST;
const STREAM: StreamId = StreamId { index: 0, call: 1 };

/// An honest endpoint whose peer writes what it likes into its own outbox, also
/// between two looks of ours and in the middle of one. Every step yields a frame,
/// nothing, or the peer's fault; after the fault the connection is over.
pub fn ring_reader(input: &[u8]) {
    let mut input = Input::new(input);
    let every = usize::from(input.byte() % 8);
    let changes_bytes = usize::from(input.byte());
    let changes = input.bytes(changes_bytes);
    let mut endpoint = Endpoint {
        theirs: Restless::new(GEOMETRY, changes, every),
        ours: PrivateMemory::zeroed(GEOMETRY.outbox_bytes()),
        consumer: Consumer::new(GEOMETRY),
        producer: Producer::new(GEOMETRY),
        ringer: Ringer::new(SLEEPING_OFFSET),
        believed: 0,
    };
    while !input.is_used_up() {
        if endpoint.step(&mut input).is_err() {
            return;
        }
    }
}

struct Endpoint<'a> {
    theirs: Restless<'a>,
    ours: PrivateMemory,
    consumer: Consumer,
    producer: Producer,
    ringer: Ringer,
    /// The last cursor of the peer that the producer did not object to.
    believed: u64,
}

impl Endpoint<'_> {
    fn step(&mut self, input: &mut Input<'_>) -> Result<(), PeerMisbehaved> {
        match input.byte() % 8 {
            0..3 => self.peer_does_something(input),
            3 | 4 => self.take(input)?,
            5 => self.send_payload(input)?,
            6 => self.send_control(input)?,
            _ => {
                self.consumer.publish(&self.ours);
                self.ringer.must_ring(&self.theirs);
                self.producer.is_drained(&self.theirs)?;
                self.check_belief();
            }
        }
        Ok(())
    }

    /// After a success: the cursor that was seen did not go back, nor past what
    /// was sent.
    fn check_belief(&mut self) {
        if let Some(cursor) = self.theirs.cursor_seen() {
            assert!(
                (self.believed..=self.producer.sent()).contains(&cursor),
                "cursor {cursor} was believed after {}",
                self.believed
            );
            self.believed = cursor;
        }
    }

    fn peer_does_something(&self, input: &mut Input<'_>) {
        let memory = self.theirs.memory();
        match input.byte() % 4 {
            0 => {
                let ahead = u64::from(input.byte() % 8);
                slot::write(memory, GEOMETRY, self.consumer.taken() + ahead, input);
            }
            1 => slot::write(memory, GEOMETRY, self.consumer.taken(), input),
            2 => memory.store(CURSOR_OFFSET, u64::from(input.byte()), Ordering::Release),
            _ => {
                let words = memory.size_bytes() / 8;
                let at = usize::from(input.short()) % words * 8;
                memory.store(at, input.long(), Ordering::Relaxed);
            }
        }
    }

    /// Takes the next frame, and its payload both in one piece and in two.
    fn take(&mut self, input: &mut Input<'_>) -> Result<(), PeerMisbehaved> {
        self.consumer.is_ready(&self.theirs);
        let Some(frame) = self.consumer.peek(&self.theirs)? else {
            return Ok(());
        };
        let mut bytes = 0;
        if let Frame::Parts(parts) = &frame {
            bytes = parts.payload_bytes();
            assert!(bytes <= GEOMETRY.piece_bytes(), "{bytes} bytes in a piece");
            let mut payload = vec![0; bytes];
            self.consumer
                .copy_payload(&self.theirs, parts, &mut payload);
            let cut = usize::from(input.short()) % (bytes + 1);
            let (before, after) = payload.split_at_mut(cut);
            self.consumer
                .copy_payload_range(&self.theirs, parts, 0, before);
            self.consumer
                .copy_payload_range(&self.theirs, parts, cut, after);
        }
        check_native(&frame);
        self.consumer.advance(&self.ours, bytes);
        Ok(())
    }

    fn send_payload(&mut self, input: &mut Input<'_>) -> Result<(), PeerMisbehaved> {
        let which = input.byte();
        match which {
            0..0x80 => self.send_parts(which, input),
            0x80..0xe0 => self.send_message(which, input),
            _ => self.send_extents(which, input),
        }
    }

    /// The extents of references, and the largest frame behind them.
    fn send_extents(&mut self, which: u8, input: &mut Input<'_>) -> Result<(), PeerMisbehaved> {
        let count = usize::from(which % 8) + 1;
        let extent = Extent {
            stream: STREAM,
            number: input.long(),
            more: which.is_multiple_of(2),
            whole: which.is_multiple_of(3),
            descriptor: input.short(),
            offset_bytes: input.word().into(),
            bytes: u64::from(input.short()) + 1,
            segment_bytes: u64::MAX >> 1,
        };
        let had_room = self.producer.has_room_for_extents(&self.theirs, count)?;
        self.check_belief();
        let before = self.producer.sent();
        let extents = std::iter::repeat_n(extent, count);
        let sent = self
            .producer
            .push_extents(&self.ours, &self.theirs, extents)?;
        self.check_belief();
        assert!(sent || !had_room, "room for {count} extents, but not now");
        let frames = if sent { count as u64 } else { 0 };
        assert_eq!(self.producer.sent(), before + frames);
        if sent {
            let payload = vec![0x5a; GEOMETRY.piece_bytes()];
            let parts = Outgoing {
                data: Some(&payload),
                ..Outgoing::default()
            };
            let behind = self
                .producer
                .push_parts(&self.ours, &self.theirs, STREAM, &parts)?;
            self.check_belief();
            assert!(behind, "the largest frame has room behind its references");
        }
        Ok(())
    }

    fn send_message(&mut self, which: u8, input: &mut Input<'_>) -> Result<(), PeerMisbehaved> {
        let kind = if which & 1 == 0 {
            MessageKind::Call
        } else {
            MessageKind::Reply
        };
        let message = Message {
            stream: STREAM,
            flags: Message::AHEAD,
            code: input.short(),
            timeout_us: 0,
            page: input.word(),
            bytes: input.word(),
            inline: [0x5a; 4],
        };
        let had_room = self.producer.has_room_for_message(&self.theirs)?;
        self.check_belief();
        let before = self.producer.sent();
        let sent = self
            .producer
            .push_message(&self.ours, &self.theirs, kind, &message)?;
        self.check_belief();
        assert!(sent || !had_room, "room for a message, but not for this");
        assert_eq!(self.producer.sent(), before + u64::from(sent));
        Ok(())
    }

    fn send_parts(&mut self, which: u8, input: &mut Input<'_>) -> Result<(), PeerMisbehaved> {
        let most = GEOMETRY.piece_bytes();
        let bytes = usize::from(input.short()) % (most + 1);
        let payload = vec![0x5a; bytes];
        let (head, data) = payload.split_at(usize::from(input.byte()).min(bytes));
        let parts = Outgoing {
            head: (which & 1 != 0).then_some(head),
            data: (which & 2 != 0).then_some(data),
            tail: (which & 4 != 0).then_some(&[]),
            end: which & 8 != 0,
        };
        let had_room = self.producer.has_room_for_piece(&self.theirs)?;
        self.check_belief();
        let before = self.producer.sent();
        let sent = self
            .producer
            .push_parts(&self.ours, &self.theirs, STREAM, &parts)?;
        self.check_belief();
        assert!(
            sent || !had_room,
            "room for any piece, but not for {bytes} bytes"
        );
        assert_eq!(self.producer.sent(), before + u64::from(sent));
        Ok(())
    }

    fn send_control(&mut self, input: &mut Input<'_>) -> Result<(), PeerMisbehaved> {
        let control = match input.byte() % 8 {
            0 => Control::Credit {
                stream: STREAM,
                bytes: input.word(),
            },
            1 => Control::Reset {
                stream: STREAM,
                code: ResetCode::from_wire(u32::from(input.byte())),
            },
            2 => Control::GoAway,
            3 => Control::Segment {
                page: input.word(),
                pages: input.word(),
            },
            4 => Control::Retire { page: input.word() },
            5 => {
                let mut pages = Pages::new();
                for _ in 0..input.byte() % 16 {
                    pages.push(input.word());
                }
                Control::Release(pages)
            }
            _ => Control::Ping {
                token: input.long(),
                answer: true,
            },
        };
        self.producer
            .push_control(&self.ours, &self.theirs, control)?;
        self.check_belief();
        Ok(())
    }
}

/// What a reader of native frames need not check again.
fn check_native(frame: &Frame) {
    let both = Message::AHEAD | Message::ITEM;
    match frame {
        Frame::Extent(extent) => {
            let end = extent.offset_bytes.checked_add(extent.bytes);
            assert!(extent.bytes > 0 && end.is_some_and(|end| end <= extent.segment_bytes));
            assert!(extent.segment_bytes <= i64::MAX as u64);
        }
        Frame::Call(call) => assert_eq!(call.flags & !(both | Message::END), 0),
        Frame::Reply(reply) => {
            let known = both | Message::KEPT | Message::FAILED | Message::LENT;
            assert_eq!((reply.flags & !known, reply.timeout_us), (0, 0));
            if reply.has(Message::LENT) {
                assert_eq!((reply.flags & Message::FAILED, reply.bytes), (0, 0));
            }
        }
        Frame::Segment { page, pages } => {
            assert!(*pages > 0 && page.checked_add(*pages).is_some());
        }
        Frame::Release(pages) => {
            let count = pages.as_slice().len();
            assert!((1..=RELEASE_PAGES).contains(&count), "{count} pages");
            let mut again = Pages::new();
            assert!(pages.as_slice().iter().all(|page| again.push(*page)));
            assert_eq!(&again, pages);
        }
        _ => {}
    }
}
