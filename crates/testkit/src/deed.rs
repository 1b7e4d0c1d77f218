use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nowire_memory::OwnedSegment;
use nowire_protocol::frame::{Frame, ResetCode, StreamId};
use nowire_protocol::geometry::{Geometry, RING_OFFSET, SLOT_BYTES};
use nowire_protocol::memory::{ReadMemory, WriteMemory};
use nowire_protocol::ring::{Control, Outgoing};
use nowire_protocol::stream::Side;

use crate::blocks::{
    head_only, late_answer, many_answers, message, ok_trailers, request_to, response_block,
};
use crate::hostile::{Failure, HostilePeer};
use crate::odd;

const UNARY: &[u8] = b"/grpc.testing.TestService/EmptyCall";
const UPLOAD: &[u8] = b"/grpc.testing.TestService/StreamingInputCall";
const DUPLEX: &[u8] = b"/grpc.testing.TestService/FullDuplexCall";

/// How long a deed that has no end of its own goes on.
const WHILE: Duration = Duration::from_secs(2);
/// Calls of a deed that makes many.
const CALLS: u32 = 200;

/// What a hostile peer does for a while, each frame of it honest or nearly so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Client: opens calls and resets them, over and over, then makes one.
    Resets,
    /// Sends its window one byte at a time on many streams that nobody reads.
    Crumbs,
    /// Sends its window in pieces just too large to be gathered.
    Slabs,
    /// Client: makes calls without end and reads no answer.
    NeverReads,
    /// Pings without end and reads no answer.
    UnreadPings,
    /// Takes nothing and sends nothing.
    Frozen,
    /// Client: one bad header block, and a ring full of calls behind it.
    LastWords,
    /// Rings the doorbell without end, with a frame behind it now and then.
    RestlessBell,
    /// Says again and again that it sleeps and wants room, and serves or calls.
    RestlessWords,
    /// Says go-away in the middle of a call, more than once, and goes on.
    GoAways,
    /// Server: sends more on streams whose trailers it has sent.
    Afterthoughts,
    /// Client: asks for far more than it takes, which is nothing.
    Greed,
    /// Calls, or answers, as no client or server of good sense would.
    Odd,
    /// Changes payloads while they are read.
    ChangingPayloads,
    /// Changes slots and payloads while they are read.
    ChangingSlots,
}

impl Deed {
    /// All there are, by name.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("resets", Self::Resets),
        ("crumbs", Self::Crumbs),
        ("slabs", Self::Slabs),
        ("never-reads", Self::NeverReads),
        ("unread-pings", Self::UnreadPings),
        ("frozen", Self::Frozen),
        ("last-words", Self::LastWords),
        ("restless-bell", Self::RestlessBell),
        ("restless-words", Self::RestlessWords),
        ("go-aways", Self::GoAways),
        ("afterthoughts", Self::Afterthoughts),
        ("greed", Self::Greed),
        ("odd", Self::Odd),
        ("changing-payloads", Self::ChangingPayloads),
        ("changing-slots", Self::ChangingSlots),
    ];

    /// The deed of this name.
    pub fn named(name: &str) -> Option<Self> {
        let (_, deed) = Self::ALL.iter().find(|(known, _)| *known == name)?;
        Some(*deed)
    }

    /// What to give the program `nowire-hostile`.
    pub fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(_, deed)| *deed == self);
        named.map_or("", |(name, _)| name)
    }

    /// Does it, on the connection of this number. Returns how often what it does was done; what it has sent stays
    /// in the honest side's hands until the peer is dropped.
    ///
    /// # Errors
    /// If the honest side hung up, did not take part or lied.
    pub fn run(self, peer: &mut HostilePeer, round: u64) -> Result<u64, Failure> {
        match self {
            Self::Resets => resets(peer),
            Self::Crumbs => fill_windows(peer, 32, 1),
            Self::Slabs => fill_windows(peer, 64, 2048),
            Self::NeverReads => never_reads(peer),
            Self::UnreadPings => unread_pings(peer),
            Self::Frozen => Ok(0),
            Self::LastWords => last_words(peer),
            Self::RestlessBell => restless_bell(peer),
            Self::RestlessWords => restless_words(peer),
            Self::GoAways => go_aways(peer),
            Self::Afterthoughts => serve_calls(peer, |peer, stream| {
                answer(peer, stream)?;
                afterthoughts(peer, stream)
            }),
            Self::Greed => greed(peer),
            Self::Odd => be_odd(peer, round),
            Self::ChangingPayloads => changing(peer, false),
            Self::ChangingSlots => changing(peer, true),
        }
    }
}

