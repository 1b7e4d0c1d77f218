use nowire::Shared;

#[derive(Shared)]
enum Color {
    Red,
    Green,
}

#[derive(Shared)]
#[repr(C)]
enum Shape {
    Round(f64),
    Square,
}

fn main() {}
