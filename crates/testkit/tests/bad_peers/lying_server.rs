//! Hostile servers against an honest client.

use nowire_protocol::stream::Side;
use nowire_testkit::{Lie, Moment};

use crate::scene::server_lies;

/// One test for each lie, named after it.
macro_rules! caught {
    ($moment:ident: $($lie:ident)*) => {
        $(#[test]
        fn $lie() {
            server_lies(stringify!($lie), Moment::$moment);
        })*

        /// The lies.
        pub(super) const NAMES: &[&str] = &[$(stringify!($lie)),*];
    };
}

/// While a call is open.
mod is_caught_in_the_middle_of_a_call {
    use super::*;

    caught! { MidCall:
        a_stamp_of_the_next_turn
        a_stamp_out_of_nowhere
        a_stamp_of_a_past_turn
        a_frame_of_kind_0
        a_frame_of_kind_12
        a_native_call_on_a_connection_for_grpc
        a_frame_of_kind_255
        parts_with_an_unknown_flag
        parts_without_a_part
        trailers_without_an_end
        a_length_without_its_part
        credit_with_a_flag
        a_go_away_with_a_flag
        a_ping_with_an_unknown_flag
        a_payload_behind_the_data_area
        a_payload_that_leaves_the_data_area
        an_offset_that_overflows
        a_payload_longer_than_a_piece
        lengths_that_overflow_when_added
        lengths_whose_sum_wraps_to_a_small_one
        an_inline_payload_of_33_bytes
        parts_of_a_stream_over_the_limit
        credit_for_a_stream_over_the_limit
        a_reset_of_a_stream_over_the_limit
        data_for_a_stream_never_opened
        credit_for_a_stream_never_opened
        a_reset_of_a_stream_never_opened
        an_answer_to_a_call_never_made
        an_answer_to_the_call_after_this_one
        data_before_the_header_block
        trailers_before_the_header_block
        a_second_header_block
        a_second_header_block_at_the_end
        data_beyond_the_window
        data_beyond_the_window_at_the_end
        credit_beyond_any_window
        credit_that_adds_up_beyond_any_window
        a_header_block_with_an_unknown_tag
        a_header_block_with_tag_0
        a_header_block_that_ends_inside_a_field
        a_header_name_in_upper_case
        a_header_without_a_name
        a_header_value_with_a_line_break
        status_details_that_are_not_base64
        a_pseudo_header_out_of_place
        a_header_block_of_1025_fields
        an_http_status_that_is_none
        trailers_with_an_unknown_tag
        trailers_with_details_that_are_not_base64
        trailers_with_a_pseudo_header
        trailers_of_1025_fields
        an_answer_to_a_ping_never_sent
        a_cursor_ahead_of_what_was_sent
        a_cursor_of_all_ones
        a_cursor_that_goes_back
        a_doorbell_storm
    }
}

/// As the first thing after the handshake.
mod is_caught_at_once {
    use super::*;

    caught! { AtOnce:
        a_stamp_of_the_next_turn
        a_stamp_out_of_nowhere
        a_stamp_of_a_past_turn
        a_frame_of_kind_0
        a_frame_of_kind_12
        a_native_call_on_a_connection_for_grpc
        a_frame_of_kind_255
        parts_with_an_unknown_flag
        parts_without_a_part
        trailers_without_an_end
        a_length_without_its_part
        credit_with_a_flag
        a_go_away_with_a_flag
        a_ping_with_an_unknown_flag
        a_payload_behind_the_data_area
        a_payload_that_leaves_the_data_area
        an_offset_that_overflows
        a_payload_longer_than_a_piece
        lengths_that_overflow_when_added
        lengths_whose_sum_wraps_to_a_small_one
        an_inline_payload_of_33_bytes
        parts_of_a_stream_over_the_limit
        data_for_a_stream_never_opened
        an_answer_to_a_ping_never_sent
        a_cursor_ahead_of_what_was_sent
        a_cursor_that_goes_back
        a_doorbell_storm
    }
}

#[test]
fn every_lie_is_tested() {
    let told = |lie: &&Lie| lie.told_by.contains(&Side::Server);
    let tested = [
        is_caught_in_the_middle_of_a_call::NAMES,
        is_caught_at_once::NAMES,
    ]
    .concat();
    let missing: Vec<_> = Lie::ALL
        .iter()
        .filter(told)
        .filter(|lie| !tested.contains(&lie.name))
        .map(|lie| lie.name)
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
