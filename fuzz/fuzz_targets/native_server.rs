//! Frames of a client of native calls, against a whole server.
#![cfg_attr(fuzzing, no_main)]

nowire_fuzz::target!(native_server);
