//! The lies, one by one.

use nowire_protocol::frame::{
    FLAG_DATA, FLAG_END, FLAG_HEAD, FLAG_INLINE, FLAG_TAIL, KIND_CALL, ResetCode, StreamId,
};
use nowire_protocol::head;
use nowire_protocol::ring::{Control, Outgoing};
use nowire_protocol::stream::Side;

use crate::blocks::{
    field, head_only, late_answer, literal, ok_trailers, own_block, request_block, request_to,
    response_block,
};
use crate::draft::Draft;
use crate::hostile::{Failure, HostilePeer};
use crate::lie::Lie;

/// A flag that no frame has.
const NO_FLAG: u8 = 0x40;

const CLIENT: &[Side] = &[Side::Client];
const SERVER: &[Side] = &[Side::Server];
const BOTH: &[Side] = &[Side::Client, Side::Server];

fn data_only(data: &[u8]) -> Outgoing<'_> {
    Outgoing {
        data: Some(data),
        ..Outgoing::default()
    }
}

fn post(peer: &mut HostilePeer, draft: Draft) -> Result<(), Failure> {
    peer.post(&draft);
    peer.ring(1);
    Ok(())
}

fn post_parts(
    peer: &mut HostilePeer,
    stream: StreamId,
    parts: &Outgoing<'_>,
) -> Result<(), Failure> {
    let draft = peer.draft(stream, parts)?;
    post(peer, draft)
}

fn post_control(peer: &mut HostilePeer, control: Control) -> Result<(), Failure> {
    let draft = peer.draft_control(control)?;
    post(peer, draft)
}

fn ping() -> Control {
    Control::Ping {
        token: 1,
        answer: false,
    }
}

/// Posts a ping with another stamp.
fn stamped(peer: &mut HostilePeer, stamp: impl FnOnce(u32) -> u32) -> Result<(), Failure> {
    let draft = peer.draft_control(ping())?;
    let stamp = stamp(draft.stamp());
    post(peer, draft.with_stamp(stamp))
}

fn of_kind(peer: &mut HostilePeer, kind: u8) -> Result<(), Failure> {
    let draft = peer.draft_control(ping())?;
    post(peer, draft.with_kind(kind))
}

/// Posts header block, data and, from a server, trailers with other flags.
fn flagged(
    peer: &mut HostilePeer,
    stream: StreamId,
    change: impl FnOnce(u8) -> u8,
) -> Result<(), Failure> {
    let head = own_block(peer.side());
    let parts = Outgoing {
        head: Some(&head),
        data: Some(b"data"),
        tail: Some(b"tail"),
        end: true,
    };
    let draft = peer.draft(stream, &parts)?;
    post(peer, draft.with_flags(change))
}

/// Posts data outside the slot with its place changed.
fn misplaced(
    peer: &mut HostilePeer,
    stream: StreamId,
    change: impl FnOnce(Draft, u32) -> Draft,
) -> Result<(), Failure> {
    let data_bytes = peer.geometry().data_bytes();
    let draft = peer.draft(stream, &data_only(&[7; 128]))?;
    post(peer, change(draft, data_bytes))
}

fn elsewhere(index: u32) -> StreamId {
    StreamId { index, call: 1 }
}

/// Sends a block in the place of an honest header block.
fn head_block(peer: &mut HostilePeer, stream: StreamId, block: &[u8]) -> Result<(), Failure> {
    let stream = match peer.side() {
        Side::Client => elsewhere(1),
        Side::Server => stream,
    };
    post_parts(peer, stream, &head_only(block))
}

/// An honest header block, made worse.
fn worse_block(peer: &HostilePeer, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut block = own_block(peer.side());
    change(&mut block);
    block
}

/// Answers a call honestly up to the trailers.
fn trailer_block(peer: &mut HostilePeer, stream: StreamId, block: &[u8]) -> Result<(), Failure> {
    peer.send(stream, &head_only(&response_block()))?;
    let parts = Outgoing {
        tail: Some(block),
        end: true,
        ..Outgoing::default()
    };
    post_parts(peer, stream, &parts)
}

