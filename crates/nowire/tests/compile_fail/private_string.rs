use nowire::Shared;

#[derive(Shared)]
struct Order {
    id: u64,
    note: String,
}

fn main() {}
