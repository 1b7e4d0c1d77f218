//! Large data that goes by reference, between real processes: who gets it, who
//! keeps it, who never sees it, and what happens when one of them dies or lies.

mod child;
mod crashes;
mod messages;
mod passing_on;
mod scene;
mod setup;
mod streams;
