use nowire::{Channel, Shared};

#[derive(Shared, Clone, Copy)]
struct Order {
    id: u64,
}

#[nowire::service]
trait Pricing {
    fn quote(&self, order: &Order) -> u64;
}

fn main() {
    let channel: Channel = nowire::connect("pricing").unwrap();
    let pricing = PricingClient::new(channel);
    let scope = pricing.scope().unwrap();
    let mut order = scope.build(Order { id: 7 }).unwrap();
    let pending = pricing.quote_later(&order).unwrap();
    scope.set(&mut order, Order { id: 8 }).unwrap();
    println!("{:?}", pending.wait());
}
