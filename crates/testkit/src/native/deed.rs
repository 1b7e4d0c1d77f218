use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nowire_memory::heap::{PAGE_BYTES, RUN_HEADER_BYTES};
use nowire_protocol::frame::{Frame, Message, StreamId};
use nowire_protocol::ring::Outgoing;
use nowire_protocol::stream::Side;

use super::forgery::{Forgery, at, forge, forge_longer, message, run_of};
use super::lie::{describe, take_call};
use crate::hostile::{Failure, HostilePeer};

/// How long a deed that has no end of its own goes on.
const WHILE: Duration = Duration::from_secs(60);

/// What a hostile peer does for a while on a connection for native calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeDeed {
    /// Changes what it passed while it is copied, checked and read.
    ChangingBytes,
    /// Fills the control socket without end.
    SocketFlood,
    /// Client: opens a call that waits, and another in its place.
    SamePlace,
    /// Client: makes calls without end and reads no reply.
    NeverReads,
    /// Client: takes replies without end and gives none back.
    NeverReleases,
    /// Server: lays out one of its methods otherwise, has another not at all, and
    /// answers a third.
    OtherLayouts,
    /// Server: describes its methods by garbage.
    NoDescription,
    /// Client: asks for what there is not.
    Unknown,
    /// Passes a thing with more links than are followed, then a good one.
    TooDeep,
    /// Passes a good thing, over and over, as an honest one would.
    Honest,
}

impl NativeDeed {
    /// All there are, by name.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("changing-bytes", Self::ChangingBytes),
        ("socket-flood", Self::SocketFlood),
        ("same-place", Self::SamePlace),
        ("never-reads", Self::NeverReads),
        ("never-releases", Self::NeverReleases),
        ("other-layouts", Self::OtherLayouts),
        ("no-description", Self::NoDescription),
        ("unknown", Self::Unknown),
        ("too-deep", Self::TooDeep),
        ("honest", Self::Honest),
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

    /// Does it. Returns how often what it does was done.
    ///
    /// # Errors
    /// If the honest side hung up, did not take part or lied.
    pub fn run(self, peer: &mut HostilePeer) -> Result<u64, Failure> {
        match self {
            Self::ChangingBytes => changing_bytes(peer),
            Self::SocketFlood => socket_flood(peer),
            Self::SamePlace => same_place(peer),
            Self::NeverReads => never_reads(peer),
            Self::NeverReleases => never_releases(peer),
            Self::OtherLayouts => other_layouts(peer),
            Self::NoDescription => no_description(peer),
            Self::Unknown => unknown(peer),
            Self::TooDeep => too_deep(peer),
            Self::Honest => honest(peer),
        }
    }
}

/// A call of a client's, one after another in the same place.
fn call(
    peer: &mut HostilePeer,
    method: &str,
    number: u64,
    fill: impl FnOnce(&mut Message),
) -> Result<Message, Failure> {
    let stream = StreamId {
        index: 0,
        call: number as u32 + 1,
    };
    let (kind, mut call) = message(Side::Client, method, stream);
    fill(&mut call);
    peer.send_message(kind, &call)?;
    let taken = peer.take_until(
        |frame| matches!(frame, Frame::Reply(reply) if reply.stream == stream && !reply.has(Message::ITEM)),
    )?;
    match taken.frame {
        Frame::Reply(reply) => Ok(reply),
        _ => unreachable!("nothing else was waited for"),
    }
}

/// Passes the same bytes again and again, as arguments or as replies.
fn pass_again(peer: &mut HostilePeer, passed: Message) -> Result<u64, Failure> {
    const TIMES: u64 = 2000;
    for time in 0..TIMES {
        let fill = |message: &mut Message| {
            message.page = passed.page;
            message.bytes = passed.bytes;
            message.inline = passed.inline;
        };
        let done = match peer.side() {
            Side::Client => {
                let method = ["measure", "measure_aside", "keep"][time as usize % 3];
                call(peer, method, time, fill).map(drop)
            }
            Side::Server => take_call(peer).and_then(|call| {
                let (kind, mut reply) = message(Side::Server, "", call.stream);
                fill(&mut reply);
                peer.send_message(kind, &reply)
            }),
        };
        match done {
            Err(Failure::HungUp) => return Ok(time),
            Err(Failure::Patience(_)) if peer.side() == Side::Server => return Ok(time),
            done => done?,
        }
    }
    Ok(TIMES)
}