/// A whole unary request in one frame.
fn unary(peer: &mut HostilePeer, stream: StreamId, body: &[u8]) -> Result<(), Failure> {
    let (head, data) = (request_to(UNARY), message(body));
    let parts = Outgoing {
        head: Some(&head),
        data: Some(&data),
        end: true,
        ..Outgoing::default()
    };
    peer.send(stream, &parts)
}

/// A whole unary answer in one frame.
fn answer(peer: &mut HostilePeer, stream: StreamId) -> Result<(), Failure> {
    let (head, data, tail) = (response_block(), message(b""), ok_trailers());
    let parts = Outgoing {
        head: Some(&head),
        data: Some(&data),
        tail: Some(&tail),
        end: true,
    };
    peer.send(stream, &parts)
}

/// Makes a call and waits for the end of its answer.
fn call(
    peer: &mut HostilePeer,
    stream: StreamId,
    body: &[u8],
    patience: Duration,
) -> Result<(), Failure> {
    unary(peer, stream, body)?;
    peer.take_until_within(patience, |frame| match frame {
        Frame::Parts(parts) => parts.stream == stream && parts.end,
        Frame::Reset { stream: reset, .. } => *reset == stream,
        _ => false,
    })
    .map(drop)
}

/// Gives each call that comes to `each`, as soon as its request has ended.
fn serve_calls(
    peer: &mut HostilePeer,
    mut each: impl FnMut(&mut HostilePeer, StreamId) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let mut served = 0;
    loop {
        let ended = |frame: &Frame| matches!(frame, Frame::Parts(parts) if parts.end);
        let taken = match peer.take_until(ended) {
            Err(Failure::HungUp | Failure::Patience(_)) => return Ok(served),
            taken => taken?,
        };
        if let Frame::Parts(parts) = taken.frame {
            each(peer, parts.stream)?;
            served += 1;
        }
    }
}

fn resets(peer: &mut HostilePeer) -> Result<u64, Failure> {
    const ROUNDS: u32 = 20_000;
    let head = request_to(DUPLEX);
    for round in 0..ROUNDS {
        let stream = StreamId {
            index: round % 8,
            call: round / 8 + 1,
        };
        let code = ResetCode::Cancelled;
        peer.send(stream, &head_only(&head))?;
        peer.send_control(Control::Reset { stream, code })?;
        // Answers that the honest side sends all the same.
        while peer.take()?.is_some() {}
    }
    let last = StreamId { index: 9, call: 1 };
    call(peer, last, b"", Duration::from_secs(20))?;
    Ok(u64::from(ROUNDS))
}

/// Fills the windows of so many streams with frames of so many bytes.
fn fill_windows(peer: &mut HostilePeer, streams: u32, frame_bytes: usize) -> Result<u64, Failure> {
    let mut open = Vec::new();
    match peer.side() {
        Side::Client => {
            let (head, data) = (request_to(DUPLEX), late_answer());
            for index in 0..streams {
                let stream = StreamId { index, call: 1 };
                let parts = Outgoing {
                    head: Some(&head),
                    data: Some(&data),
                    ..Outgoing::default()
                };
                peer.send(stream, &parts)?;
                open.push((stream, data.len()));
            }
        }
        Side::Server => {
            for _ in 0..streams {
                let begun = |frame: &Frame| matches!(frame, Frame::Parts(parts) if parts.head_bytes.is_some());
                if let Frame::Parts(parts) = peer.take_until(begun)?.frame {
                    peer.send(parts.stream, &head_only(&response_block()))?;
                    open.push((parts.stream, 0));
                }
            }
        }
    }
    let bytes = vec![0; frame_bytes];
    let window = peer.window_bytes() as usize;
    let mut frames = 0;
    for (stream, sent) in open {
        let mut left = window - sent;
        while left > 0 {
            let length = left.min(frame_bytes);
            let parts = Outgoing {
                data: Some(&bytes[..length]),
                ..Outgoing::default()
            };
            peer.send(stream, &parts)?;
            left -= length;
            frames += 1;
        }
    }
    peer.sync()?;
    Ok(frames)
}

