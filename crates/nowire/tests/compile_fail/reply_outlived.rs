use nowire::{Channel, Scope, Shared, Str};

#[derive(Shared)]
struct Found<'s> {
    name: Str<'s>,
}

#[nowire::service]
trait Catalogue {
    fn find<'r>(&self, id: u64, out: &'r Scope) -> Found<'r>;
}

fn main() {
    let channel: Channel = nowire::connect("catalogue").unwrap();
    let catalogue = CatalogueClient::new(channel);
    let name = {
        let reply = catalogue.find(7).unwrap();
        &reply.get().name
    };
    println!("{name:?}");

    let reply = catalogue.find(8).unwrap();
    let name = &reply.get().name;
    drop(reply);
    println!("{name:?}");
}
