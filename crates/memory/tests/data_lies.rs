//! Every way to lie in data: each is refused, by the flaw that names it.

use std::num::NonZero;

use nowire_memory::data::{Flaw, HashMap, Map, Place, Ptr, Shared, Slice, Str, check_copy};

/// Where the sender says its scope is.
const BASE: usize = 0x2345_6000;

/// A scope of eight words, and the start of it as its sender sees it.
fn refusal<T: Shared>(scope: &[u64], root: [u64; 4]) -> Flaw {
    match check_copy::<T>(&bytes_of(scope), BASE, root) {
        Ok(_) => panic!("the lie was believed"),
        Err(flaw) => flaw,
    }
}

fn accepted<T: Shared>(scope: &[u64], root: [u64; 4]) {
    if let Err(flaw) = check_copy::<T>(&bytes_of(scope), BASE, root) {
        panic!("the truth was refused: {flaw}");
    }
}

fn bytes_of(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The root: an address in the scope, and what follows it.
fn at(offset: i64, then: u64) -> [u64; 4] {
    [(BASE as i64 + offset) as u64, then, 0, 0]
}

#[test]
fn a_pointer_out_of_the_scope_is_refused() {
    let scope = [0; 8];
    accepted::<Ptr<'_, u64>>(&scope, at(56, 0));
    for offset in [-8, 64, 1 << 40, -(1 << 28), i64::MIN] {
        let flaw = refusal::<Ptr<'_, u64>>(&scope, at(offset, 0));
        assert!(
            matches!(
                flaw,
                Flaw::Outside {
                    place: Place::Inline(0),
                    bytes: 8,
                    ..
                }
            ),
            "{flaw}"
        );
    }
    // Its last bytes lie outside.
    let flaw = refusal::<Ptr<'_, [u64; 2]>>(&scope, at(56, 0));
    assert!(matches!(flaw, Flaw::Outside { bytes: 16, .. }), "{flaw}");
    let flaw = refusal::<Ptr<'_, [u64; 9]>>(&scope, at(0, 0));
    assert!(matches!(flaw, Flaw::Outside { bytes: 72, .. }), "{flaw}");
}

#[test]
fn a_pointer_into_the_receivers_own_memory_is_refused() {
    let secret = 7_u64;
    let root = [(&raw const secret).addr() as u64, 0, 0, 0];
    let flaw = refusal::<Ptr<'_, u64>>(&[0; 8], root);
    assert!(matches!(flaw, Flaw::Outside { .. }), "{flaw}");
}

#[test]
fn no_pointer_leads_anywhere_without_a_scope() {
    let flaw = refusal::<Ptr<'_, u64>>(&[], at(0, 0));
    assert!(matches!(flaw, Flaw::Outside { .. }), "{flaw}");
    let flaw = refusal::<Str<'_>>(&[], at(0, 1));
    assert!(matches!(flaw, Flaw::Outside { .. }), "{flaw}");
    let flaw = refusal::<Str<'_>>(&[], at(0, 2));
    assert!(matches!(flaw, Flaw::TooLong { .. }), "{flaw}");
    accepted::<Str<'_>>(&[], at(0, 0));
}

#[test]
fn a_null_pointer_is_refused() {
    let flaw = refusal::<Ptr<'_, u64>>(&[0; 8], [0; 4]);
    assert!(matches!(flaw, Flaw::Null { .. }), "{flaw}");
    let flaw = refusal::<Slice<'_, u64>>(&[0; 8], [0; 4]);
    assert!(matches!(flaw, Flaw::Null { .. }), "{flaw}");
    let flaw = refusal::<Str<'_>>(&[0; 8], [0, 3, 0, 0]);
    assert!(matches!(flaw, Flaw::Null { .. }), "{flaw}");
    let flaw = refusal::<Ptr<'_, ()>>(&[0; 8], [0; 4]);
    assert!(matches!(flaw, Flaw::Null { .. }), "{flaw}");
    accepted::<Option<Ptr<'_, u64>>>(&[0; 8], [0; 4]);
}

#[test]
fn an_unaligned_pointer_is_refused() {
    for offset in [1, 2, 4, 9, 47] {
        let flaw = refusal::<Ptr<'_, u64>>(&[0; 8], at(offset, 0));
        assert!(matches!(flaw, Flaw::Unaligned { align: 8, .. }), "{flaw}");
        // Also where the type itself would not mind.
        let flaw = refusal::<Ptr<'_, u8>>(&[0; 8], at(offset, 0));
        assert!(matches!(flaw, Flaw::Unaligned { align: 8, .. }), "{flaw}");
    }
    let flaw = refusal::<Ptr<'_, u128>>(&[0; 8], at(8, 0));
    assert!(matches!(flaw, Flaw::Unaligned { align: 16, .. }), "{flaw}");
    accepted::<Ptr<'_, u128>>(&[0; 8], at(16, 0));
    let flaw = refusal::<Slice<'_, u32>>(&[0; 8], [2, 0, 0, 0]);
    assert!(matches!(flaw, Flaw::Unaligned { align: 4, .. }), "{flaw}");
    let flaw = refusal::<Ptr<'_, [u32; 0]>>(&[0; 8], [2, 0, 0, 0]);
    assert!(matches!(flaw, Flaw::Unaligned { align: 4, .. }), "{flaw}");
}

#[test]
fn a_scope_that_claims_a_crooked_address_is_refused() {
    let bytes = bytes_of(&[0; 8]);
    let flaw = check_copy::<Ptr<'_, u64>>(&bytes, BASE + 4, at(8, 0)).map(|_| ());
    assert!(matches!(flaw, Err(Flaw::Unaligned { .. })), "{flaw:?}");
}

#[test]
fn shared_memory_is_refused() {
    let flaw = refusal::<(Ptr<'_, u64>, Ptr<'_, u64>)>(&[0; 8], [BASE as u64, BASE as u64, 0, 0]);
    assert!(
        matches!(
            flaw,
            Flaw::Overlap {
                place: Place::Inline(8),
                ..
            }
        ),
        "{flaw}"
    );
    accepted::<(Ptr<'_, u64>, Ptr<'_, u64>)>(&[0; 8], [BASE as u64, BASE as u64 + 8, 0, 0]);
}

#[test]
fn overlapping_memory_is_refused() {
    type Two<'s> = (Slice<'s, u8>, Slice<'s, u8>);
    let base = BASE as u64;
    // Within one word of the map of claims, across two, and across many.
    for bytes in [64_u64, 1024, 8192] {
        let scope = vec![0; 2048];
        for (second, len) in [(0, 1), (8, 8), (bytes - 8, 16), (0, bytes), (0, 2 * bytes)] {
            let root = [base, bytes, base + second, len];
            let flaw = refusal::<Two<'_>>(&scope, root);
            assert!(matches!(flaw, Flaw::Overlap { .. }), "{flaw}");
            let root = [base + second, len, base, bytes];
            let flaw = refusal::<Two<'_>>(&scope, root);
            assert!(matches!(flaw, Flaw::Overlap { .. }), "{flaw}");
        }
        for len in [1, 7, 8, 9, 64, 512, 8192] {
            accepted::<Two<'_>>(&scope, [base, bytes, base + bytes, len]);
            accepted::<Two<'_>>(&scope, [base + bytes, len, base, bytes]);
        }
    }
    // The last grain of the first is not full, and yet its own.
    let flaw = refusal::<Two<'_>>(&[0; 8], [base, 9, base + 8, 8]);
    assert!(matches!(flaw, Flaw::Overlap { .. }), "{flaw}");
}

#[test]
fn a_slice_longer_than_the_scope_is_refused() {
    for count in [9, 1 << 20, 1 << 61, u64::MAX] {
        let flaw = refusal::<Slice<'_, u64>>(&[0; 8], at(0, count));
        assert!(
            matches!(
                flaw,
                Flaw::TooLong {
                    scope_bytes: 64,
                    ..
                }
            ),
            "{flaw}"
        );
    }
    let flaw = refusal::<Slice<'_, u64>>(&[0; 8], at(8, 8));
    assert!(matches!(flaw, Flaw::Outside { bytes: 64, .. }), "{flaw}");
    accepted::<Slice<'_, u64>>(&[0; 8], at(0, 8));
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    for (text, valid) in [
        (&b"abc\xff\0\0\0\0"[..], 3),
        (b"\xc3(______", 0),
        (b"0123456789012345678901234567890123456789\x80_______", 40),
        (b"01234567012345\x80_", 14),
        (b"012345670123456701234567\xed\xa0\x80_____", 24),
    ] {
        let scope: Vec<u64> = text
            .as_chunks()
            .0
            .iter()
            .map(|word| u64::from_le_bytes(*word))
            .collect();
        assert_eq!(
            refusal::<Str<'_>>(&scope, at(0, text.len() as u64)),
            Flaw::Utf8 {
                place: Place::Scope(0),
                valid_bytes: valid
            }
        );
    }
    // Cut within a character.
    let scope = [u64::from_le_bytes(*b"abcde\xc3\xa4f")];
    accepted::<Str<'_>>(&scope, at(0, 8));
    accepted::<Str<'_>>(&scope, at(0, 7));
    let flaw = refusal::<Str<'_>>(&scope, at(0, 6));
    assert!(matches!(flaw, Flaw::Utf8 { valid_bytes: 5, .. }), "{flaw}");
}

#[test]
fn text_is_judged_as_the_standard_library_does() {
    for len in 0..70 {
        for place in 0..len {
            let mut text = vec![b'x'; len];
            text[place] = 0xe9;
            let mut words = vec![0; 9];
            for (index, byte) in text.iter().enumerate() {
                words[index / 8] |= u64::from(*byte) << (8 * (index % 8));
            }
            let flaw = refusal::<Str<'_>>(&words, at(0, len as u64));
            assert!(matches!(flaw, Flaw::Utf8 { valid_bytes, .. } if valid_bytes == place));
        }
    }
}

#[test]
fn a_bool_that_is_none_is_refused() {
    for found in [2, 3, 0x80, 0xff] {
        let place = Place::Inline(0);
        let flaw = refusal::<bool>(&[], [u64::from(found), 0, 0, 0]);
        assert_eq!(flaw, Flaw::Bool { place, found });
        let place = Place::Scope(11);
        let flaw = refusal::<Slice<'_, bool>>(&[0, u64::from(found) << 24], at(0, 16));
        assert_eq!(flaw, Flaw::Bool { place, found });
    }
}

#[test]
fn a_char_that_is_none_is_refused() {
    for found in [0xd800, 0xdfff, 0x11_0000, u32::MAX] {
        let place = Place::Inline(0);
        let flaw = refusal::<char>(&[], [u64::from(found), 0, 0, 0]);
        assert_eq!(flaw, Flaw::Char { place, found });
    }
    accepted::<char>(&[], [0x10_ffff, 0, 0, 0]);
}

#[test]
fn a_zero_that_must_not_be_is_refused() {
    let flaw = refusal::<NonZero<u16>>(&[], [0x1_0000, 0, 0, 0]);
    assert!(
        matches!(
            flaw,
            Flaw::Zero {
                place: Place::Inline(0),
                ..
            }
        ),
        "{flaw}"
    );
    let flaw = refusal::<Ptr<'_, [NonZero<i64>; 3]>>(&[1, 2, 0], at(0, 0));
    assert!(
        matches!(
            flaw,
            Flaw::Zero {
                place: Place::Scope(16),
                ..
            }
        ),
        "{flaw}"
    );
}

#[test]
fn an_option_that_is_neither_is_refused() {
    for tag in [2_u64, 0x100, 0x8000_0000, 0xffff_ffff] {
        let flaw = refusal::<Option<u32>>(&[], [tag, 0, 0, 0]);
        assert!(matches!(flaw, Flaw::Option { .. }), "{flaw}");
    }
    for tag in [2_u64, 0x100, 1 << 63] {
        let flaw = refusal::<Option<u64>>(&[], [tag, 0, 0, 0]);
        assert!(matches!(flaw, Flaw::Option { .. }), "{flaw}");
    }
    // Two is None here, three is nothing.
    accepted::<Option<bool>>(&[], [2, 0, 0, 0]);
    let flaw = refusal::<Option<bool>>(&[], [3, 0, 0, 0]);
    assert!(matches!(flaw, Flaw::Bool { found: 3, .. }), "{flaw}");
    accepted::<Option<Option<bool>>>(&[], [3, 0, 0, 0]);
    let flaw = refusal::<Option<Option<bool>>>(&[], [4, 0, 0, 0]);
    assert!(matches!(flaw, Flaw::Bool { found: 4, .. }), "{flaw}");
    // What None leaves unused may be anything.
    accepted::<Option<(Str<'_>, bool)>>(&[], [u64::MAX, u64::MAX, 2, 0]);
}

#[test]
fn a_result_that_is_neither_is_refused() {
    for tag in [2_u64, 0x100, 1 << 63] {
        let flaw = refusal::<Result<u64, u64>>(&[], [tag, 0, 0, 0]);
        assert!(matches!(flaw, Flaw::Result { .. }), "{flaw}");
    }
    for (tag, place) in [(0, "Ok"), (1, "Err")] {
        let flaw = refusal::<Result<Str<'_>, Str<'_>>>(&[], [tag, BASE as u64, 1, 0]);
        assert!(matches!(flaw, Flaw::Outside { .. }), "{place}: {flaw}");
    }
    accepted::<Result<(), bool>>(&[], [2, 0, 0, 0]);
    let flaw = refusal::<Result<(), bool>>(&[], [3, 0, 0, 0]);
    assert!(matches!(flaw, Flaw::Bool { found: 3, .. }), "{flaw}");
}

#[test]
fn what_is_inside_an_option_is_checked() {
    let flaw = refusal::<Option<Ptr<'_, u64>>>(&[0; 8], at(64, 0));
    assert!(matches!(flaw, Flaw::Outside { .. }), "{flaw}");
    let flaw = refusal::<Option<char>>(&[], [0xd800, 0, 0, 0]);
    assert!(matches!(flaw, Flaw::Char { .. }), "{flaw}");
}

#[test]
fn flaws_deep_inside_are_found() {
    type Deep<'s> = Slice<'s, (Str<'s>, Option<Ptr<'s, Slice<'s, Str<'s>>>>)>;
    assert_eq!(size_of::<(Str<'_>, Option<Ptr<'_, u8>>)>(), 24);
    let base = BASE as u64;
    // One element: its text, its pointer; that one's slice, and its one text.
    let mut scope = [
        base + 24,
        2,
        base + 32,
        u64::from_le_bytes(*b"ab______"),
        base + 48,
        1,
        base + 64,
        3,
        0,
    ];
    scope[8] = u64::from_le_bytes(*b"xyz_____");
    let order = std::mem::offset_of!((Str<'_>, Option<Ptr<'_, u8>>), 0);
    assert_eq!(order, 0, "the compiler has the text first");
    accepted::<Deep<'_>>(&scope, at(0, 1));
    for (word, lie) in [
        (0, base),
        (0, base + 64),
        (1, 9),
        (2, base + 8),
        (2, base),
        (4, base + 32),
        (4, base),
        (5, 2),
        (6, base + 72),
        (6, base + 24),
        (7, 9),
        (8, 0xff),
    ] {
        let mut scope = scope;
        scope[word] = lie;
        refusal::<Deep<'_>>(&scope, at(0, 1));
    }
}

#[test]
fn lookups_in_a_lying_hashed_map_miss_and_end() {
    let base = BASE as u64;
    // Slots that are all full, and lead to entries that are not there, or to the wrong one.
    for slot in [u64::from(u32::MAX), 2, 1, u64::MAX] {
        let mut scope = vec![slot; 64];
        scope[0] = 11;
        scope[1] = 22;
        let root = [base, 1, base + 16, 62];
        let map = check_copy::<HashMap<'_, u64, u64>>(&bytes_of(&scope), BASE, root)
            .expect("its pointers are right");
        for key in 0..1000 {
            assert!(map.get().get(&key).is_none_or(|value| *value == 22));
        }
        assert_eq!(map.get().iter().collect::<Vec<_>>(), [(&11, &22)]);
    }
    let root = [base, 1, base + 16, 0];
    let map = check_copy::<HashMap<'_, u64, u64>>(&bytes_of(&[0; 4]), BASE, root);
    assert_eq!(map.expect("its pointers are right").get().get(&0), None);
}

#[test]
fn lookups_in_a_lying_ordered_map_miss_and_end() {
    let scope = [9, 0, 3, 0, 7, 0, 1, 0];
    let map = check_copy::<Map<'_, u64, u64>>(&bytes_of(&scope), BASE, at(0, 4))
        .expect("its pointers are right");
    for key in 0..10 {
        let _ = map.get().get(&key);
    }
    for (from, to) in [(0, 9), (9, 0), (3, 3), (7, 1)] {
        assert!(map.get().range(from..to).count() <= 4);
    }
    assert_eq!(map.get().len(), 4);
}

#[test]
fn a_flaw_says_what_and_where() {
    let flaw = refusal::<Ptr<'_, Option<bool>>>(&[9], at(0, 0));
    assert_eq!(flaw.to_string(), "byte 0 of the scope: 9 is no bool");
    let flaw = refusal::<(u64, Str<'_>)>(&[], [0, BASE as u64, 5, 0]);
    assert!(flaw.to_string().contains("elements of u8"), "{flaw}");
}
