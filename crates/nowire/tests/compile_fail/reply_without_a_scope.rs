use nowire::{Scope, Shared, Str};

#[derive(Shared)]
struct Found<'s> {
    name: Str<'s>,
}

#[nowire::service]
trait Catalogue {
    fn find(&self, id: u64) -> Found<'static>;
}

struct Books;

impl Catalogue for Books {
    fn find(&self, _id: u64) -> Found<'static> {
        let scope = Scope::private(4096);
        Found {
            name: scope.str("Emma").unwrap(),
        }
    }
}

fn main() {}
