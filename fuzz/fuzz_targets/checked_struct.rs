//! Structures of plain data that a peer passed.
#![cfg_attr(fuzzing, no_main)]

nowire_fuzz::target!(checked_struct);
