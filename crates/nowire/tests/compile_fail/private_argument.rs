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
    println!("{:?}", pricing.quote(&Order { id: 7 }));
}
