//! Calls to the operating system and the processor that Rust cannot check.

pub(crate) mod copy;
pub(crate) mod credentials;
pub(crate) mod lease;
pub(crate) mod malloc;
pub(crate) mod mapping;
pub(crate) mod mark;
pub(crate) mod pieces;
pub(crate) mod private;
pub(crate) mod processor;
pub(crate) mod warm;
pub(crate) mod window;
