//! A ring in a peer's memory, which changes while it is read.
#![cfg_attr(fuzzing, no_main)]

nowire_fuzz::target!(ring_reader);
