//! Proves that the frame of the fuzz targets holds.
#![cfg_attr(fuzzing, no_main)]

nowire_fuzz::target!(trivial);
