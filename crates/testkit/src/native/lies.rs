//! The lies, one by one.

use nowire_memory::heap::{MAX_SEGMENTS, MAX_UNSEALED, PAGE_BYTES, RUN_HEADER_BYTES};
use nowire_protocol::frame::{
    FLAG_DATA, FLAG_HEAD, Frame, Message, MessageKind, Pages, ResetCode, StreamId,
};
use nowire_protocol::ring::{Control, Outgoing};
use nowire_protocol::stream::Side;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, SealFlags};

use super::forgery::{Forgery, Laid, at, forge, message, pass};
use super::lie::{NativeLie, take_call};
use super::references;
use crate::hostile::{Failure, HostilePeer};

const CLIENT: &[Side] = &[Side::Client];
const SERVER: &[Side] = &[Side::Server];
const BOTH: &[Side] = &[Side::Client, Side::Server];

/// Items of a stream that may be on their way.
const WINDOW_ITEMS: u32 = 64;

/// Where segments are put by hand, far from those that an honest heap has.
const PAGE: u32 = 100_000;

const SEALABLE: SealFlags = SealFlags::FUTURE_WRITE
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW);
const SEALS: SealFlags = SEALABLE.union(SealFlags::SEAL);

/// A lie about data, which both sides can tell: a thing with something changed.
const fn in_data(
    name: &'static str,
    noticed_as: &'static str,
    tell: fn(&mut HostilePeer, StreamId) -> Result<(), Failure>,
) -> NativeLie {
    NativeLie {
        in_place: false,
        name,
        told_by: BOTH,
        noticed_as,
        during: "draw",
        tell,
    }
}

/// A lie of frames that makes no difference to the method called.
const fn in_frames(
    name: &'static str,
    told_by: &'static [Side],
    noticed_as: &'static str,
    tell: fn(&mut HostilePeer, StreamId) -> Result<(), Failure>,
) -> NativeLie {
    NativeLie {
        in_place: false,
        name,
        told_by,
        noticed_as,
        during: "draw",
        tell,
    }
}

fn worse(
    peer: &mut HostilePeer,
    stream: StreamId,
    worsen: impl FnOnce(&mut Forgery),
) -> Result<(), Failure> {
    let laid = forge(peer, worsen)?;
    pass(peer, stream, laid)
}

/// A good thing that is said to lie elsewhere.
fn misplaced(
    peer: &mut HostilePeer,
    stream: StreamId,
    change: impl FnOnce(&mut Laid),
) -> Result<(), Failure> {
    let mut laid = forge(peer, |_| {})?;
    change(&mut laid);
    pass(peer, stream, laid)
}

/// A memory file of so many bytes, all but the last page of which are there if
/// it is to be sparse.
fn file(bytes: usize, seals: SealFlags, sparse: bool) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create("hostile", flags).expect("a memory file");
    rustix::fs::ftruncate(&file, bytes as u64).expect("room");
    let present = if sparse { bytes - PAGE_BYTES } else { bytes };
    let zeros = vec![0; present];
    assert_eq!(rustix::io::pwrite(&file, &zeros, 0), Ok(present));
    rustix::fs::fcntl_add_seals(&file, seals).expect("it can be sealed");
    file
}

fn page_file(pages: u32, seals: SealFlags) -> OwnedFd {
    file(pages as usize * PAGE_BYTES, seals, false)
}

/// Tells the honest side of a segment.
fn announce(peer: &mut HostilePeer, page: u32, pages: u32, file: impl AsFd) -> Result<(), Failure> {
    if !peer.hand_over(file.as_fd()) {
        return Err(Failure::HungUp);
    }
    peer.send_control(Control::Segment { page, pages })
}

/// Posts something else in the place of a frame without payload.
fn worse_control(
    peer: &mut HostilePeer,
    control: Control,
    change: impl FnOnce(crate::Draft) -> crate::Draft,
) -> Result<(), Failure> {
    let draft = peer.draft_control(control)?;
    peer.post(&change(draft));
    peer.ring(1);
    Ok(())
}

/// A call of another stream, or the reply to this, with its frame changed.
fn worse_message(
    peer: &mut HostilePeer,
    stream: StreamId,
    change: impl FnOnce(crate::Draft) -> crate::Draft,
) -> Result<(), Failure> {
    let (kind, message) = message(peer.side(), "turn", next(peer, stream));
    let draft = peer.draft_message(kind, &message)?;
    peer.post(&change(draft));
    peer.ring(1);
    Ok(())
}

/// Another stream if there is a choice.
fn next(peer: &HostilePeer, stream: StreamId) -> StreamId {
    match peer.side() {
        Side::Client => StreamId {
            index: stream.index + 1,
            ..stream
        },
        Side::Server => stream,
    }
}

fn root<'a>(metadata: &'a [u8], root: &'a [u8]) -> Outgoing<'a> {
    Outgoing {
        head: Some(metadata),
        data: Some(root),
        ..Outgoing::default()
    }
}

/// An honest root ahead of its message, which may be changed.
fn ahead(
    peer: &mut HostilePeer,
    stream: StreamId,
    parts: &Outgoing<'_>,
    flags: u8,
) -> Result<(), Failure> {
    let stream = next(peer, stream);
    peer.send(stream, parts)?;
    let (kind, mut message) = message(peer.side(), "turn", stream);
    message.flags = flags;
    peer.send_message(kind, &message)
}

/// A lie about what the client gave.
const fn lent(
    name: &'static str,
    noticed_as: &'static str,
    tell: fn(&mut HostilePeer, StreamId) -> Result<(), Failure>,
) -> NativeLie {
    NativeLie {
        in_place: false,
        name,
        told_by: SERVER,
        noticed_as,
        during: "keep, draw",
        tell,
    }
}

