//! What the themes share.

pub(crate) mod carrier;
pub(crate) mod handlers;
pub(crate) mod payload;
pub(crate) mod script;
