//! Frames of every kind and order on a few streams.
#![cfg_attr(fuzzing, no_main)]

nowire_fuzz::target!(stream_frames);
