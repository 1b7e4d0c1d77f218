/// `len` bytes that nothing but `seed` tells.
pub fn contents(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    for (at, chunk) in (0..).zip(bytes.chunks_mut(8)) {
        let word = word(seed, at).to_le_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
    bytes
}

/// Whether `bytes` are the [`contents`] of `seed`.
pub fn is_made_of(seed: u64, bytes: &[u8]) -> bool {
    (0..).zip(bytes.chunks(8)).all(|(at, chunk)| {
        let expected = word(seed, at).to_le_bytes();
        chunk == &expected[..chunk.len()]
    })
}

/// No two words of two contents are the same.
fn word(seed: u64, at: u64) -> u64 {
    let mixed = (seed << 32 ^ at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}
