//! The lies about references, one by one.

use nowire_protocol::frame::{Extent, StreamId};
use nowire_protocol::ring::{Control, Outgoing};
use nowire_protocol::stream::Side;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, SealFlags};

use crate::blocks::{head_only, request_block};
use crate::hostile::{Failure, HostilePeer};
use crate::lie::Lie;

const CLIENT: &[Side] = &[Side::Client];
const BOTH: &[Side] = &[Side::Client, Side::Server];

/// Size of the segments that are passed.
pub(crate) const BYTES: u64 = 8192;

/// A segment as an honest peer would make it.
pub(crate) fn segment() -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create("hostile", flags).expect("a memory file");
    let bytes = vec![7; BYTES as usize];
    assert_eq!(rustix::io::pwrite(&file, &bytes, 0), Ok(bytes.len()));
    let seals = SealFlags::FUTURE_WRITE | SealFlags::SHRINK | SealFlags::GROW;
    rustix::fs::fcntl_add_seals(&file, seals).expect("it can be sealed");
    file
}

/// An honest extent, the only one of its reference.
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

fn ping() -> Control {
    Control::Ping {
        token: 1,
        answer: false,
    }
}

/// Passes an honest reference.
fn pass(peer: &mut HostilePeer, stream: StreamId, number: u64) -> Result<(), Failure> {
    hand_over(peer)?;
    peer.send_extent(extent(stream, number))
}

fn hand_over(peer: &HostilePeer) -> Result<(), Failure> {
    if peer.hand_over(segment().as_fd()) {
        Ok(())
    } else {
        Err(Failure::HungUp)
    }
}

/// Sends the words of an extent, changed.
fn worse(
    peer: &mut HostilePeer,
    stream: StreamId,
    word: usize,
    change: impl FnOnce(u64) -> u64,
) -> Result<(), Failure> {
    hand_over(peer)?;
    let draft = peer.draft_extent(extent(stream, 1))?;
    peer.post(&draft.with_word(word, change));
    peer.ring(1);
    Ok(())
}

fn fresh(index: u32) -> StreamId {
    StreamId { index, call: 1 }
}

/// Opens a call, behind references that come before it.
fn open(peer: &mut HostilePeer, stream: StreamId) -> Result<(), Failure> {
    peer.send(stream, &head_only(&request_block()))
}

