use nowire::Shared;

#[derive(Shared)]
struct Order {
    id: u64,
    parent: Option<Box<Order>>,
}

fn main() {}
