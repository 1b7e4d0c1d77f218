use nowire::{Shared, Str};

#[derive(Shared)]
struct Name<'a, 'b> {
    given: Str<'a>,
    family: Str<'b>,
}

fn main() {}
