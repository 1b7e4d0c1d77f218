use nowire::{Ptr, Scope, Shared};

#[derive(Shared)]
struct Pair<'s> {
    left: Ptr<'s, u64>,
    right: Ptr<'s, u64>,
}

fn main() {
    let scope = Scope::private(4096);
    let one = scope.build(7_u64).unwrap();
    let pair = scope.build(Pair { left: one, right: one });
    println!("{}", pair.is_ok());
}
