//! Frames of a server of native calls, against a whole client.
#![cfg_attr(fuzzing, no_main)]

nowire_fuzz::target!(native_client);