fn changing_bytes(peer: &mut HostilePeer) -> Result<u64, Failure> {
    let run = run_of(peer, at::END)?;
    let base = peer.heaps().own.base() + u64::from(run.page()) * PAGE_BYTES as u64;
    let forgery = Forgery::honest(base + RUN_HEADER_BYTES as u64);
    let (_, mut passed) = message(peer.side(), "measure", StreamId { index: 0, call: 1 });
    passed.page = run.page();
    passed.bytes = (RUN_HEADER_BYTES + at::END) as u32;
    passed.inline = forgery.root;
    let over = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&over);
    std::thread::scope(|threads| {
        let scope = Arc::clone(&run).scope();
        let (ready, begun) = std::sync::mpsc::channel();
        threads.spawn(move || {
            let filled = scope.fill(forgery.bytes.len(), |into| {
                into.copy_from_slice(&forgery.bytes);
                // The other thread may have given up already.
                let _ = ready.send(());
                let mut random = 0x9e37_79b9_7f4a_7c15 ^ u64::from(std::process::id());
                while !stop.load(Ordering::Relaxed) {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let place = (random >> 8) as usize % into.len();
                    into[place] ^= 1 << (random >> 61);
                    for _ in 0..random % 64 {
                        std::hint::spin_loop();
                    }
                    // Right again, and mostly so.
                    into[place] = forgery.bytes[place];
                    for _ in 0..random % 2048 {
                        std::hint::spin_loop();
                    }
                    std::sync::atomic::fence(Ordering::SeqCst);
                }
            });
            drop(filled);
        });
        // Nothing is passed before it is there.
        let _ = begun.recv();
        let done = pass_again(peer, passed);
        over.store(true, Ordering::Relaxed);
        done
    })
}

fn honest(peer: &mut HostilePeer) -> Result<u64, Failure> {
    let laid = forge(peer, |_| {})?;
    let (_, mut passed) = message(peer.side(), "measure", StreamId { index: 0, call: 1 });
    passed.page = laid.page;
    passed.bytes = laid.bytes;
    passed.inline = laid.root;
    pass_again(peer, passed)
}

fn socket_flood(peer: &mut HostilePeer) -> Result<u64, Failure> {
    let bytes = vec![1; 64 << 10];
    let began = Instant::now();
    let mut times = 0;
    while began.elapsed() < WHILE {
        if peer.say(&bytes, &[]) {
            times += 1;
        } else if peer.is_cut_off() {
            break;
        }
    }
    Ok(times)
}

fn same_place(peer: &mut HostilePeer) -> Result<u64, Failure> {
    for call in 1..=2 {
        let (kind, call) = message(Side::Client, "gather", StreamId { index: 0, call });
        match peer.send_message(kind, &call) {
            Err(Failure::HungUp) => break,
            sent => sent?,
        }
    }
    peer.wait_for_cut_off()?;
    Ok(1)
}

fn never_reads(peer: &mut HostilePeer) -> Result<u64, Failure> {
    const ROUNDS: u64 = 1_000_000;
    peer.freeze();
    let laid = forge(peer, |_| {})?;
    for round in 0..ROUNDS {
        let stream = StreamId {
            index: 0,
            call: round as u32 + 1,
        };
        let (kind, mut call) = message(Side::Client, "measure", stream);
        call.page = laid.page;
        call.bytes = laid.bytes;
        call.inline = laid.root;
        match peer.send_message(kind, &call) {
            Err(Failure::HungUp) => return Ok(round),
            sent => sent?,
        }
    }
    Ok(ROUNDS)
}

fn never_releases(peer: &mut HostilePeer) -> Result<u64, Failure> {
    const ROUNDS: u64 = 100_000;
    for round in 0..ROUNDS {
        let reply = call(peer, "draw", round, |_| {})?;
        if reply.has(Message::FAILED) {
            return Ok(round);
        }
    }
    Ok(ROUNDS)
}

/// The next call that comes.
fn any_call(peer: &mut HostilePeer) -> Result<Message, Failure> {
    let taken = peer.take_until(|frame| matches!(frame, Frame::Call(_)))?;
    match taken.frame {
        Frame::Call(call) => Ok(call),
        _ => unreachable!("nothing else was waited for"),
    }
}

