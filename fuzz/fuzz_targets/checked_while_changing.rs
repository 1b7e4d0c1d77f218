//! A tree that changes while it is copied.
#![cfg_attr(fuzzing, no_main)]

nowire_fuzz::target!(checked_while_changing);
