use nowire::Channel;

#[nowire::service]
trait Pricing {
    fn quote(&self, id: u64) -> u64;
}

fn main() {
    let pending = {
        let channel: Channel = nowire::connect("pricing").unwrap();
        let pricing = PricingClient::new(channel);
        pricing.quote_later(7).unwrap()
    };
    println!("{:?}", pending.wait());
}
