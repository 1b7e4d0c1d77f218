//! Hostile servers against an honest client that makes native calls.

use nowire_protocol::stream::Side;
use nowire_testkit::native::NativeLie;

use super::scene::server_lies;

/// One test for each lie, named after it.
macro_rules! caught {
    ($($lie:ident)*) => {
        $(#[test]
        fn $lie() {
            server_lies(stringify!($lie));
        })*

        /// The lies.
        pub(super) const NAMES: &[&str] = &[$(stringify!($lie)),*];
    };
}

/// The connection fails, and nothing else.
mod is_caught {
    use super::*;

    caught! {
        a_null_pointer
        a_pointer_behind_the_scope
        a_thing_whose_end_is_behind_the_scope
        a_pointer_before_the_scope
        a_pointer_at_the_end_of_all_addresses
        a_pointer_that_dangles
        a_pointer_into_another_scope
        a_pointer_into_the_receivers_heap
        a_pointer_to_where_stacks_are
        an_unaligned_pointer
        an_unaligned_pointer_to_nothing
        two_pointers_to_one_thing
        a_cycle
        a_cycle_of_two
        overlapping_values
        a_thing_that_lies_in_its_own_numbers
        a_length_too_long
        a_length_that_overflows
        a_length_of_all_ones
        a_length_that_leaves_the_scope
        text_that_is_not_utf8
        text_that_ends_in_a_letter
        a_key_that_is_not_utf8
        a_bool_of_2
        a_char_that_is_none
        a_variant_that_is_none
        an_option_of_neither_kind
        a_zero_that_must_not_be
        a_root_of_garbage
        a_root_of_nothing
        a_pointer_without_a_scope
        a_scope_too_short_for_its_root
        a_scope_in_no_segment
        a_scope_at_the_last_page_there_is
        a_scope_that_leaves_its_segment
        a_scope_of_4_gib
        a_scope_across_two_segments
        a_scope_in_a_segment_given_back
        a_root_that_is_too_short
        a_root_of_no_bytes
        a_root_in_a_message_too_small_for_it
        a_segment_without_a_descriptor
        a_segment_of_another_size
        a_segment_without_seals
        a_segment_that_can_be_cut_short
        a_segment_that_others_can_write
        a_segment_with_a_hole
        a_segment_that_is_no_memory
        a_segment_behind_the_window
        a_segment_that_leaves_the_window
        a_segment_over_another
        a_segment_around_another
        a_segment_of_no_pages
        a_segment_of_all_pages
        a_segment_too_many
        a_segment_too_many_that_is_not_sealed
        descriptors_without_segments
        a_segment_with_something_in_a_place_of_nothing
        a_segment_given_back_that_never_was
        a_segment_given_back_by_another_page_of_it
        a_segment_given_back_twice
        a_segment_given_back_that_is_read
        something_lent_that_was_never_given
        something_lent_at_the_last_page_there_is
        something_lent_by_another_page_of_it
        something_lent_that_was_given_back
        something_lent_in_another_scope
        something_lent_behind_what_was_given
        something_lent_whose_end_is_behind_what_was_given
        something_lent_in_the_header_of_its_scope
        something_lent_before_its_scope
        something_lent_that_is_not_aligned
        something_lent_nowhere
        something_lent_of_another_type
        something_lent_in_the_heap_of_the_lender
        something_lent_with_bytes
        something_lent_by_a_reply_that_failed
        a_release_of_what_is_not_held
        a_release_of_the_last_page_there_is
        a_release_of_the_scope_of_a_call_not_yet_answered
        a_release_of_no_pages
        a_release_of_13_pages
        a_reply_to_a_call_never_made
        a_reply_to_the_call_after_this_one
        a_reply_to_a_call_over_the_limit
        a_reply_twice
        an_item_after_the_reply
        an_item_where_a_single_reply_is_due
        a_call_from_a_server
        a_reset_from_a_server
        items_beyond_the_window
        credit_that_is_not_due
        credit_that_overflows
        credit_for_a_call_never_made
        a_message_without_the_root_ahead_of_it
        a_root_ahead_of_a_message_that_has_one
        two_roots_ahead_of_a_message
        a_root_ahead_of_another_message
        a_reference_ahead_of_another_message
        references_that_count_from_1
        a_message_amid_a_reference
        nine_references_ahead_of_a_message
        a_reference_without_a_descriptor
        a_root_that_names_a_reference_that_is_not_there
        parts_without_metadata
        a_root_behind_the_data_area
        a_root_longer_than_a_piece
        metadata_that_cannot_be_read
        metadata_that_ends_inside_a_field
        a_reply_that_ends_the_items
        a_reply_with_a_timeout
        an_error_that_is_too_short
        an_error_of_a_method_that_returns_none
        a_call_kept_that_had_no_scope
        a_frame_of_kind_0
        a_frame_of_kind_12
        a_stamp_out_of_nowhere
        an_answer_to_a_ping_never_sent
        a_cursor_ahead_of_what_was_sent
        a_doorbell_storm
    }
}

#[test]
fn every_lie_is_tested() {
    let missing: Vec<_> = NativeLie::ALL
        .iter()
        .filter(|lie| lie.told_by.contains(&Side::Server))
        .filter(|lie| !is_caught::NAMES.contains(&lie.name))
        .map(|lie| lie.name)
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
