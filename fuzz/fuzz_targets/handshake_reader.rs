//! The messages of the handshake, from a peer that may be anybody.
#![cfg_attr(fuzzing, no_main)]

nowire_fuzz::target!(handshake_reader);
