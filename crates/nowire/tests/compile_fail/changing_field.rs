use std::cell::Cell;
use std::sync::atomic::AtomicU64;

use nowire::Shared;

#[derive(Shared)]
struct Counter {
    here: Cell<u64>,
    anywhere: AtomicU64,
}

fn main() {}
