//! Header and trailer blocks from a peer.
#![cfg_attr(fuzzing, no_main)]

nowire_fuzz::target!(head_reader);
