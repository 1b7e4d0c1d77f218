//! Layouts name what differs.

use nowire_memory::data::{HashMap, Layout, Map, Ptr, Slice, Str};

#[test]
fn equal_types_have_equal_layouts() {
    type Type<'s> = (u8, Option<Ptr<'s, Slice<'s, Str<'s>>>>);
    let (one, other) = (Layout::of::<Type<'static>>(), Layout::of::<Type<'_>>());
    assert_eq!(one, other);
    assert_eq!(one.difference(other.text()), None);
}

#[test]
fn different_types_have_different_fingerprints() {
    let layouts = [
        Layout::of::<u64>(),
        Layout::of::<i64>(),
        Layout::of::<(u64,)>(),
        Layout::of::<[u64; 1]>(),
        Layout::of::<[u64; 2]>(),
        Layout::of::<Option<u64>>(),
        Layout::of::<Ptr<'_, u64>>(),
        Layout::of::<Option<Ptr<'_, u64>>>(),
        Layout::of::<Slice<'_, u8>>(),
        Layout::of::<Str<'_>>(),
        Layout::of::<Map<'_, u8, u16>>(),
        Layout::of::<Map<'_, u16, u8>>(),
        Layout::of::<HashMap<'_, u16, u8>>(),
        Layout::of::<(u8, u16)>(),
        Layout::of::<(u16, u8)>(),
    ];
    for (index, one) in layouts.iter().enumerate() {
        for other in &layouts[index + 1..] {
            assert_ne!(one.fingerprint(), other.fingerprint(), "{one:?} {other:?}");
            assert!(one.difference(other.text()).is_some());
        }
    }
}

#[test]
fn a_difference_names_the_type_the_field_and_both_sides() {
    let here = Layout::of::<Ptr<'_, (u64, Slice<'_, (u8, u32)>)>>();
    let changed = here.text().replace("  1: u32 at ", "  1: u32 at 1");
    let difference = here.difference(&changed).expect("it was changed");
    assert!(
        difference.starts_with("`(u8, u32)`: `1: u32 at ") && difference.contains(" there"),
        "{difference}"
    );
    let shorter: String = here
        .text()
        .lines()
        .filter(|line| !line.starts_with("  1: u32"))
        .map(|line| format!("{line}\n"))
        .collect();
    let difference = here.difference(&shorter).expect("a field is missing");
    assert!(difference.ends_with("here, nothing there"), "{difference}");
    let other = Layout::of::<Ptr<'_, u8>>();
    let difference = here.difference(other.text()).expect("they differ");
    assert!(
        difference.contains("here") && difference.contains("`Ptr<u8>"),
        "{difference}"
    );
}

#[test]
fn whatever_the_other_side_says_is_compared() {
    let here = Layout::of::<Ptr<'_, (u64, Str<'_>)>>();
    let long = "x".repeat(1 << 20);
    for other in ["", "\n", "  ", ": ", "  : \n\n", "\u{1b}[31m\r\nred", &long] {
        let difference = here.difference(other).expect("it differs");
        assert!(difference.len() < 2000);
        assert!(!difference.chars().any(char::is_control));
    }
    // Every prefix, and every line left out.
    for end in 0..here.text().len() {
        if here.text().is_char_boundary(end) {
            assert!(here.difference(&here.text()[..end]).is_some());
        }
    }
}