/// Where a client that [does](super::call_on) `keep, draw` has its second scope.
const NEVER_GIVEN: u32 = 17;

/// What a client has given to be kept, and what it calls next.
struct Given {
    base: u64,
    page: u32,
    bytes: u32,
    /// Where the thing lies in the client.
    root: u64,
    draw: StreamId,
}

impl Given {
    /// An address in the client's heap.
    fn at(&self, page: u32, bytes: u32) -> u64 {
        self.base + u64::from(page) * PAGE_BYTES as u64 + u64::from(bytes)
    }
}

/// Answers what a client asks first, and keeps what it gives then.
fn be_given(peer: &mut HostilePeer, first: StreamId) -> Result<Given, Failure> {
    let (kind, measured) = message(Side::Server, "", first);
    peer.send_message(kind, &measured)?;
    let call = take_call(peer)?;
    let (kind, mut kept) = message(Side::Server, "", call.stream);
    kept.flags = Message::KEPT;
    peer.send_message(kind, &kept)?;
    Ok(Given {
        base: peer.heaps().peer.base(),
        page: call.page,
        bytes: call.bytes,
        root: call.inline[0],
        draw: take_call(peer)?.stream,
    })
}

fn lending(draw: StreamId, page: u32, address: u64) -> (MessageKind, Message) {
    let (kind, mut reply) = message(Side::Server, "", draw);
    reply.flags = Message::LENT;
    reply.page = page;
    reply.inline[0] = address;
    (kind, reply)
}

/// Lends a thing that is said to lie at an address in the client.
fn lend(peer: &mut HostilePeer, draw: StreamId, page: u32, address: u64) -> Result<(), Failure> {
    let (kind, reply) = lending(draw, page, address);
    peer.send_message(kind, &reply)
}

fn release(peer: &mut HostilePeer, page: u32) -> Result<(), Failure> {
    let mut pages = Pages::new();
    pages.push(page);
    peer.send_control(Control::Release(pages))
}

/// Sends so many items of the stream.
fn items(peer: &mut HostilePeer, stream: StreamId, count: u32) -> Result<(), Failure> {
    let (kind, mut item) = message(peer.side(), "hold", stream);
    item.flags = Message::ITEM;
    for _ in 0..count {
        peer.send_message(kind, &item)?;
    }
    Ok(())
}

fn other(peer: &HostilePeer) -> MessageKind {
    match peer.side() {
        Side::Client => MessageKind::Reply,
        Side::Server => MessageKind::Call,
    }
}

