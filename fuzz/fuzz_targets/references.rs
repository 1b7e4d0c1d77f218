//! References, as whoever sends them likes.
#![cfg_attr(fuzzing, no_main)]

nowire_fuzz::target!(references);
