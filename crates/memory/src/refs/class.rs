//! Sizes of segments.

/// From this size on, segments grow by [`STEP_BYTES`] instead of by a half.
const LARGE_BYTES: usize = 4 << 20;

const STEP_BYTES: usize = 1 << 20;

/// Size of the segment that `bytes` bytes go into: few different sizes, so that one
/// that is free is likely to fit, and at most a third of it is not needed (but for
/// the first page). `None` where no segment can be so large.
pub(super) fn segment_bytes(bytes: usize) -> Option<usize> {
    let page = rustix::param::page_size();
    let size = if bytes <= LARGE_BYTES {
        let full = bytes.next_power_of_two().max(page);
        let less = full / 4 * 3;
        if bytes <= less && less.is_multiple_of(page) {
            less
        } else {
            full
        }
    } else {
        bytes.checked_next_multiple_of(STEP_BYTES.max(page))?
    };
    isize::try_from(size).is_ok().then_some(size)
}

#[cfg(test)]
mod tests {
    use super::segment_bytes;

    #[test]
    fn a_segment_fits_and_wastes_at_most_a_third_beyond_the_first_page() {
        let page = rustix::param::page_size();
        for bytes in (0..6 << 20).step_by(509).chain([1, 4096, 4097, 4 << 20]) {
            let size = segment_bytes(bytes).expect("small enough");
            assert!(
                size >= bytes && size.is_multiple_of(page),
                "{bytes}: {size}"
            );
            assert!(size <= (bytes / 2 * 3 + 2).max(2 * page), "{bytes}: {size}");
        }
    }

    #[test]
    fn what_no_address_space_holds_has_no_size() {
        assert_eq!(segment_bytes(usize::MAX), None);
        assert_eq!(segment_bytes(isize::MAX as usize), None);
    }
}
