use nowire::Shared;

#[derive(Shared)]
struct Order<'s> {
    id: u64,
    note: &'s str,
    parent: Option<&'s Order<'s>>,
}

fn main() {}