fn never_reads(peer: &mut HostilePeer) -> Result<u64, Failure> {
    const ROUNDS: u64 = 100_000;
    peer.freeze();
    for round in 0..ROUNDS {
        let stream = StreamId {
            index: (round % 1000) as u32,
            call: (round / 1000) as u32 + 1,
        };
        match unary(peer, stream, b"") {
            Err(Failure::HungUp) => return Ok(round),
            sent => sent?,
        }
        if round % 100 == 0 {
            // By the time a place is used again its call must have been answered.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(ROUNDS)
}

fn unread_pings(peer: &mut HostilePeer) -> Result<u64, Failure> {
    const ROUNDS: u64 = 100_000;
    peer.freeze();
    for token in 0..ROUNDS {
        match peer.send_control(Control::Ping {
            token,
            answer: false,
        }) {
            Err(Failure::HungUp) => return Ok(token),
            sent => sent?,
        }
    }
    Ok(ROUNDS)
}

fn last_words(peer: &mut HostilePeer) -> Result<u64, Failure> {
    let bad = peer.draft(StreamId { index: 0, call: 1 }, &head_only(&[120]))?;
    let head = request_to(UPLOAD);
    let mut behind = 0;
    while let Some(draft) = peer.try_draft(
        StreamId {
            index: behind as u32 + 1,
            call: 1,
        },
        &head_only(&head),
    )? {
        peer.post(&draft);
        behind += 1;
    }
    // The honest side finds all of them at once.
    peer.post(&bad);
    peer.ring(1);
    Ok(behind)
}

fn restless_bell(peer: &mut HostilePeer) -> Result<u64, Failure> {
    let began = Instant::now();
    let mut rung = 0;
    while began.elapsed() < WHILE {
        peer.sync()?;
        if !peer.ring(1000) {
            return Err(Failure::HungUp);
        }
        rung += 1000;
    }
    Ok(rung)
}

/// Calls or serves while another thread does something to the outbox.
fn beside(
    peer: &mut HostilePeer,
    work: impl FnOnce(&mut HostilePeer) -> Result<u64, Failure>,
    mischief: impl Fn(&OwnedSegment, u64) + Send,
) -> Result<u64, Failure> {
    let outbox = peer.outbox();
    let over = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&over);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut turn = 1;
            while !stop.load(Ordering::Relaxed) {
                mischief(&outbox, turn);
                turn += 1;
                if turn % 64 == 0 {
                    std::thread::yield_now();
                }
            }
        });
        let done = work(peer);
        over.store(true, Ordering::Relaxed);
        done
    })
}

/// Calls from a client, answers from a server, as long as it goes well.
fn go_about(peer: &mut HostilePeer, patience: Duration) -> Result<u64, Failure> {
    match peer.side() {
        Side::Server => serve_calls(peer, answer),
        Side::Client => {
            for round in 0..CALLS {
                let stream = StreamId {
                    index: round % 16,
                    call: round / 16 + 1,
                };
                match call(peer, stream, &[0; 600], patience) {
                    Err(Failure::HungUp | Failure::Patience(_)) => return Ok(u64::from(round)),
                    called => called?,
                }
            }
            Ok(u64::from(CALLS))
        }
    }
}

