/// Proves that the frame of the fuzz targets holds.
pub fn trivial(input: &[u8]) {
    if let Some(word) = input.first_chunk::<8>() {
        assert_ne!(u64::from_le_bytes(*word), 0xdead_beef_0bad_cafe);
    }
}
