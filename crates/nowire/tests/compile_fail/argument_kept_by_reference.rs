use std::sync::Mutex;

use nowire::{Shared, Str};

#[derive(Shared)]
struct Order<'s> {
    note: Str<'s>,
}

#[nowire::service]
trait Pricing {
    fn quote(&self, order: &Order) -> u64;
}

struct Ledger {
    orders: Mutex<Vec<&'static Order<'static>>>,
}

impl Pricing for Ledger {
    fn quote(&self, order: &Order) -> u64 {
        self.orders.lock().unwrap().push(order);
        0
    }
}

fn main() {}