pub(crate) const LIES: &[NativeLie] = &[
    in_data("a_null_pointer", "is null", |peer, stream| {
        worse(peer, stream, |thing| thing.word(at::TEXT, 0))
    }),
    in_data(
        "a_pointer_behind_the_scope",
        "leads out of the scope",
        |peer, stream| {
            worse(peer, stream, |thing| {
                thing.point(at::NEXT, at::END.next_multiple_of(4096))
            })
        },
    ),
    in_data(
        "a_thing_whose_end_is_behind_the_scope",
        "leads out of the scope",
        |peer, stream| worse(peer, stream, |thing| thing.point(at::NEXT, at::OTHER + 8)),
    ),
    in_data(
        "a_pointer_before_the_scope",
        "leads out of the scope",
        |peer, stream| {
            worse(peer, stream, |thing| {
                thing.word(at::NEXT, thing.base - PAGE_BYTES as u64);
            })
        },
    ),
    in_data(
        "a_pointer_at_the_end_of_all_addresses",
        "leads out of the scope",
        |peer, stream| worse(peer, stream, |thing| thing.word(at::NEXT, u64::MAX - 7)),
    ),
    in_data(
        "a_pointer_that_dangles",
        "leads out of the scope",
        |peer, stream| worse(peer, stream, |thing| thing.word(at::NEXT, 0xdead_beef_0000)),
    ),
    in_data(
        "a_pointer_into_another_scope",
        "leads out of the scope",
        |peer, stream| {
            let elsewhere = forge(peer, |_| {})?.root[0];
            worse(peer, stream, |thing| thing.word(at::NEXT, elsewhere))
        },
    ),
    in_data(
        "a_pointer_into_the_receivers_heap",
        "leads out of the scope",
        |peer, stream| {
            let base = peer.heaps().peer.base();
            worse(peer, stream, |thing| thing.word(at::NEXT, base + 16))
        },
    ),
    in_data(
        "a_pointer_to_where_stacks_are",
        "leads out of the scope",
        |peer, stream| worse(peer, stream, |thing| thing.word(at::NEXT, 0x7fff_ffff_e000)),
    ),
    in_data("an_unaligned_pointer", "is not aligned", |peer, stream| {
        worse(peer, stream, |thing| {
            thing.point(at::NUMBERS, at::DIGITS + 1)
        })
    }),
    in_data(
        "an_unaligned_pointer_to_nothing",
        "is not aligned",
        |peer, stream| worse(peer, stream, |thing| thing.word(at::CHILDREN, 3)),
    ),
    in_data(
        "two_pointers_to_one_thing",
        "is pointed to already",
        |peer, stream| {
            worse(peer, stream, |thing| {
                thing.point(at::CHILDREN, at::OTHER);
                thing.word(at::CHILDREN + at::LENGTH, 1);
            })
        },
    ),
    in_data("a_cycle", "is pointed to already", |peer, stream| {
        worse(peer, stream, |thing| {
            thing.point(at::OTHER + at::NEXT, at::OTHER)
        })
    }),
    in_data("a_cycle_of_two", "is pointed to already", |peer, stream| {
        worse(peer, stream, |thing| thing.point(at::OTHER + at::NEXT, 0))
    }),
    in_data(
        "overlapping_values",
        "is pointed to already",
        |peer, stream| {
            worse(peer, stream, |thing| {
                thing.point(at::TEXT, at::DIGITS + 16);
            })
        },
    ),
    in_data(
        "a_thing_that_lies_in_its_own_numbers",
        "is pointed to already",
        |peer, stream| {
            worse(peer, stream, |thing| {
                thing.point(at::NUMBERS, 0);
                thing.word(at::NUMBERS + at::LENGTH, 4);
            })
        },
    ),
    in_data("a_length_too_long", "do not fit into", |peer, stream| {
        worse(peer, stream, |thing| {
            thing.word(at::NUMBERS + at::LENGTH, 1000)
        })
    }),
    in_data(
        "a_length_that_overflows",
        "do not fit into",
        |peer, stream| {
            worse(peer, stream, |thing| {
                thing.word(at::NUMBERS + at::LENGTH, (1 << 61) + 3);
            })
        },
    ),
    in_data("a_length_of_all_ones", "do not fit into", |peer, stream| {
        worse(peer, stream, |thing| {
            thing.word(at::TEXT + at::LENGTH, u64::MAX)
        })
    }),
    in_data(
        "a_length_that_leaves_the_scope",
        "leads out of the scope",
        |peer, stream| {
            worse(peer, stream, |thing| {
                thing.word(at::NUMBERS + at::LENGTH, (at::END / 8) as u64);
            })
        },
    ),
    in_data("text_that_is_not_utf8", "is not UTF-8", |peer, stream| {
        worse(peer, stream, |thing| thing.put(at::LETTERS + 3, &[0xff]))
    }),
    in_data(
        "text_that_ends_in_a_letter",
        "is not UTF-8",
        |peer, stream| worse(peer, stream, |thing| thing.put(at::LETTERS + 4, &[0xc3])),
    ),
    in_data("a_key_that_is_not_utf8", "is not UTF-8", |peer, stream| {
        worse(peer, stream, |thing| thing.put(at::NAME, &[0x80]))
    }),
    in_data("a_bool_of_2", "2 is no bool", |peer, stream| {
        worse(peer, stream, |thing| thing.put(at::FLAG, &[2]))
    }),
    in_data(
        "a_char_that_is_none",
        "0xd800 is no char",
        |peer, stream| {
            worse(peer, stream, |thing| {
                thing.put(at::OTHER + at::LETTER, &0xd800_u32.to_le_bytes());
            })
        },
    ),
    in_data(
        "a_variant_that_is_none",
        "has no variant 3",
        |peer, stream| worse(peer, stream, |thing| thing.put(at::SHAPE, &[3])),
    ),
    in_data(
        "an_option_of_neither_kind",
        "says neither None nor Some",
        |peer, stream| worse(peer, stream, |thing| thing.put(at::MAYBE, &[2])),
    ),
    in_data("a_zero_that_must_not_be", "is zero", |peer, stream| {
        worse(peer, stream, |thing| thing.put(at::COUNT, &[0; 4]))
    }),
    in_data(
        "a_root_of_garbage",
        "leads out of the scope",
        |peer, stream| {
            worse(peer, stream, |thing| {
                thing.root = [0x5a5a_5a5a_5a5a_5a58; 4]
            })
        },
    ),
    in_data("a_root_of_nothing", "is null", |peer, stream| {
        worse(peer, stream, |thing| thing.root = [0; 4])
    }),
    in_data(
        "a_pointer_without_a_scope",
        "leads out of the scope",
        |peer, stream| misplaced(peer, stream, |laid| laid.bytes = 0),
    ),
    in_data(
        "a_scope_too_short_for_its_root",
        "leads out of the scope",
        |peer, stream| misplaced(peer, stream, |laid| laid.bytes = 24),
    ),
    in_data(
        "a_scope_in_no_segment",
        "are not in one segment",
        |peer, stream| misplaced(peer, stream, |laid| laid.page = PAGE),
    ),
    in_data(
        "a_scope_at_the_last_page_there_is",
        "are not in one segment",
        |peer, stream| misplaced(peer, stream, |laid| laid.page = u32::MAX),
    ),
    in_data(
        "a_scope_that_leaves_its_segment",
        "are not in one segment",
        |peer, stream| misplaced(peer, stream, |laid| laid.bytes = 1 << 20),
    ),
    in_data(
        "a_scope_of_4_gib",
        "are not in one segment",
        |peer, stream| misplaced(peer, stream, |laid| laid.bytes = u32::MAX),
    ),
    in_data(
        "a_scope_across_two_segments",
        "are not in one segment",
        |peer, stream| {
            for page in [PAGE, PAGE + 1] {
                announce(peer, page, 1, page_file(1, SEALS))?;
            }
            misplaced(peer, stream, |laid| {
                laid.page = PAGE;
                laid.bytes = 2 * PAGE_BYTES as u32;
            })
        },
    ),
    in_data(
        "a_scope_in_a_segment_given_back",
        "are not in one segment",
        |peer, stream| {
            announce(peer, PAGE, 1, page_file(1, SEALS))?;
            peer.send_control(Control::Retire { page: PAGE })?;
            misplaced(peer, stream, |laid| laid.page = PAGE)
        },
    ),
    NativeLie {
        in_place: false,
        name: "a_root_that_is_too_short",
        told_by: BOTH,
        noticed_as: "bytes came where a value has 64",
        during: "turn",
        tell: |peer, stream| ahead(peer, stream, &root(&[], &[1; 56]), Message::AHEAD),
    },
    NativeLie {
        in_place: false,
        name: "a_root_of_no_bytes",
        told_by: BOTH,
        noticed_as: "0 bytes came where a value has 64",
        during: "turn",
        tell: |peer, stream| ahead(peer, stream, &root(&[], &[]), Message::AHEAD),
    },
    NativeLie {
        in_place: false,
        name: "a_root_in_a_message_too_small_for_it",
        told_by: BOTH,
        noticed_as: "32 bytes came where a value has 64",
        during: "turn",
        tell: |peer, stream| worse_message(peer, stream, |draft| draft),
    },
    in_frames(
        "a_segment_without_a_descriptor",
        BOTH,
        "came without a descriptor",
        |peer, _| {
            peer.send_control(Control::Segment {
                page: PAGE,
                pages: 1,
            })
        },
    ),
    in_frames(
        "a_segment_of_another_size",
        BOTH,
        "were announced",
        |peer, _| announce(peer, PAGE, 2, page_file(1, SEALS)),
    ),
    in_frames("a_segment_without_seals", BOTH, "has seals", |peer, _| {
        announce(peer, PAGE, 1, page_file(1, SealFlags::empty()))
    }),
    in_frames(
        "a_segment_that_can_be_cut_short",
        BOTH,
        "has seals",
        |peer, _| {
            let seals = SEALS.difference(SealFlags::SHRINK);
            announce(peer, PAGE, 1, page_file(1, seals))
        },
    ),
    in_frames(
        "a_segment_that_others_can_write",
        BOTH,
        "has seals",
        |peer, _| {
            let seals = SEALS.difference(SealFlags::FUTURE_WRITE);
            announce(peer, PAGE, 1, page_file(1, seals))
        },
    ),
    in_frames("a_segment_with_a_hole", BOTH, "has a hole", |peer, _| {
        announce(peer, PAGE, 4, file(4 * PAGE_BYTES, SEALS, true))
    }),
    in_frames(
        "a_segment_that_is_no_memory",
        BOTH,
        "not a memory file",
        |peer, _| {
            let file = std::fs::File::open("/dev/zero").expect("a device");
            announce(peer, PAGE, 1, file)
        },
    ),
    in_frames(
        "a_segment_behind_the_window",
        BOTH,
        "in a window of",
        |peer, _| {
            let pages = peer.heaps().own.window_bytes() / PAGE_BYTES as u64;
            announce(peer, pages as u32, 1, page_file(1, SEALS))
        },
    ),
    in_frames(
        "a_segment_that_leaves_the_window",
        BOTH,
        "in a window of",
        |peer, _| {
            let pages = peer.heaps().own.window_bytes() / PAGE_BYTES as u64;
            announce(peer, pages as u32 - 1, 2, page_file(2, SEALS))
        },
    ),
    in_frames(
        "a_segment_over_another",
        BOTH,
        "overlaps the one at page",
        |peer, _| {
            announce(peer, PAGE, 4, page_file(4, SEALS))?;
            announce(peer, PAGE + 3, 2, page_file(2, SEALS))
        },
    ),
    in_frames(
        "a_segment_around_another",
        BOTH,
        "overlaps the one at page",
        |peer, _| {
            announce(peer, PAGE + 1, 1, page_file(1, SEALS))?;
            announce(peer, PAGE, 4, page_file(4, SEALS))
        },
    ),
    in_frames(
        "a_segment_of_no_pages",
        BOTH,
        "segment of 0 pages",
        |peer, _| {
            let (page, pages) = (PAGE, 1);
            worse_control(peer, Control::Segment { page, pages }, |draft| {
                draft.with_word(2, |_| u64::from(PAGE))
            })
        },
    ),
    in_frames(
        "a_segment_of_all_pages",
        BOTH,
        "segment of 4294967295 pages",
        |peer, _| {
            let (page, pages) = (PAGE, 1);
            worse_control(peer, Control::Segment { page, pages }, |draft| {
                draft.with_word(2, |_| u64::from(PAGE) | 0xffff_ffff << 32)
            })
        },
    ),
    in_frames(
        "a_segment_too_many",
        BOTH,
        "more than 4096 segments",
        |peer, _| {
            for number in 0..=MAX_SEGMENTS as u32 {
                match announce(peer, PAGE + number, 1, page_file(1, SEALS)) {
                    Err(Failure::HungUp) if number > MAX_SEGMENTS as u32 - 32 => break,
                    announced => announced?,
                }
                if number % 16 == 0 {
                    peer.sync()?;
                }
            }
            Ok(())
        },
    ),
    in_frames(
        "a_segment_too_many_that_is_not_sealed",
        BOTH,
        "more than 64 segments",
        |peer, _| {
            for number in 0..=MAX_UNSEALED as u32 {
                announce(peer, PAGE + number, 1, page_file(1, SEALABLE))?;
                if number % 16 == 0 {
                    peer.sync()?;
                }
            }
            Ok(())
        },
    ),
    in_frames(
        "descriptors_without_segments",
        BOTH,
        "more descriptors came than segments",
        |peer, _| {
            let file = page_file(1, SEALS);
            for _ in 0..10_000 {
                if !peer.say(&[1], &[file.as_fd(); 4]) && peer.is_cut_off() {
                    break;
                }
            }
            Ok(())
        },
    ),
    in_frames(
        "a_segment_with_something_in_a_place_of_nothing",
        BOTH,
        "with something where zeros are due",
        |peer, _| {
            let (page, pages) = (PAGE, 1);
            worse_control(peer, Control::Segment { page, pages }, |draft| {
                draft.with_word(3, |_| 1)
            })
        },
    ),
    in_frames(
        "a_segment_given_back_that_never_was",
        BOTH,
        "there is no segment at page",
        |peer, _| peer.send_control(Control::Retire { page: PAGE }),
    ),
    in_frames(
        "a_segment_given_back_by_another_page_of_it",
        BOTH,
        "there is no segment at page",
        |peer, _| {
            announce(peer, PAGE, 4, page_file(4, SEALS))?;
            peer.send_control(Control::Retire { page: PAGE + 1 })
        },
    ),
    in_frames(
        "a_segment_given_back_twice",
        BOTH,
        "there is no segment at page",
        |peer, _| {
            announce(peer, PAGE, 1, page_file(1, SEALS))?;
            peer.send_control(Control::Retire { page: PAGE })?;
            peer.send_control(Control::Retire { page: PAGE })
        },
    ),
    NativeLie {
        in_place: true,
        name: "a_segment_given_back_that_is_read",
        told_by: BOTH,
        noticed_as: "was given back while it is in use here",
        during: "draw, held",
        tell: |peer, stream| {
            let laid = forge(peer, |_| {})?;
            match peer.side() {
                Side::Server => {
                    pass(peer, stream, laid)?;
                    // It has read the reply by the time it makes the next call.
                    take_call(peer)?;
                }
                Side::Client => {
                    let stream = StreamId { index: 1, call: 1 };
                    let (kind, mut call) = message(Side::Client, "keep", stream);
                    call.inline = laid.root;
                    call.page = laid.page;
                    call.bytes = laid.bytes;
                    peer.send_message(kind, &call)?;
                    peer.take_until(
                        |frame| matches!(frame, Frame::Reply(reply) if reply.has(Message::KEPT)),
                    )?;
                }
            }
            peer.send_control(Control::Retire { page: 0 })
        },
    },
    lent(
        "something_lent_that_was_never_given",
        "which it does not hold",
        |peer, stream| {
            let given = be_given(peer, stream)?;
            lend(peer, given.draw, NEVER_GIVEN, given.at(NEVER_GIVEN, 16))
        },
    ),
    lent(
        "something_lent_at_the_last_page_there_is",
        "which it does not hold",
        |peer, stream| {
            let given = be_given(peer, stream)?;
            lend(peer, given.draw, u32::MAX, given.root)
        },
    ),
    lent(
        "something_lent_by_another_page_of_it",
        "which it does not hold",
        |peer, stream| {
            let given = be_given(peer, stream)?;
            lend(peer, given.draw, given.page + 1, given.root)
        },
    ),
    lent(
        "something_lent_that_was_given_back",
        "which it does not hold",
        |peer, stream| {
            let given = be_given(peer, stream)?;
            release(peer, given.page)?;
            lend(peer, given.draw, given.page, given.root)
        },
    ),
    lent(
        "something_lent_in_another_scope",
        "leads out of the scope",
        |peer, stream| {
            let given = be_given(peer, stream)?;
            lend(peer, given.draw, given.page, given.at(NEVER_GIVEN, 16))
        },
    ),
    lent(
        "something_lent_behind_what_was_given",
        "leads out of the scope",
        |peer, stream| {
            let given = be_given(peer, stream)?;
            lend(
                peer,
                given.draw,
                given.page,
                given.at(given.page, given.bytes),
            )
        },
    ),
    lent(
        "something_lent_whose_end_is_behind_what_was_given",
        "leads out of the scope",
        |peer, stream| {
            let given = be_given(peer, stream)?;
            let last = given.at(given.page, given.bytes - 8);
            lend(peer, given.draw, given.page, last)
        },
    ),
    lent(
        "something_lent_in_the_header_of_its_scope",
        "is pointed to already",
        |peer, stream| {
            let given = be_given(peer, stream)?;
            lend(peer, given.draw, given.page, given.at(given.page, 8))
        },
    ),
    lent(
        "something_lent_before_its_scope",
        "leads out of the scope",
        |peer, stream| {
            let given = be_given(peer, stream)?;
            let before = given.at(given.page, 0) - 8;
            lend(peer, given.draw, given.page, before)
        },
    ),
    lent(
        "something_lent_that_is_not_aligned",
        "is not aligned",
        |peer, stream| {
            let given = be_given(peer, stream)?;
            let crooked = given.at(given.page, RUN_HEADER_BYTES as u32 + 4);
            lend(peer, given.draw, given.page, crooked)
        },
    ),
    lent("something_lent_nowhere", "is null", |peer, stream| {
        let given = be_given(peer, stream)?;
        lend(peer, given.draw, given.page, 0)
    }),
    lent(
        "something_lent_of_another_type",
        "leads out of the scope",
        |peer, stream| {
            let given = be_given(peer, stream)?;
            // Text, to begin with.
            let first = given.at(given.page, RUN_HEADER_BYTES as u32);
            lend(peer, given.draw, given.page, first)
        },
    ),
    lent(
        "something_lent_in_the_heap_of_the_lender",
        "leads out of the scope",
        |peer, stream| {
            let given = be_given(peer, stream)?;
            let root = forge(peer, |_| {})?.root[0];
            lend(peer, given.draw, given.page, root)
        },
    ),
    lent(
        "something_lent_with_bytes",
        "kind 7 with something where zeros are due",
        |peer, stream| {
            let given = be_given(peer, stream)?;
            let (kind, mut reply) = lending(given.draw, given.page, given.root);
            reply.bytes = given.bytes;
            peer.send_message(kind, &reply)
        },
    ),
    lent(
        "something_lent_by_a_reply_that_failed",
        "kind 7 with flags 0x12",
        |peer, stream| {
            let given = be_given(peer, stream)?;
            let (kind, mut reply) = lending(given.draw, given.page, given.root);
            reply.flags |= Message::FAILED;
            peer.send_message(kind, &reply)
        },
    ),
    in_frames(
        "a_call_that_lends",
        CLIENT,
        "kind 6 with flags 0x02",
        |peer, stream| worse_message(peer, stream, |draft| draft.with_flags(|_| Message::LENT)),
    ),
    in_frames(
        "a_release_of_what_is_not_held",
        BOTH,
        "which it does not hold",
        |peer, _| release(peer, 7),
    ),
    in_frames(
        "a_release_of_the_last_page_there_is",
        BOTH,
        "which it does not hold",
        |peer, _| release(peer, u32::MAX),
    ),
    NativeLie {
        in_place: false,
        name: "a_release_of_the_scope_of_a_call_not_yet_answered",
        told_by: SERVER,
        noticed_as: "which it does not hold",
        during: "measure",
        // It is the first that there is in the client's heap.
        tell: |peer, _| release(peer, 0),
    },
    in_frames(
        "a_reply_released_twice",
        CLIENT,
        "which it does not hold",
        |peer, _| {
            let stream = StreamId { index: 1, call: 1 };
            let (kind, call) = message(Side::Client, "draw", stream);
            peer.send_message(kind, &call)?;
            let taken = peer.take_until(|frame| matches!(frame, Frame::Reply(_)))?;
            if let Frame::Reply(reply) = taken.frame {
                release(peer, reply.page)?;
                release(peer, reply.page)?;
            }
            Ok(())
        },
    ),
    in_frames(
        "a_release_of_no_pages",
        BOTH,
        "kind 10 with flags 0x00",
        |peer, _| {
            let mut pages = Pages::new();
            pages.push(1);
            worse_control(peer, Control::Release(pages), |draft| {
                draft.with_flags(|_| 0)
            })
        },
    ),
    in_frames(
        "a_release_of_13_pages",
        BOTH,
        "kind 10 with flags 0x0d",
        |peer, _| {
            let mut pages = Pages::new();
            pages.push(1);
            worse_control(peer, Control::Release(pages), |draft| {
                draft.with_flags(|_| 13)
            })
        },
    ),
    in_frames(
        "a_reply_to_a_call_never_made",
        SERVER,
        "never opened",
        |peer, _| {
            let (kind, reply) = message(Side::Server, "", StreamId { index: 5, call: 1 });
            peer.send_message(kind, &reply)
        },
    ),
    in_frames(
        "a_reply_to_the_call_after_this_one",
        SERVER,
        "never opened",
        |peer, stream| {
            let call = stream.call + 1;
            let (kind, reply) = message(Side::Server, "", StreamId { call, ..stream });
            peer.send_message(kind, &reply)
        },
    ),
    in_frames(
        "a_reply_to_a_call_over_the_limit",
        SERVER,
        "never opened",
        |peer, stream| {
            let index = u32::MAX;
            let (kind, reply) = message(Side::Server, "", StreamId { index, ..stream });
            peer.send_message(kind, &reply)
        },
    ),
    in_frames("a_reply_twice", SERVER, "never opened", |peer, stream| {
        let laid = forge(peer, |_| {})?;
        pass(peer, stream, laid)?;
        pass(peer, stream, laid)
    }),
    in_frames(
        "an_item_after_the_reply",
        SERVER,
        "never opened",
        |peer, stream| {
            let laid = forge(peer, |_| {})?;
            pass(peer, stream, laid)?;
            items(peer, stream, 1)
        },
    ),
    in_frames(
        "an_item_where_a_single_reply_is_due",
        SERVER,
        "items of a call without a stream",
        |peer, stream| {
            items(peer, stream, 1)?;
            let laid = forge(peer, |_| {})?;
            pass(peer, stream, laid)
        },
    ),
    in_frames(
        "a_reply_from_a_client",
        CLIENT,
        "a reply from a client",
        |peer, stream| {
            let (_, reply) = message(Side::Server, "", stream);
            let kind = other(peer);
            peer.send_message(kind, &reply)
        },
    ),
    in_frames(
        "a_call_from_a_server",
        SERVER,
        "a call from a server",
        |peer, stream| {
            let (_, call) = message(Side::Server, "", stream);
            let kind = other(peer);
            peer.send_message(kind, &call)
        },
    ),
    in_frames(
        "a_reset_from_a_server",
        SERVER,
        "a reset where a reply was due",
        |peer, stream| {
            let code = ResetCode::Cancelled;
            peer.send_control(Control::Reset { stream, code })
        },
    ),
    NativeLie {
        in_place: false,
        name: "items_beyond_the_window",
        told_by: BOTH,
        noticed_as: "more items than were asked for",
        during: "scatter, unread",
        tell: |peer, stream| items(peer, stream, WINDOW_ITEMS + 1),
    },
    in_frames(
        "an_item_longer_than_its_type",
        CLIENT,
        "64 bytes came where an item has 8",
        |peer, stream| {
            peer.send(stream, &root(&[], &[1; 64]))?;
            let (kind, mut item) = message(Side::Client, "hold", stream);
            item.flags = Message::ITEM | Message::AHEAD;
            peer.send_message(kind, &item)
        },
    ),
    in_frames(
        "an_item_of_a_call_that_has_none",
        CLIENT,
        "items of a call without a stream",
        |peer, _| {
            let stream = StreamId { index: 1, call: 1 };
            let (kind, call) = message(Side::Client, "idle", stream);
            peer.send_message(kind, &call)?;
            items(peer, stream, 1)
        },
    ),
    in_frames(
        "an_item_after_the_last",
        CLIENT,
        "more items than were asked for",
        |peer, stream| {
            let (kind, mut end) = message(Side::Client, "hold", stream);
            end.flags = Message::END;
            peer.send_message(kind, &end)?;
            items(peer, stream, 1)
        },
    ),
    in_frames(
        "credit_that_is_not_due",
        BOTH,
        "credit beyond the window",
        |peer, stream| peer.send_control(Control::Credit { stream, bytes: 1 }),
    ),
    in_frames(
        "credit_that_overflows",
        BOTH,
        "credit beyond the window",
        |peer, stream| {
            let bytes = u32::MAX;
            peer.send_control(Control::Credit { stream, bytes })
        },
    ),
    in_frames(
        "credit_for_a_call_never_made",
        SERVER,
        "never opened",
        |peer, _| {
            let stream = StreamId { index: 5, call: 1 };
            peer.send_control(Control::Credit { stream, bytes: 1 })
        },
    ),
    in_frames(
        "a_call_where_one_is_open",
        CLIENT,
        "index is in use",
        |peer, stream| {
            let call = stream.call + 1;
            let (kind, call) = message(Side::Client, "hold", StreamId { call, ..stream });
            peer.send_message(kind, &call)
        },
    ),
    in_frames(
        "a_call_over_the_limit",
        CLIENT,
        "streams are allowed",
        |peer, stream| {
            let index = peer.streams();
            let (kind, call) = message(Side::Client, "hold", StreamId { index, ..stream });
            peer.send_message(kind, &call)
        },
    ),
    NativeLie {
        in_place: false,
        name: "a_message_without_the_root_ahead_of_it",
        told_by: BOTH,
        noticed_as: "do not follow each other",
        during: "turn",
        tell: |peer, stream| {
            worse_message(peer, stream, |draft| draft.with_flags(|_| Message::AHEAD))
        },
    },
    NativeLie {
        in_place: false,
        name: "a_root_ahead_of_a_message_that_has_one",
        told_by: BOTH,
        noticed_as: "do not follow each other",
        during: "turn",
        tell: |peer, stream| ahead(peer, stream, &root(&[], &[1; 64]), 0),
    },
    NativeLie {
        in_place: false,
        name: "two_roots_ahead_of_a_message",
        told_by: BOTH,
        noticed_as: "do not follow each other",
        during: "turn",
        tell: |peer, stream| {
            let first = next(peer, stream);
            peer.send(first, &root(&[], &[1; 64]))?;
            ahead(peer, stream, &root(&[], &[1; 64]), Message::AHEAD)
        },
    },
    NativeLie {
        in_place: false,
        name: "a_root_ahead_of_another_message",
        told_by: BOTH,
        noticed_as: "do not follow each other",
        during: "turn",
        tell: |peer, stream| {
            let elsewhere = StreamId { index: 9, call: 1 };
            peer.send(elsewhere, &root(&[], &[1; 64]))?;
            worse_message(peer, stream, |draft| draft.with_flags(|_| Message::AHEAD))
        },
    },
    NativeLie {
        in_place: false,
        name: "a_reference_ahead_of_another_message",
        told_by: BOTH,
        noticed_as: "not ahead of their message",
        during: "found",
        tell: references::ahead_of_another,
    },
    NativeLie {
        in_place: false,
        name: "references_that_count_from_1",
        told_by: BOTH,
        noticed_as: "not ahead of their message",
        during: "found",
        tell: references::counted_from_1,
    },
    NativeLie {
        in_place: false,
        name: "a_message_amid_a_reference",
        told_by: BOTH,
        noticed_as: "not ahead of their message",
        during: "found",
        tell: references::cut_short,
    },
    NativeLie {
        in_place: false,
        name: "nine_references_ahead_of_a_message",
        told_by: BOTH,
        noticed_as: "too many for a message",
        during: "found",
        tell: references::nine,
    },
    NativeLie {
        in_place: false,
        name: "a_reference_without_a_descriptor",
        told_by: BOTH,
        noticed_as: "one without a descriptor",
        during: "found",
        tell: references::without_descriptor,
    },
    NativeLie {
        in_place: false,
        name: "a_root_that_names_a_reference_that_is_not_there",
        told_by: BOTH,
        noticed_as: "no reference came as number 5",
        during: "found",
        tell: references::named_and_not_there,
    },
    NativeLie {
        in_place: false,
        name: "a_root_that_names_a_reference_twice",
        told_by: CLIENT,
        noticed_as: "no reference came as number 0",
        during: "found",
        tell: references::named_twice,
    },
    NativeLie {
        in_place: false,
        name: "a_blob_longer_than_what_came",
        told_by: CLIENT,
        noticed_as: "a blob of 9 bytes",
        during: "found",
        tell: references::blob_too_long,
    },
    NativeLie {
        in_place: false,
        name: "parts_without_metadata",
        told_by: BOTH,
        noticed_as: "parts of another kind",
        during: "turn",
        tell: |peer, stream| {
            let parts = Outgoing {
                head: None,
                ..root(&[], &[1; 64])
            };
            ahead(peer, stream, &parts, Message::AHEAD)
        },
    },
    NativeLie {
        in_place: false,
        name: "a_root_behind_the_data_area",
        told_by: BOTH,
        noticed_as: "payload of 128 bytes",
        during: "turn",
        tell: |peer, stream| {
            let stream = next(peer, stream);
            let area = peer.geometry().data_bytes();
            let draft = peer.draft(stream, &root(&[], &[1; 128]))?;
            peer.post(&draft.with_offset(area - 64));
            peer.ring(1);
            Ok(())
        },
    },
    NativeLie {
        in_place: false,
        name: "a_root_longer_than_a_piece",
        told_by: BOTH,
        noticed_as: "payload of ",
        during: "turn",
        tell: |peer, stream| {
            let stream = next(peer, stream);
            let piece = peer.geometry().piece_bytes() as u32;
            let draft = peer.draft(stream, &root(&[], &[1; 128]))?;
            let draft = draft.with_flags(|_| FLAG_HEAD | FLAG_DATA);
            peer.post(&draft.with_offset(0).with_lengths(1, piece, 0));
            peer.ring(1);
            Ok(())
        },
    },
    NativeLie {
        in_place: false,
        name: "metadata_that_cannot_be_read",
        told_by: BOTH,
        noticed_as: "unknown tag 120",
        during: "turn",
        tell: |peer, stream| ahead(peer, stream, &root(&[120], &[1; 64]), Message::AHEAD),
    },
    NativeLie {
        in_place: false,
        name: "metadata_that_ends_inside_a_field",
        told_by: BOTH,
        noticed_as: "ends inside a field",
        during: "turn",
        tell: |peer, stream| {
            let block = [7, 200, 0, b'x'];
            ahead(peer, stream, &root(&block, &[1; 64]), Message::AHEAD)
        },
    },
    in_frames(
        "a_call_that_is_kept",
        CLIENT,
        "kind 6 with flags 0x08",
        |peer, stream| worse_message(peer, stream, |draft| draft.with_flags(|_| Message::KEPT)),
    ),
    in_frames(
        "a_call_with_an_unknown_flag",
        CLIENT,
        "kind 6 with flags 0x40",
        |peer, stream| worse_message(peer, stream, |draft| draft.with_flags(|_| 0x40)),
    ),
    in_frames(
        "a_reply_that_ends_the_items",
        SERVER,
        "kind 7 with flags 0x20",
        |peer, stream| worse_message(peer, stream, |draft| draft.with_flags(|_| Message::END)),
    ),
    in_frames(
        "a_reply_with_a_timeout",
        SERVER,
        "kind 7 with something where zeros are due",
        |peer, stream| worse_message(peer, stream, |draft| draft.with_word(2, |_| 1)),
    ),
    in_frames(
        "a_call_with_something_in_a_place_of_nothing",
        CLIENT,
        "kind 6 with something where zeros are due",
        |peer, stream| worse_message(peer, stream, |draft| draft.with_word(2, |_| 1 << 32)),
    ),
    NativeLie {
        in_place: false,
        name: "an_error_that_is_too_short",
        told_by: SERVER,
        noticed_as: "32 bytes came where a value has 48",
        during: "fail",
        tell: |peer, stream| returned(peer, stream),
    },
    NativeLie {
        in_place: false,
        name: "an_error_of_a_method_that_returns_none",
        told_by: SERVER,
        noticed_as: "has no variant",
        during: "measure",
        tell: |peer, stream| returned(peer, stream),
    },
    NativeLie {
        in_place: false,
        name: "a_call_kept_that_had_no_scope",
        told_by: SERVER,
        noticed_as: "which it does not hold",
        during: "turn",
        tell: |peer, stream| {
            let parts = root(&[], &[1; 64]);
            ahead(peer, stream, &parts, Message::AHEAD | Message::KEPT)?;
            release(peer, 0)
        },
    },
    in_frames("a_frame_of_kind_0", BOTH, "unknown kind 0", |peer, _| {
        worse_control(peer, Control::GoAway, |draft| draft.with_kind(0))
    }),
    in_frames("a_frame_of_kind_12", BOTH, "unknown kind 12", |peer, _| {
        worse_control(peer, Control::GoAway, |draft| draft.with_kind(12))
    }),
    in_frames("a_stamp_out_of_nowhere", BOTH, "is stamped", |peer, _| {
        worse_control(peer, Control::GoAway, |draft| draft.with_stamp(0xdead_beef))
    }),
    in_frames(
        "an_answer_to_a_ping_never_sent",
        BOTH,
        "answer to ping 0x7",
        |peer, _| {
            peer.send_control(Control::Ping {
                token: 7,
                answer: true,
            })
        },
    ),
    in_frames(
        "a_cursor_ahead_of_what_was_sent",
        BOTH,
        "cursor 100000 outside",
        |peer, _| {
            peer.set_cursor(100_000);
            for _ in 0..2 * peer.inbox_geometry().ring_slots() {
                let ping = Control::Ping {
                    token: 1,
                    answer: false,
                };
                match peer.send_control(ping) {
                    // It has noticed.
                    Err(Failure::HungUp) => return Ok(()),
                    sent => sent?,
                }
            }
            Ok(())
        },
    ),
    in_frames("a_doorbell_storm", BOTH, "with nothing sent", |peer, _| {
        // More than one cut-off needs, and an end in any case.
        for _ in 0..1_000_000 {
            if !peer.ring(1) {
                break;
            }
        }
        Ok(())
    }),
];

/// The error that the method returns, in the message.
fn returned(peer: &mut HostilePeer, stream: StreamId) -> Result<(), Failure> {
    let (kind, mut reply) = message(Side::Server, "", stream);
    reply.flags = Message::FAILED;
    reply.code = u16::MAX;
    peer.send_message(kind, &reply)
}
