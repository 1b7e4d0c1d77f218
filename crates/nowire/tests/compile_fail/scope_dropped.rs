use nowire::Scope;

fn main() {
    let number = {
        let scope = Scope::private(4096);
        scope.build(7_u64).unwrap()
    };
    println!("{number:?}");
}
