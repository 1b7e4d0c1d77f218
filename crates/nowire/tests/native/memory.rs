//! The memory of a channel grows as it is needed, and goes back.

use crate::house::{House, connect};
use crate::lab::{LabClient, leaf, tree};
use crate::vitals::{Vitals, wait_until};

#[test]
fn a_heap_grows_on_demand_and_shrinks_on_both_sides() {
    let house = House::new();
    let server = house.server("keeping=trust");
    let client = house.client();
    client.nothing().expect("served");
    assert_eq!(client.channel().heap_bytes(), 0, "nothing was built");
    let before = Vitals::of(server.pid());
    for _ in 0..3 {
        let scopes: Vec<_> = (0..200)
            .map(|_| client.scope_of(256 << 10).expect("room"))
            .collect();
        assert!(client.channel().heap_bytes() >= 50 << 20);
        for scope in &scopes {
            assert_eq!(*client.weigh(&leaf(scope, 3)).expect("served"), 3);
        }
        assert!(Vitals::of(server.pid()).shared_bytes >= before.shared_bytes + (50 << 20));
        drop(scopes);
        client.channel().shrink();
        assert!(
            client.channel().heap_bytes() <= 16 << 20,
            "one segment is kept"
        );
        wait_until("the server unmaps it", || {
            client.nothing().expect("served");
            Vitals::of(server.pid()).shared_bytes <= before.shared_bytes + (16 << 20)
        });
    }
}

#[test]
fn a_scope_larger_than_any_memory_is_refused() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    for bytes in [2 << 30, 1 << 40, usize::MAX] {
        let error = client.scope_of(bytes).expect_err("there is no so much");
        assert!(error.to_string().contains("1073741824"), "{error}");
    }
    let scope = client.scope().expect("room");
    assert_eq!(*client.weigh(&leaf(&scope, 3)).expect("served"), 3);
}

#[test]
fn memory_in_use_is_not_given_back() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = house.client();
    let scope = client.scope_of(3 << 20).expect("room");
    let built = scope
        .build(tree(&scope, 5, 5).expect("room"))
        .expect("room");
    let kept = client.scope_of(3 << 20).expect("room");
    assert!(*client.keep(leaf(&kept, 7)).expect("served"));
    drop(kept);
    client.channel().shrink();
    assert!(client.channel().heap_bytes() >= 6 << 20);
    assert_eq!(*client.weigh(&built).expect("served"), 3906);
    assert_eq!(*client.weigh_kept().expect("served"), 7);
}

#[test]
fn one_argument_may_be_as_large_as_the_quota() {
    let house = House::new();
    for keeping in ["trust", "copy", "seal"] {
        let _server = house.server(&format!("keeping={keeping} seal_from=65536"));
        let client = house.client();
        let scope = client.scope_of(100 << 20).expect("room");
        let bytes = scope.fill(99 << 20, |bytes| bytes.fill(7)).expect("room");
        let bytes = scope.build(bytes).expect("room");
        assert_eq!(*client.length(&bytes).expect("served"), 99 << 20);
    }
}

#[test]
fn a_server_gives_the_memory_of_its_clients_back_when_they_hang_up() {
    let house = House::new();
    let server = house.server("keeping=trust");
    let steady = house.client();
    steady.nothing().expect("served");
    let before = Vitals::of(server.pid());
    for _ in 0..20 {
        let client = LabClient::new(connect(house.trusting()));
        let scope = client.scope_of(4 << 20).expect("room");
        let text = scope.build(scope.str("abc").expect("room")).expect("room");
        let reply = client.repeat(&text, 100).expect("served");
        assert_eq!(reply.get().text.len(), 300);
        // In whatever order they are dropped.
        drop(client);
        drop(scope);
        drop(reply);
    }
    before.assert_again(server.pid());
}
