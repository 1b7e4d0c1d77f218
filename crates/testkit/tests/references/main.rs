//! Large data that goes by reference, between real processes: who gets it, who
//! keeps it, who never sees it, and what happens when one of them dies or lies.

mod bad_memory;
mod child;
mod crashes;
mod jammed;
mod liar;
mod messages;
mod old_peers;
mod passing_on;
mod scene;
mod setup;
mod starved;
mod strangers;
mod streams;
mod woken;
