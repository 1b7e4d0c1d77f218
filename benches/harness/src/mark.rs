//! How a reader shows that it has read.

use std::hint::black_box;

/// A number that depends on every byte.
pub fn sum(data: &[u8]) -> u64 {
    let (words, rest) = data.as_chunks::<8>();
    let sum = words.iter().fold(0_u64, |sum, word| {
        sum.wrapping_add(u64::from_le_bytes(*word))
    });
    black_box(
        rest.iter()
            .fold(sum, |sum, &byte| sum.wrapping_add(u64::from(byte))),
    )
}

/// The sum of so many bytes that are all the same, without reading them.
pub fn sum_of_equal(byte: u8, bytes: usize) -> u64 {
    let words = u64::from_le_bytes([byte; 8]).wrapping_mul((bytes / 8) as u64);
    words.wrapping_add(u64::from(byte) * (bytes % 8) as u64)
}

/// A byte that depends on every byte of the payload and is never zero, so that
/// an answer full of it shows that the server read what it was sent.
pub fn mark(data: &[u8]) -> u8 {
    sum(data).to_le_bytes().iter().fold(0, |a, b| a ^ b) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_need_not_be_read_to_know_their_sum() {
        for (byte, bytes) in [(0, 0), (7, 3), (255, 8), (254, 4099)] {
            assert_eq!(sum(&vec![byte; bytes]), sum_of_equal(byte, bytes));
        }
    }
}
