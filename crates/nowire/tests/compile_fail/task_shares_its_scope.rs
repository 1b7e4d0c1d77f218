use nowire::{Scope, Shared, Str};

#[derive(Shared)]
struct Found<'s> {
    name: Str<'s>,
}

#[nowire::service]
trait Catalogue {
    async fn find<'r>(&self, out: &'r mut Scope) -> Found<'r>;
}

struct Books;

impl Catalogue for Books {
    async fn find<'r>(&self, out: &'r mut Scope) -> Found<'r> {
        let scope: &Scope = out;
        std::future::ready(()).await;
        Found {
            name: scope.str("Emma").unwrap(),
        }
    }
}

fn main() {}
