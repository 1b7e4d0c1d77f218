//! Inputs that the fuzzer starts from, made from the code rather than kept as
//! files, so that they follow the layouts.

/// Each target with its first inputs.
pub fn all() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    vec![("trivial", vec![b"nowire".to_vec()])]
}
