use std::fs::File;

use nowire::Shared;

struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {}
}

#[derive(Shared)]
struct Order {
    guard: Guard,
    log: File,
}

fn main() {}