fn restless_words(peer: &mut HostilePeer) -> Result<u64, Failure> {
    use nowire_protocol::geometry::{SLEEPING_OFFSET, WANTS_ROOM_OFFSET};
    beside(
        peer,
        |peer| go_about(peer, Duration::from_secs(20)),
        |outbox, turn| {
            outbox.store(SLEEPING_OFFSET, turn, Ordering::Release);
            outbox.store(WANTS_ROOM_OFFSET, turn * 3, Ordering::Release);
        },
    )
}

fn changing(peer: &mut HostilePeer, slots: bool) -> Result<u64, Failure> {
    let geometry = peer.geometry();
    let random = AtomicU64::new(0x9e37_79b9_7f4a_7c15 ^ u64::from(std::process::id()));
    beside(
        peer,
        |peer| go_about(peer, Duration::from_millis(500)),
        |outbox, _| {
            let mut number = random.load(Ordering::Relaxed);
            number ^= number << 13;
            number ^= number >> 7;
            number ^= number << 17;
            random.store(number, Ordering::Relaxed);
            let at = place(geometry, slots, number);
            let word = outbox.load(at, Ordering::Relaxed) ^ 1 << (number >> 58);
            outbox.store(at, word, Ordering::Relaxed);
        },
    )
}

/// A word of a payload, or of a slot if those are meant too, but no stamp: the
/// connection would be over at once.
fn place(geometry: Geometry, slots: bool, random: u64) -> usize {
    let pick = (random >> 8) as usize;
    if slots && random.is_multiple_of(8) {
        let slot = pick % geometry.ring_slots() as usize;
        let word = 1 + (pick >> 20) % 7;
        RING_OFFSET + slot * SLOT_BYTES + word * 8
    } else {
        geometry.data_offset() + pick % (geometry.data_bytes() as usize / 8) * 8
    }
}

/// One odd request; as a server, an odd answer to each call.
fn be_odd(peer: &mut HostilePeer, round: u64) -> Result<u64, Failure> {
    match peer.side() {
        Side::Client => odd::request(peer, round).map(|()| 1),
        Side::Server => serve_calls(peer, odd::answer),
    }
}

fn greed(peer: &mut HostilePeer) -> Result<u64, Failure> {
    const STREAMS: u32 = 16;
    peer.sync()?;
    peer.freeze();
    let (head, data) = (request_to(DUPLEX), many_answers(100, 1 << 20));
    for index in 0..STREAMS {
        let parts = Outgoing {
            head: Some(&head),
            data: Some(&data),
            end: true,
            ..Outgoing::default()
        };
        peer.send(StreamId { index, call: 1 }, &parts)?;
    }
    Ok(u64::from(STREAMS))
}

fn go_aways(peer: &mut HostilePeer) -> Result<u64, Failure> {
    let say = |peer: &mut HostilePeer| (0..3).try_for_each(|_| peer.send_control(Control::GoAway));
    match peer.side() {
        Side::Client => {
            let stream = StreamId { index: 0, call: 1 };
            peer.send(stream, &head_only(&request_to(UNARY)))?;
            say(peer)?;
            peer.sync()?;
            let data = message(b"");
            let parts = Outgoing {
                data: Some(&data),
                end: true,
                ..Outgoing::default()
            };
            peer.send(stream, &parts)?;
            peer.take_until(
                |frame| matches!(frame, Frame::Parts(parts) if parts.stream == stream && parts.end),
            )?;
            Ok(1)
        }
        Side::Server => serve_calls(peer, |peer, stream| {
            say(peer)?;
            peer.sync()?;
            answer(peer, stream)?;
            // By now the client has said that it goes, or is gone.
            match say(peer) {
                Err(Failure::HungUp) => Ok(()),
                said => said,
            }
        }),
    }
}

fn afterthoughts(peer: &mut HostilePeer, stream: StreamId) -> Result<(), Failure> {
    peer.send(
        stream,
        &Outgoing {
            data: Some(b"more"),
            ..Outgoing::default()
        },
    )?;
    answer(peer, stream)?;
    peer.send_control(Control::Credit { stream, bytes: 9 })?;
    peer.send_control(Control::Reset {
        stream,
        code: ResetCode::Failed,
    })
}
