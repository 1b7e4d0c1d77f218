use nowire::Scope;

fn main() {
    let mut scope = Scope::private(4096);
    let text = scope.str("gift").unwrap();
    scope.reset().unwrap();
    println!("{text:?}");
}
