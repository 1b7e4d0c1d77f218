struct Order {
    note: String,
}

#[nowire::service]
trait Pricing {
    fn quote(&self, order: &Order) -> u64;
    fn name(&self) -> String;
}

fn main() {}
