use nowire::Channel;

#[nowire::service]
trait Pricing {
    fn quote(&self, number: &u64) -> u64;
}

fn main() {
    let channel: Channel = nowire::connect("pricing").unwrap();
    let pricing = PricingClient::new(channel);
    let mut scope = pricing.scope().unwrap();
    let order = scope.build(7_u64).unwrap();
    let pending = pricing.quote_later(&order).unwrap();
    scope.reset().unwrap();
    println!("{:?}", pending.wait());
}
