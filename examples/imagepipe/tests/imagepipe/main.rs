//! The images, the tiers as processes, and the program that measures them.

mod answers;
mod deaths;
mod photos;
mod program;
mod support;
mod tokens;