pub(crate) const REFERENCE_LIES: &[Lie] = &[
    Lie {
        name: "a_reference_amid_another",
        told_by: BOTH,
        noticed_as: "its references: one begins amid another",
        tell: |peer, stream| {
            hand_over(peer)?;
            let more = true;
            peer.send_extent(Extent {
                more,
                ..extent(stream, 1)
            })?;
            pass(peer, stream, 2)
        },
    },
    Lie {
        name: "a_reference_that_goes_on_on_another_stream",
        told_by: BOTH,
        noticed_as: "its references: one begins amid another",
        tell: |peer, stream| {
            hand_over(peer)?;
            let more = true;
            peer.send_extent(Extent {
                more,
                ..extent(stream, 1)
            })?;
            peer.send_extent(extent(fresh(stream.index + 1), 1))
        },
    },
    Lie {
        name: "a_ping_amid_a_reference",
        told_by: BOTH,
        noticed_as: "its references: a frame amid one",
        tell: |peer, stream| {
            hand_over(peer)?;
            let more = true;
            peer.send_extent(Extent {
                more,
                ..extent(stream, 1)
            })?;
            peer.send_control(ping())
        },
    },
    Lie {
        name: "a_reference_of_257_extents",
        told_by: BOTH,
        noticed_as: "its references: one of too many extents",
        tell: |peer, stream| {
            hand_over(peer)?;
            for at in 0..300 {
                let sent = peer.send_extent(Extent {
                    more: true,
                    offset_bytes: at,
                    bytes: 1,
                    ..extent(stream, 1)
                });
                match sent {
                    Err(Failure::HungUp) => break,
                    sent => sent?,
                }
            }
            Ok(())
        },
    },
    Lie {
        name: "a_reference_of_33_descriptors",
        told_by: BOTH,
        noticed_as: "its references: extents that cannot be",
        tell: |peer, stream| {
            for descriptor in 0..33 {
                hand_over(peer)?;
                peer.send_extent(Extent {
                    more: descriptor < 32,
                    descriptor,
                    ..extent(stream, 1)
                })?;
            }
            Ok(())
        },
    },
    Lie {
        name: "a_second_descriptor_before_the_first",
        told_by: BOTH,
        noticed_as: "its references: descriptors out of order",
        tell: |peer, stream| {
            hand_over(peer)?;
            peer.send_extent(Extent {
                descriptor: 1,
                ..extent(stream, 1)
            })
        },
    },
    Lie {
        name: "a_descriptor_left_out",
        told_by: BOTH,
        noticed_as: "its references: descriptors out of order",
        tell: |peer, stream| {
            hand_over(peer)?;
            hand_over(peer)?;
            let more = true;
            peer.send_extent(Extent {
                more,
                ..extent(stream, 1)
            })?;
            peer.send_extent(Extent {
                descriptor: 65_535,
                ..extent(stream, 1)
            })
        },
    },
    Lie {
        name: "extents_that_disagree_about_their_segment",
        told_by: BOTH,
        noticed_as: "its references: extents that cannot be",
        tell: |peer, stream| {
            hand_over(peer)?;
            let more = true;
            peer.send_extent(Extent {
                more,
                ..extent(stream, 1)
            })?;
            peer.send_extent(Extent {
                segment_bytes: 2 * BYTES,
                ..extent(stream, 1)
            })
        },
    },
    Lie {
        name: "extents_of_more_bytes_than_there_are_addresses",
        told_by: BOTH,
        noticed_as: "its references: extents that cannot be",
        tell: |peer, stream| {
            hand_over(peer)?;
            let all = Extent {
                bytes: (1 << 63) - 1,
                segment_bytes: (1 << 63) - 1,
                ..extent(stream, 1)
            };
            peer.send_extent(Extent { more: true, ..all })?;
            peer.send_extent(all)
        },
    },
    Lie {
        name: "an_extent_of_no_bytes",
        told_by: BOTH,
        noticed_as: "extent of 0 bytes",
        tell: |peer, stream| worse(peer, stream, 4, |_| 0),
    },
    Lie {
        name: "an_extent_behind_its_segment",
        told_by: BOTH,
        noticed_as: "extent of 8192 bytes at 8192 in a segment of 8192",
        tell: |peer, stream| worse(peer, stream, 3, |_| BYTES),
    },
    Lie {
        name: "an_extent_that_overflows",
        told_by: BOTH,
        noticed_as: "extent of 8192 bytes at 18446744073709551615",
        tell: |peer, stream| worse(peer, stream, 3, |_| u64::MAX),
    },
    Lie {
        name: "a_segment_larger_than_can_be",
        told_by: BOTH,
        noticed_as: "in a segment of 9223372036854775808",
        tell: |peer, stream| worse(peer, stream, 5, |_| 1 << 63),
    },
    Lie {
        name: "an_extent_with_an_unknown_flag",
        told_by: BOTH,
        noticed_as: "flags",
        tell: |peer, stream| worse(peer, stream, 0, |word| word | 0x40 << 40),
    },
    Lie {
        name: "an_extent_with_something_in_a_place_of_nothing",
        told_by: BOTH,
        noticed_as: "kind 11",
        tell: |peer, stream| worse(peer, stream, 7, |_| 1),
    },
    Lie {
        name: "two_references_of_one_number",
        told_by: BOTH,
        noticed_as: "its references: two of one number",
        tell: |peer, stream| {
            pass(peer, stream, 5)?;
            pass(peer, stream, 5)
        },
    },
    Lie {
        name: "a_reference_for_a_stream_over_the_limit",
        told_by: BOTH,
        noticed_as: "1024 streams are allowed",
        tell: |peer, _| {
            let index = peer.streams();
            pass(peer, fresh(index), 1)
        },
    },
    Lie {
        name: "a_reference_for_a_stream_never_opened",
        told_by: &[Side::Server],
        noticed_as: "never opened",
        tell: |peer, stream| pass(peer, fresh(stream.index + 1), 1),
    },
    Lie {
        name: "a_reference_whose_stream_does_not_follow",
        told_by: CLIENT,
        noticed_as: "its references: without their stream",
        tell: |peer, stream| {
            pass(peer, fresh(stream.index + 1), 1)?;
            peer.send_control(ping())
        },
    },
    Lie {
        name: "a_reference_before_another_stream_than_its_own",
        told_by: CLIENT,
        noticed_as: "its references: without their stream",
        tell: |peer, stream| {
            pass(peer, fresh(stream.index + 1), 1)?;
            open(peer, fresh(stream.index + 2))
        },
    },
    Lie {
        name: "references_beyond_the_window",
        told_by: CLIENT,
        noticed_as: "were allowed",
        tell: |peer, stream| {
            let stream = fresh(stream.index + 1);
            for number in 0..=u64::from(peer.window_bytes() / 4096) {
                pass(peer, stream, number)?;
            }
            open(peer, stream)
        },
    },
    Lie {
        name: "references_before_their_stream_without_end",
        told_by: CLIENT,
        noticed_as: "its references: too many before their stream",
        tell: |peer, stream| {
            for number in 0..200 {
                match pass(peer, fresh(stream.index + 1), number) {
                    Err(Failure::HungUp) => break,
                    passed => passed?,
                }
            }
            Ok(())
        },
    },
    Lie {
        name: "a_reference_after_the_end",
        told_by: CLIENT,
        noticed_as: "reference after the end",
        tell: |peer, stream| {
            // Its answer takes a minute.
            let data = crate::blocks::late_answer();
            let parts = Outgoing {
                data: Some(&data),
                end: true,
                ..Outgoing::default()
            };
            peer.send(stream, &parts)?;
            pass(peer, stream, 1)
        },
    },
    Lie {
        name: "two_descriptors_where_one_may_be",
        told_by: BOTH,
        noticed_as: "more descriptors came than",
        tell: |peer, _| {
            let segment = segment();
            peer.say(&[2], &[segment.as_fd(), segment.as_fd()]);
            Ok(())
        },
    },
    Lie {
        name: "a_descriptor_at_a_doorbell",
        told_by: BOTH,
        noticed_as: "more descriptors came than",
        tell: |peer, _| {
            peer.say(&[1], &[segment().as_fd()]);
            Ok(())
        },
    },
];