/// Makes the honest side answer, and so look at the cursor, until it has been
/// through its ring.
fn make_it_send(peer: &mut HostilePeer) -> Result<(), Failure> {
    for _ in 0..2 * peer.inbox_geometry().ring_slots() {
        match peer.send_control(ping()) {
            // It has noticed.
            Err(Failure::HungUp) => return Ok(()),
            sent => sent?,
        }
    }
    Ok(())
}

pub(crate) const LIES: &[Lie] = &[
    Lie {
        name: "a_stamp_of_the_next_turn",
        told_by: BOTH,
        noticed_as: "is stamped",
        tell: |peer, _| stamped(peer, |stamp| stamp + 1),
    },
    Lie {
        name: "a_stamp_out_of_nowhere",
        told_by: BOTH,
        noticed_as: "is stamped",
        tell: |peer, _| stamped(peer, |_| 0xdead_beef),
    },
    Lie {
        name: "a_stamp_of_a_past_turn",
        told_by: BOTH,
        noticed_as: "is stamped",
        tell: |peer, _| {
            let turn = peer.drafted() + u64::from(peer.geometry().ring_slots());
            while peer.drafted() < turn {
                peer.sync()?;
            }
            stamped(peer, |stamp| stamp.wrapping_sub(2))
        },
    },
    Lie {
        name: "a_frame_of_kind_0",
        told_by: BOTH,
        noticed_as: "unknown kind 0",
        tell: |peer, _| of_kind(peer, 0),
    },
    Lie {
        name: "a_native_call_on_a_connection_for_grpc",
        told_by: BOTH,
        noticed_as: "unknown kind 6",
        tell: |peer, _| of_kind(peer, KIND_CALL),
    },
    Lie {
        name: "a_frame_of_kind_12",
        told_by: BOTH,
        noticed_as: "unknown kind 12",
        tell: |peer, _| of_kind(peer, 12),
    },
    Lie {
        name: "a_frame_of_kind_255",
        told_by: BOTH,
        noticed_as: "unknown kind 255",
        tell: |peer, _| of_kind(peer, 255),
    },
    Lie {
        name: "parts_with_an_unknown_flag",
        told_by: BOTH,
        noticed_as: "kind 1 with flags",
        tell: |peer, stream| flagged(peer, stream, |flags| flags | NO_FLAG),
    },
    Lie {
        name: "parts_without_a_part",
        told_by: BOTH,
        noticed_as: "kind 1 with flags",
        tell: |peer, stream| flagged(peer, stream, |_| 0),
    },
    Lie {
        name: "trailers_without_an_end",
        told_by: BOTH,
        noticed_as: "kind 1 with flags",
        tell: |peer, stream| flagged(peer, stream, |flags| flags & !FLAG_END),
    },
    Lie {
        name: "a_length_without_its_part",
        told_by: BOTH,
        noticed_as: "kind 1 with flags",
        tell: |peer, stream| flagged(peer, stream, |flags| flags & !FLAG_DATA),
    },
    Lie {
        name: "credit_with_a_flag",
        told_by: BOTH,
        noticed_as: "kind 2 with flags",
        tell: |peer, stream| {
            let draft = peer.draft_control(Control::Credit { stream, bytes: 1 })?;
            post(peer, draft.with_flags(|_| 1))
        },
    },
    Lie {
        name: "a_go_away_with_a_flag",
        told_by: BOTH,
        noticed_as: "kind 4 with flags",
        tell: |peer, _| {
            let draft = peer.draft_control(Control::GoAway)?;
            post(peer, draft.with_flags(|_| 0x80))
        },
    },
    Lie {
        name: "a_ping_with_an_unknown_flag",
        told_by: BOTH,
        noticed_as: "kind 5 with flags",
        tell: |peer, _| {
            let draft = peer.draft_control(ping())?;
            post(peer, draft.with_flags(|_| 2))
        },
    },
    Lie {
        name: "a_payload_behind_the_data_area",
        told_by: BOTH,
        noticed_as: "payload of 128 bytes",
        tell: |peer, stream| misplaced(peer, stream, |draft, area| draft.with_offset(area)),
    },
    Lie {
        name: "a_payload_that_leaves_the_data_area",
        told_by: BOTH,
        noticed_as: "payload of 128 bytes",
        tell: |peer, stream| misplaced(peer, stream, |draft, area| draft.with_offset(area - 127)),
    },
    Lie {
        name: "an_offset_that_overflows",
        told_by: BOTH,
        noticed_as: "payload of 128 bytes at 4294967295",
        tell: |peer, stream| misplaced(peer, stream, |draft, _| draft.with_offset(u32::MAX)),
    },
    Lie {
        name: "a_payload_longer_than_a_piece",
        told_by: BOTH,
        noticed_as: "payload of ",
        tell: |peer, stream| {
            let piece = peer.geometry().piece_bytes() as u32;
            misplaced(peer, stream, |draft, _| {
                draft.with_offset(0).with_lengths(0, piece + 1, 0)
            })
        },
    },
    Lie {
        name: "lengths_that_overflow_when_added",
        told_by: BOTH,
        noticed_as: "payload of 12884901885 bytes",
        tell: |peer, stream| {
            misplaced(peer, stream, |draft, _| {
                draft
                    .with_flags(|_| FLAG_HEAD | FLAG_DATA | FLAG_TAIL | FLAG_END)
                    .with_lengths(u32::MAX, u32::MAX, u32::MAX)
            })
        },
    },
    Lie {
        name: "lengths_whose_sum_wraps_to_a_small_one",
        told_by: BOTH,
        noticed_as: "payload of 4294967312 bytes",
        tell: |peer, stream| {
            misplaced(peer, stream, |draft, _| {
                draft
                    .with_flags(|_| FLAG_HEAD | FLAG_DATA | FLAG_INLINE)
                    .with_lengths(u32::MAX, 17, 0)
            })
        },
    },
    Lie {
        name: "an_inline_payload_of_33_bytes",
        told_by: BOTH,
        noticed_as: "payload of 33 bytes",
        tell: |peer, stream| {
            misplaced(peer, stream, |draft, _| {
                draft
                    .with_flags(|flags| flags | FLAG_INLINE)
                    .with_lengths(0, 33, 0)
            })
        },
    },
    Lie {
        name: "parts_of_a_stream_over_the_limit",
        told_by: BOTH,
        noticed_as: "streams are allowed",
        tell: |peer, _| {
            let (head, limit) = (own_block(peer.side()), peer.streams());
            post_parts(peer, elsewhere(limit), &head_only(&head))
        },
    },
    Lie {
        name: "credit_for_a_stream_over_the_limit",
        told_by: BOTH,
        noticed_as: "streams are allowed",
        tell: |peer, _| {
            let stream = elsewhere(u32::MAX);
            post_control(peer, Control::Credit { stream, bytes: 1 })
        },
    },
    Lie {
        name: "a_reset_of_a_stream_over_the_limit",
        told_by: BOTH,
        noticed_as: "streams are allowed",
        tell: |peer, _| {
            let stream = elsewhere(peer.streams());
            let code = ResetCode::Cancelled;
            post_control(peer, Control::Reset { stream, code })
        },
    },
    Lie {
        name: "data_for_a_stream_never_opened",
        told_by: BOTH,
        noticed_as: "never opened",
        tell: |peer, _| post_parts(peer, elsewhere(5), &data_only(b"data")),
    },
    Lie {
        name: "credit_for_a_stream_never_opened",
        told_by: BOTH,
        noticed_as: "never opened",
        tell: |peer, _| {
            let stream = elsewhere(5);
            post_control(peer, Control::Credit { stream, bytes: 1 })
        },
    },
    Lie {
        name: "a_reset_of_a_stream_never_opened",
        told_by: BOTH,
        noticed_as: "never opened",
        tell: |peer, _| {
            let (stream, code) = (elsewhere(5), ResetCode::Cancelled);
            post_control(peer, Control::Reset { stream, code })
        },
    },
    Lie {
        name: "an_answer_to_a_call_never_made",
        told_by: SERVER,
        noticed_as: "never opened",
        tell: |peer, _| post_parts(peer, elsewhere(5), &head_only(&response_block())),
    },
    Lie {
        name: "an_answer_to_the_call_after_this_one",
        told_by: SERVER,
        noticed_as: "index is in use",
        tell: |peer, stream| {
            let next = StreamId {
                call: stream.call + 1,
                ..stream
            };
            post_parts(peer, next, &head_only(&response_block()))
        },
    },
    Lie {
        name: "a_stream_opened_twice",
        told_by: CLIENT,
        noticed_as: "second header block",
        tell: |peer, stream| post_parts(peer, stream, &head_only(&request_block())),
    },
    Lie {
        name: "a_stream_opened_where_one_is_open",
        told_by: CLIENT,
        noticed_as: "index is in use",
        tell: |peer, stream| {
            let next = StreamId {
                call: stream.call + 1,
                ..stream
            };
            post_parts(peer, next, &head_only(&request_block()))
        },
    },
    Lie {
        name: "data_before_the_header_block",
        told_by: SERVER,
        noticed_as: "before the header block",
        tell: |peer, stream| post_parts(peer, stream, &data_only(b"data")),
    },
    Lie {
        name: "trailers_before_the_header_block",
        told_by: SERVER,
        noticed_as: "before the header block",
        tell: |peer, stream| {
            let tail = ok_trailers();
            let parts = Outgoing {
                tail: Some(&tail),
                ..Outgoing::default()
            };
            post_parts(peer, stream, &parts)
        },
    },
    Lie {
        name: "a_second_header_block",
        told_by: SERVER,
        noticed_as: "second header block",
        tell: |peer, stream| {
            peer.send(stream, &head_only(&response_block()))?;
            post_parts(peer, stream, &head_only(&response_block()))
        },
    },
    Lie {
        name: "a_second_header_block_at_the_end",
        told_by: SERVER,
        noticed_as: "second header block",
        tell: |peer, stream| {
            peer.send(stream, &head_only(&response_block()))?;
            let (head, tail) = (response_block(), ok_trailers());
            let parts = Outgoing {
                head: Some(&head),
                tail: Some(&tail),
                ..Outgoing::default()
            };
            post_parts(peer, stream, &parts)
        },
    },
    Lie {
        name: "data_after_the_end",
        told_by: CLIENT,
        noticed_as: "frame after the end",
        tell: |peer, _| {
            let (head, data) = (request_block(), late_answer());
            let parts = Outgoing {
                head: Some(&head),
                data: Some(&data),
                end: true,
                ..Outgoing::default()
            };
            peer.send(elsewhere(1), &parts)?;
            post_parts(peer, elsewhere(1), &data_only(b"data"))
        },
    },
    Lie {
        name: "trailers_from_a_client",
        told_by: CLIENT,
        noticed_as: "trailers from a client",
        tell: |peer, stream| {
            let tail = ok_trailers();
            let parts = Outgoing {
                tail: Some(&tail),
                ..Outgoing::default()
            };
            post_parts(peer, stream, &parts)
        },
    },
    Lie {
        name: "data_beyond_the_window",
        told_by: BOTH,
        noticed_as: " were allowed",
        tell: |peer, stream| beyond_the_window(peer, stream, false),
    },
    Lie {
        name: "data_beyond_the_window_at_the_end",
        told_by: BOTH,
        noticed_as: " were allowed",
        tell: |peer, stream| beyond_the_window(peer, stream, true),
    },
    Lie {
        name: "credit_beyond_any_window",
        told_by: BOTH,
        noticed_as: "credit of 4294967295",
        tell: |peer, stream| {
            let bytes = u32::MAX;
            post_control(peer, Control::Credit { stream, bytes })
        },
    },
    Lie {
        name: "credit_that_adds_up_beyond_any_window",
        told_by: BOTH,
        noticed_as: "credit of 1073741824",
        tell: |peer, stream| {
            let bytes = 1 << 30;
            peer.send_control(Control::Credit { stream, bytes })?;
            post_control(peer, Control::Credit { stream, bytes })
        },
    },
    Lie {
        name: "a_header_block_with_an_unknown_tag",
        told_by: BOTH,
        noticed_as: "unknown tag 120",
        tell: |peer, stream| {
            let block = worse_block(peer, |block| block.push(120));
            head_block(peer, stream, &block)
        },
    },
    Lie {
        name: "a_header_block_with_tag_0",
        told_by: BOTH,
        noticed_as: "unknown tag 0",
        tell: |peer, stream| {
            let block = worse_block(peer, |block| block.push(0));
            head_block(peer, stream, &block)
        },
    },
    Lie {
        name: "a_header_block_that_ends_inside_a_field",
        told_by: BOTH,
        noticed_as: "ends inside a field",
        tell: |peer, stream| {
            let block = worse_block(peer, |block| block.extend_from_slice(&[7, 200, 0, b'x']));
            head_block(peer, stream, &block)
        },
    },
    Lie {
        name: "a_header_name_in_upper_case",
        told_by: BOTH,
        noticed_as: "a name is not valid",
        tell: |peer, stream| {
            let block = worse_block(peer, |block| literal(block, b"X-Upper", b"x"));
            head_block(peer, stream, &block)
        },
    },
    Lie {
        name: "a_header_without_a_name",
        told_by: BOTH,
        noticed_as: "a name is not valid",
        tell: |peer, stream| {
            let block = worse_block(peer, |block| literal(block, b"", b"x"));
            head_block(peer, stream, &block)
        },
    },
    Lie {
        name: "a_header_value_with_a_line_break",
        told_by: BOTH,
        noticed_as: "a value is not valid",
        tell: |peer, stream| {
            let block = worse_block(peer, |block| literal(block, b"x-two-lines", b"a\r\nb"));
            head_block(peer, stream, &block)
        },
    },
    Lie {
        name: "status_details_that_are_not_base64",
        told_by: BOTH,
        noticed_as: "that is not base64",
        tell: |peer, stream| {
            let block = worse_block(peer, |block| field(block, "grpc-status-details-bin", b"!"));
            head_block(peer, stream, &block)
        },
    },
    Lie {
        name: "a_pseudo_header_out_of_place",
        told_by: BOTH,
        noticed_as: "a pseudo-header out of place",
        tell: |peer, stream| {
            let block = worse_block(peer, |block| field(block, ":path", b"/a/b"));
            head_block(peer, stream, &block)
        },
    },
    Lie {
        name: "a_header_block_of_1025_fields",
        told_by: BOTH,
        noticed_as: "more than 1024 fields",
        tell: |peer, stream| {
            let block = worse_block(peer, |block| {
                let fields = match *block.first().expect("a field") {
                    head::TAG_PATH => 3,
                    _ => 1,
                };
                block.resize(block.len() + 1025 - fields, head::TAG_TE_TRAILERS);
            });
            head_block(peer, stream, &block)
        },
    },
    Lie {
        name: "an_empty_header_block",
        told_by: CLIENT,
        noticed_as: "does not begin with its path",
        tell: |peer, stream| head_block(peer, stream, b""),
    },
    Lie {
        name: "a_request_without_a_path",
        told_by: CLIENT,
        noticed_as: "does not begin with its path",
        tell: |peer, stream| head_block(peer, stream, &response_block()),
    },
    Lie {
        name: "a_path_that_is_none",
        told_by: CLIENT,
        noticed_as: "the path is not valid",
        tell: |peer, stream| head_block(peer, stream, &request_to(b"/a b\x7f")),
    },
    Lie {
        name: "an_authority_that_is_none",
        told_by: CLIENT,
        noticed_as: "the authority is not valid",
        tell: |peer, stream| {
            let block = worse_block(peer, |block| field(block, ":authority", b"a b/@@"));
            head_block(peer, stream, &block)
        },
    },
    Lie {
        name: "an_http_status_that_is_none",
        told_by: SERVER,
        noticed_as: "the status is not valid",
        tell: |peer, stream| {
            let block = worse_block(peer, |block| field(block, ":status", b"99"));
            head_block(peer, stream, &block)
        },
    },
    Lie {
        name: "trailers_with_an_unknown_tag",
        told_by: SERVER,
        noticed_as: "unknown tag 120",
        tell: |peer, stream| trailer_block(peer, stream, &[120]),
    },
    Lie {
        name: "trailers_with_details_that_are_not_base64",
        told_by: SERVER,
        noticed_as: "that is not base64",
        tell: |peer, stream| {
            let mut block = Vec::new();
            field(&mut block, "grpc-status", b"13");
            field(&mut block, "grpc-status-details-bin", b"%%%");
            trailer_block(peer, stream, &block)
        },
    },
    Lie {
        name: "trailers_with_a_pseudo_header",
        told_by: SERVER,
        noticed_as: "a pseudo-header out of place",
        tell: |peer, stream| {
            let mut block = Vec::new();
            field(&mut block, ":status", b"200");
            trailer_block(peer, stream, &block)
        },
    },
    Lie {
        name: "trailers_of_1025_fields",
        told_by: SERVER,
        noticed_as: "more than 1024 fields",
        tell: |peer, stream| trailer_block(peer, stream, &[head::TAG_STATUS_OK; 1025]),
    },
    Lie {
        name: "an_answer_to_a_ping_never_sent",
        told_by: BOTH,
        noticed_as: "answer to ping 0x7",
        tell: |peer, _| {
            post_control(
                peer,
                Control::Ping {
                    token: 7,
                    answer: true,
                },
            )
        },
    },
    Lie {
        name: "a_call_after_the_go_away",
        told_by: CLIENT,
        noticed_as: "after the go-away",
        tell: |peer, _| {
            peer.send_control(Control::GoAway)?;
            post_parts(peer, elsewhere(1), &head_only(&request_block()))
        },
    },
    Lie {
        name: "a_cursor_ahead_of_what_was_sent",
        told_by: BOTH,
        noticed_as: "cursor 100000 outside",
        tell: |peer, _| {
            peer.set_cursor(100_000);
            make_it_send(peer)
        },
    },
    Lie {
        name: "a_cursor_of_all_ones",
        told_by: BOTH,
        noticed_as: "cursor 18446744073709551615 outside",
        tell: |peer, _| {
            peer.set_cursor(u64::MAX);
            make_it_send(peer)
        },
    },
    Lie {
        name: "a_cursor_that_goes_back",
        told_by: BOTH,
        noticed_as: "cursor 1 outside",
        tell: |peer, _| {
            // Through the whole ring, so that the honest side has believed a cursor.
            for _ in 0..peer.inbox_geometry().ring_slots() + 1 {
                peer.sync()?;
            }
            peer.set_cursor(1);
            make_it_send(peer)
        },
    },
    Lie {
        name: "a_doorbell_storm",
        told_by: BOTH,
        noticed_as: "with nothing sent",
        tell: |peer, _| {
            // More than one cut-off needs, and an end in any case.
            for _ in 0..1_000_000 {
                if !peer.ring(1) {
                    break;
                }
            }
            Ok(())
        },
    },
];

/// Sends one frame with more data than was granted.
fn beyond_the_window(peer: &mut HostilePeer, stream: StreamId, end: bool) -> Result<(), Failure> {
    if peer.side() == Side::Server {
        peer.send(stream, &head_only(&response_block()))?;
    }
    let data = vec![0; peer.window_bytes() as usize + 1];
    let parts = Outgoing {
        data: Some(&data),
        end,
        ..Outgoing::default()
    };
    post_parts(peer, stream, &parts)
}
