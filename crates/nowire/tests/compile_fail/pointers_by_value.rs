use nowire::{Shared, Str};

#[derive(Shared)]
struct Order<'s> {
    note: Str<'s>,
}

#[nowire::service]
trait Pricing {
    fn quote(&self, order: Order<'_>) -> u64;
}

fn main() {}
