//! Peers that lie about references.

use nowire_protocol::stream::Side;
use nowire_testkit::{Lie, Moment};

use crate::scene::{client_lies, server_lies};

/// One test for each lie, named after it.
macro_rules! caught {
    ($tell:ident: $($lie:ident)*) => {
        $(#[test]
        fn $lie() {
            $tell(stringify!($lie), Moment::MidCall);
        })*

        /// The lies.
        pub(super) const NAMES: &[&str] = &[$(stringify!($lie)),*];
    };
}

/// A client that lies.
mod of_clients {
    use super::*;

    caught! { client_lies:
        a_reference_amid_another
        a_reference_that_goes_on_on_another_stream
        a_ping_amid_a_reference
        a_reference_of_257_extents
        a_reference_of_33_descriptors
        a_second_descriptor_before_the_first
        a_descriptor_left_out
        extents_that_disagree_about_their_segment
        extents_of_more_bytes_than_there_are_addresses
        an_extent_of_no_bytes
        an_extent_behind_its_segment
        an_extent_that_overflows
        a_segment_larger_than_can_be
        an_extent_with_an_unknown_flag
        an_extent_with_something_in_a_place_of_nothing
        two_references_of_one_number
        a_reference_for_a_stream_over_the_limit
        a_reference_whose_stream_does_not_follow
        a_reference_before_another_stream_than_its_own
        references_beyond_the_window
        references_before_their_stream_without_end
        a_reference_after_the_end
        two_descriptors_where_one_may_be
        a_descriptor_at_a_doorbell
    }
}

/// A server that lies.
mod of_servers {
    use super::*;

    caught! { server_lies:
        a_reference_amid_another
        a_reference_that_goes_on_on_another_stream
        a_ping_amid_a_reference
        a_reference_of_257_extents
        a_reference_of_33_descriptors
        a_second_descriptor_before_the_first
        a_descriptor_left_out
        extents_that_disagree_about_their_segment
        extents_of_more_bytes_than_there_are_addresses
        an_extent_of_no_bytes
        an_extent_behind_its_segment
        an_extent_that_overflows
        a_segment_larger_than_can_be
        an_extent_with_an_unknown_flag
        an_extent_with_something_in_a_place_of_nothing
        two_references_of_one_number
        a_reference_for_a_stream_over_the_limit
        a_reference_for_a_stream_never_opened
        two_descriptors_where_one_may_be
        a_descriptor_at_a_doorbell
    }
}

#[test]
fn every_lie_about_references_is_tested() {
    let sides = [
        (Side::Client, of_clients::NAMES),
        (Side::Server, of_servers::NAMES),
    ];
    for (side, tested) in sides {
        let told = Lie::OF_REFERENCES
            .iter()
            .filter(|lie| lie.told_by.contains(&side));
        let missing: Vec<_> = told.filter(|lie| !tested.contains(&lie.name)).collect();
        assert!(missing.is_empty(), "{side:?}: {missing:?}");
    }
}
