//! Texts made from numbers.

use std::sync::LazyLock;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The digits of a number in base 32, as NoBench writes its texts: letters and
/// digits, filled up with `=` to whole groups of eight.
pub(super) fn encoded(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for group in digits.as_bytes().chunks(5) {
        let mut bits = 0_u64;
        for place in 0..5 {
            bits = bits << 8 | u64::from(group.get(place).copied().unwrap_or(0));
        }
        let letters = (group.len() * 8).div_ceil(5);
        for letter in 0..8 {
            let value = (bits >> (35 - 5 * letter)) as usize & 31;
            text.push(if letter < letters {
                char::from(ALPHABET[value])
            } else {
                '='
            });
        }
    }
    text
}

/// How many words there are. A list has 3.5 on average, so that each word is in
/// one list of a thousand.
pub(super) const WORDS: u32 = 3500;

/// A word that can be spoken.
pub(super) fn word(number: u32) -> String {
    const FIRST: [&str; 15] = [
        "ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu",
    ];
    const LAST: [&str; 16] = [
        "ban", "cer", "dis", "fol", "gun", "har", "jes", "kil", "lon", "mur", "nas", "pel", "rin",
        "sor", "tus", "val",
    ];
    let number = number as usize;
    let middle = number / LAST.len();
    let first = middle / FIRST.len();
    [
        FIRST[first % FIRST.len()],
        FIRST[middle % FIRST.len()],
        LAST[number % LAST.len()],
    ]
    .concat()
}

/// How many sparse fields there are.
pub(super) const SPARSE_FIELDS: u32 = 1000;

/// The name of a sparse field.
pub(super) fn sparse_name(number: u32) -> &'static str {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        (0..SPARSE_FIELDS)
            .map(|number| format!("sparse_{number:03}"))
            .collect()
    });
    &NAMES[(number % SPARSE_FIELDS) as usize]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn texts_are_the_digits_in_base_32() {
        assert_eq!(encoded(0), "GA======");
        assert_eq!(encoded(12345), "GEZDGNBV");
        assert_eq!(encoded(123_456), "GEZDGNBVGY======");
    }

    #[test]
    fn every_word_is_another() {
        let words: HashSet<String> = (0..WORDS).map(word).collect();
        assert_eq!(words.len(), WORDS as usize);
    }
}
