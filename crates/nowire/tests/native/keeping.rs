//! Arguments that the server holds beyond their call.

use nowire::{Ptr, ScopeError};

use crate::house::House;
use crate::lab::{LabClient, leaf, tree};
use crate::vitals::{Vitals, wait_until};

#[test]
fn trusted_arguments_are_read_where_the_caller_built_them() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = house.client();
    let scope = client.scope().expect("room");
    let built = leaf(&scope, 1);
    let there = *client.address_of(&built).expect("served");
    assert_eq!(there, Ptr::address(&built) as u64);
}

#[test]
fn arguments_of_a_stranger_are_copied() {
    let house = House::new();
    let _server = house.server("keeping=copy");
    let client = house.client();
    let scope = client.scope().expect("room");
    let built = leaf(&scope, 1);
    let there = *client.address_of(&built).expect("served");
    assert_ne!(there, Ptr::address(&built) as u64);
}

#[test]
fn what_is_kept_in_place_comes_back_when_the_server_lets_go() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = house.client();
    let mut scope = client.scope().expect("room");
    for round in 1..4 {
        let in_place = *client.keep(leaf(&scope, round)).expect("served");
        assert!(in_place);
        assert_eq!(client.channel().held_scopes(), 1);
        assert_eq!(scope.reset(), Err(ScopeError::Held));
        assert_eq!(*client.weigh_kept().expect("served"), round);
        assert_eq!(*client.let_go().expect("served"), 1);
        wait_until("the scope comes back", || {
            client.channel().held_scopes() == 0
        });
        scope.reset().expect("nobody holds it");
    }
    assert!(*client.keep_in_pool(leaf(&scope, 9)).expect("served"));
    assert_eq!(client.channel().held_scopes(), 1);
    client.let_go().expect("served");
    wait_until("the scope comes back", || {
        client.channel().held_scopes() == 0
    });
}

#[test]
fn what_is_kept_as_a_copy_leaves_the_scope_to_its_caller() {
    let house = House::new();
    let _server = house.server("keeping=copy");
    let client = house.client();
    let mut scope = client.scope().expect("room");
    for round in 1..4 {
        assert!(!*client.keep(leaf(&scope, round)).expect("served"));
        assert_eq!(client.channel().held_scopes(), 0);
        scope.reset().expect("nobody holds it");
    }
    assert_eq!(*client.weigh_kept().expect("served"), 1 + 2 + 3);
}

#[test]
fn an_idle_client_learns_that_its_scopes_came_back() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let holder = house.client();
    let other = house.client();
    let scope = holder.scope().expect("room");
    holder.keep(leaf(&scope, 1)).expect("served");
    assert_eq!(holder.channel().held_scopes(), 1);
    // Another client makes the server let go; the holder itself calls no more.
    other.let_go().expect("served");
    wait_until("the scope comes back", || {
        holder.channel().held_scopes() == 0
    });
}

#[test]
fn thousands_of_kept_objects_dropped_at_once_are_no_burden_to_an_idle_client() {
    const OBJECTS: u64 = 20_000;
    let house = House::new();
    let _server = house.server("keeping=trust");
    let holder = house.client();
    let other = house.client();
    for _ in 0..OBJECTS {
        let scope = holder.scope_of(2000).expect("room");
        holder.keep(leaf(&scope, 1)).expect("served");
    }
    assert_eq!(holder.channel().held_scopes() as u64, OBJECTS);
    assert_eq!(*other.let_go().expect("served"), OBJECTS);
    holder.nothing().expect("still connected");
    wait_until("the scopes come back", || {
        holder.nothing().expect("served");
        holder.channel().held_scopes() == 0
    });
    holder.channel().shrink();
    assert!(holder.channel().heap_bytes() <= 16 << 20);
}

#[test]
fn an_object_kept_twice_is_held_until_it_is_let_go_twice() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = house.client();
    let mut scope = client.scope().expect("room");
    client.keep(leaf(&scope, 1)).expect("served");
    client.keep(leaf(&scope, 2)).expect("served");
    assert_eq!(client.channel().held_scopes(), 1, "it is one scope");
    assert_eq!(*client.weigh_kept().expect("served"), 3);
    assert_eq!(scope.reset(), Err(ScopeError::Held));
    assert_eq!(*client.let_go().expect("served"), 2);
    wait_until("the scope comes back", || {
        client.channel().held_scopes() == 0
    });
    scope.reset().expect("nobody holds it");
}