fn other_layouts(peer: &mut HostilePeer) -> Result<u64, Failure> {
    let mut answered = 0;
    loop {
        let call = any_call(peer)?;
        if call.code == 0 {
            describe(peer, call.stream, |told| match told.name {
                "measure" => told.layout = told.layout.replace("flag: bool", "flag: u8"),
                "draw" => told.name = "paint",
                "fail" => told.layout.clear(),
                _ => {}
            })?;
            continue;
        }
        let (kind, mut reply) = message(Side::Server, "", call.stream);
        let root: Vec<u8> = (1..=8_u64).rev().flat_map(u64::to_le_bytes).collect();
        let parts = Outgoing {
            head: Some(&[]),
            data: Some(&root),
            ..Outgoing::default()
        };
        peer.send(call.stream, &parts)?;
        reply.flags = Message::AHEAD;
        peer.send_message(kind, &reply)?;
        answered += 1;
        if answered == 3 {
            return Ok(answered);
        }
    }
}

fn no_description(peer: &mut HostilePeer) -> Result<u64, Failure> {
    let call = any_call(peer)?;
    let laid = forge(peer, |_| {})?;
    let (kind, mut reply) = message(Side::Server, "", call.stream);
    reply.page = laid.page;
    reply.bytes = laid.bytes;
    reply.inline = [0x5a5a_5a5a_5a5a_5a58; 4];
    peer.send_message(kind, &reply)?;
    peer.wait_for_cut_off()?;
    Ok(1)
}

/// Calls of methods that there are not, and questions about services that nobody
/// can have; each is refused by itself.
fn unknown(peer: &mut HostilePeer) -> Result<u64, Failure> {
    let mut number = 0;
    for code in [100, 0x7fff, u16::MAX] {
        let reply = call(peer, "measure", number, |call| call.code = code)?;
        assert!(reply.has(Message::FAILED), "method {code} is known");
        number += 1;
    }
    let name = |bytes: u8, text: &[u8]| {
        let mut asked = vec![bytes];
        asked.extend(text);
        asked.resize(64, 0);
        asked
    };
    let asked = [
        name(200, b"Survey"),
        name(64, &[b'a'; 63]),
        name(63, &[b'a'; 63]),
        name(2, &[0xff, 0xff]),
        name(0, b""),
        name(6, b"survey"),
    ];
    for asked in asked {
        let index = 0;
        let stream = StreamId {
            index,
            call: number as u32 + 1,
        };
        let parts = Outgoing {
            head: Some(&[]),
            data: Some(&asked),
            ..Outgoing::default()
        };
        peer.send(stream, &parts)?;
        let reply = call(peer, "measure", number, |call| {
            call.code = 0;
            call.flags = Message::AHEAD;
        })?;
        assert!(reply.has(Message::FAILED), "{asked:?} is known");
        number += 1;
    }
    let laid = forge(peer, |_| {})?;
    let reply = call(peer, "measure", number, |call| {
        call.page = laid.page;
        call.bytes = laid.bytes;
        call.inline = laid.root;
    })?;
    assert!(!reply.has(Message::FAILED), "the connection lives on");
    Ok(number)
}

fn too_deep(peer: &mut HostilePeer) -> Result<u64, Failure> {
    const LINKS: usize = 1100;
    let deep = forge_longer(peer, LINKS * at::THING, |thing| {
        let mut last = at::OTHER;
        for link in 0..LINKS {
            let next = at::END + link * at::THING;
            thing.empty(next);
            thing.point(last + at::NEXT, next);
            last = next;
        }
    })?;
    let good = forge(peer, |_| {})?;
    for (number, (laid, is_refused)) in [(deep, true), (good, false)].into_iter().enumerate() {
        let fill = |message: &mut Message| {
            message.page = laid.page;
            message.bytes = laid.bytes;
            message.inline = laid.root;
        };
        match peer.side() {
            Side::Client => {
                let reply = call(peer, "measure", number as u64, fill)?;
                assert_eq!(reply.has(Message::FAILED), is_refused, "{reply:?}");
            }
            Side::Server => {
                let (kind, mut reply) = message(Side::Server, "", take_call(peer)?.stream);
                fill(&mut reply);
                peer.send_message(kind, &reply)?;
            }
        }
    }
    Ok(2)
}
