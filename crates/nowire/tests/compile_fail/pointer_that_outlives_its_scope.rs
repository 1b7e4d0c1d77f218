use nowire::{Ptr, Shared};

type Forever<T> = Ptr<'static, T>;

#[derive(Shared)]
struct Named<'s> {
    id: Ptr<'s, u64>,
    other: Ptr<'static, u64>,
}

#[derive(Shared)]
struct Hidden {
    id: Forever<u64>,
}

fn main() {}