#[test]
fn what_the_handler_drops_before_it_replies_is_not_held() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = house.client();
    let mut scope = client.scope().expect("room");
    for _ in 0..2000 {
        assert_eq!(*client.glance(leaf(&scope, 7)).expect("served"), 7);
        wait_until("the scope comes back", || {
            client.channel().held_scopes() == 0
        });
        scope.reset().expect("nobody holds it");
    }
}

#[test]
fn what_is_kept_outlives_its_killed_client() {
    let house = House::new();
    for keeping in ["trust", "copy"] {
        let server = house.server(&format!("keeping={keeping}"));
        let client = house.client();
        client.nothing().expect("served");
        let before = Vitals::of(server.pid());
        let mut keeper = house.program("keeper", "trees=40");
        keeper.line("kept");
        keeper.kill();
        for _ in 0..20 {
            assert_eq!(*client.weigh_kept().expect("served"), 40);
        }
        assert_eq!(*client.let_go().expect("served"), 40);
        before.assert_again(server.pid());
    }
}

#[test]
fn a_value_is_set_again_once_nobody_reads_it() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = house.client();
    let scope = client.scope().expect("room");
    let mut built = leaf(&scope, 1);
    assert_eq!(*client.weigh(&built).expect("served"), 1);
    let heavier = |weight| crate::lab::Tree {
        name: scope.str("set").expect("room"),
        weight,
        children: nowire::Slice::empty(),
    };
    scope.set(&mut built, heavier(5)).expect("the call is over");
    assert_eq!(*client.weigh(&built).expect("served"), 5);

    // A call that is given up may still be read.
    let pending = client.weigh_at_gate_later(&built).expect("sent");
    wait_until("the handler waits", || {
        client.seen().expect("served").waiting == 1
    });
    drop(pending);
    let refused = scope.set(&mut built, heavier(6));
    // Unless the handler has been told by now.
    assert!(
        matches!(refused, Err(ScopeError::Held) | Ok(())),
        "{refused:?}"
    );
    wait_until("the call ends", || {
        client.nothing().expect("served");
        scope.set(&mut built, heavier(7)).is_ok()
    });
    assert_eq!(*client.weigh(&built).expect("served"), 7);
}

#[test]
fn a_scope_in_a_call_that_was_given_up_is_held_until_the_handler_ends() {
    let house = House::new();
    let mut server = house.server("keeping=trust");
    let client = house.client();
    let mut scope = client.scope().expect("room");
    client.nothing().expect("served");
    // A server that does not get to it.
    server.stop();
    let impatient = client.clone().timeout(std::time::Duration::from_millis(20));
    let built = leaf(&scope, 1);
    impatient.weigh(&built).expect_err("nobody answers");
    assert_eq!(scope.reset(), Err(ScopeError::Held));
    server.resume();
    wait_until("the call ends", || {
        client.nothing().expect("served");
        scope.reset().is_ok()
    });
    assert!(server.end());
}

#[test]
fn a_kept_argument_of_a_call_that_was_given_up_is_held_until_it_is_let_go() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = house.client();
    let scope = client.scope().expect("room");
    let pending = client.keep_at_gate_later(leaf(&scope, 3)).expect("sent");
    wait_until("the handler waits", || {
        client.seen().expect("served").waiting == 1
    });
    drop(pending);
    wait_until("the handler gives up", || {
        client.seen().expect("served").waiting == 0
    });
    wait_until("the reply comes", || {
        client.nothing().expect("served");
        client.channel().held_scopes() == 1
    });
    assert_eq!(*client.weigh_kept().expect("served"), 3);
    client.let_go().expect("served");
    wait_until("the scope comes back", || {
        client.channel().held_scopes() == 0
    });
}

#[test]
fn memory_given_back_while_handlers_return_cuts_nobody_off() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = LabClient::new(crate::house::connect(house.trusting()));
    // So that the larger segment goes each time.
    let _small = client.scope().expect("room");
    for _ in 0..1000 {
        let scope = client.scope_of(1 << 20).expect("room");
        let built = tree(&scope, 2, 3).expect("room");
        let built = scope.build(built).expect("room");
        assert_eq!(*client.weigh_in_pool(&built).expect("served"), 13);
        assert_eq!(*client.weigh_in_task(&built).expect("served"), 13);
        drop(scope);
        client.channel().shrink();
    }
    client.nothing().expect("still connected");
}
