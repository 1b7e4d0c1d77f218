use nowire::Shared;

#[derive(Shared)]
union Either {
    bits: u32,
    number: f32,
}

fn main() {}
