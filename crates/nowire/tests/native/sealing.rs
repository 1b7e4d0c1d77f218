//! Scopes that nobody can change any more.

use std::os::unix::fs::FileExt;

use nowire::{Ptr, ScopeError, Slice};

use crate::house::House;
use crate::lab::{Tree, leaf, tree};
use crate::vitals::{Vitals, wait_until};

#[test]
fn a_sealed_scope_is_read_where_its_caller_built_it() {
    let house = House::new();
    let _server = house.server("keeping=seal seal_from=65536");
    let client = house.client();
    let small = client.scope_of(8 << 10).expect("room");
    let built = leaf(&small, 1);
    let there = *client.address_of(&built).expect("served");
    assert_ne!(there, Ptr::address(&built) as u64, "too small: a copy");
    let large = client.scope_of(128 << 10).expect("room");
    let built = large
        .build(tree(&large, 4, 4).expect("room"))
        .expect("room");
    let there = *client.address_of(&built).expect("served");
    assert_eq!(there, Ptr::address(&built) as u64);
    assert_eq!(*client.weigh_in_pool(&built).expect("served"), 341);
    assert_eq!(*client.weigh_in_task(&built).expect("served"), 341);
}

#[test]
fn a_sealed_scope_can_not_be_changed_by_anybody() {
    let house = House::new();
    let _server = house.server("keeping=seal seal_from=4096");
    let client = house.client();
    let mut scope = client.scope_of(128 << 10).expect("room");
    let mut built = leaf(&scope, 5);
    assert_eq!(*client.weigh(&built).expect("served"), 5);
    let heavier = Tree {
        name: nowire::Str::empty(),
        weight: 6,
        children: Slice::empty(),
    };
    assert_eq!(scope.set(&mut built, heavier), Err(ScopeError::Sealed));
    assert!(matches!(scope.str("more"), Err(ScopeError::Sealed)));
    assert_eq!(*client.weigh(&built).expect("served"), 5);
    assert_write_is_refused(Ptr::address(&built));
    assert_eq!(scope.reset(), Err(ScopeError::Sealed));
}

/// Opens the memory file that is mapped at an address once more, and stores to it.
fn assert_write_is_refused(address: usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("mappings");
    let range = maps.lines().find_map(|line| {
        let range = line.split_whitespace().next()?;
        let (from, to) = range.split_once('-')?;
        let [from, to] = [from, to].map(|text| usize::from_str_radix(text, 16).ok());
        (from?..to?).contains(&address).then_some(range)
    });
    let path = format!("/proc/self/map_files/{}", range.expect("it is mapped"));
    let file = match std::fs::File::options().write(true).open(&path) {
        Ok(file) => file,
        Err(error) => {
            eprintln!("skipped: {path} can not be opened: {error}");
            return;
        }
    };
    let error = file.write_at(&[7], 0).expect_err("it is sealed");
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
}

#[test]
fn a_busy_server_is_handed_more_sealed_scopes_than_it_has_room_for() {
    let house = House::new();
    let _server = house.server("keeping=seal seal_from=65536");
    let client = house.client();
    client.nothing().expect("served");
    let busy = client.dawdle_later(300).expect("sent");
    let scopes: Vec<_> = (0..400)
        .map(|_| client.scope_of(100 << 10).expect("room"))
        .collect();
    let built: Vec<_> = (0..)
        .zip(&scopes)
        .map(|(n, scope)| leaf(scope, n))
        .collect();
    let calls: Vec<_> = built
        .iter()
        .map(|built| client.weigh_later(built).expect("sent"))
        .collect();
    for (n, call) in (0..).zip(calls) {
        assert_eq!(*call.wait().expect("served"), n);
    }
    busy.wait().expect("served");
    drop(built);
    drop(scopes);

    // One after the other, each sealed before the next is made.
    let busy = client.dawdle_later(300).expect("sent");
    let scopes: Vec<_> = (0..400)
        .map(|n| {
            let scope = client.scope_of(100 << 10).expect("room");
            drop(client.weigh_later(&leaf(&scope, n)).expect("sent"));
            scope
        })
        .collect();
    busy.wait().expect("served");
    for scope in scopes {
        drop(scope);
        client.nothing().expect("served");
    }
}

#[test]
fn what_is_sealed_can_be_kept_in_place_after_its_client() {
    let house = House::new();
    let server = house.server("keeping=seal seal_from=4096");
    let client = house.client();
    client.nothing().expect("served");
    let before = Vitals::of(server.pid());
    let mut keeper = house.program("keeper", "trees=20");
    keeper.line("kept");
    keeper.kill();
    assert_eq!(*client.weigh_kept().expect("served"), 20);
    assert_eq!(*client.let_go().expect("served"), 20);
    before.assert_again(server.pid());
}

#[test]
fn sealed_scopes_by_the_thousand_take_no_more_memory_than_one() {
    let house = House::new();
    let server = house.server("keeping=seal seal_from=65536");
    let client = house.client();
    let call = |weight| {
        let scope = client.scope_of(1 << 20).expect("room");
        assert_eq!(
            *client.weigh(&leaf(&scope, weight)).expect("served"),
            weight
        );
    };
    (0..50).for_each(call);
    let heap_bytes = client.channel().heap_bytes();
    let before = Vitals::of(server.pid());
    (0..3000).for_each(call);
    assert!(client.channel().heap_bytes() <= heap_bytes.max(64 << 20));
    wait_until("the server gives the memory back", || {
        client.channel().shrink();
        client.nothing().expect("served");
        let now = Vitals::of(server.pid());
        now.descriptors <= before.descriptors + 1
            && now.shared_bytes <= before.shared_bytes + (2 << 20)
    });
}

#[test]
fn more_scopes_may_be_open_than_can_be_sealed() {
    let house = House::new();
    let _server = house.server("keeping=seal seal_from=4096");
    let client = house.client();
    let scopes: Vec<_> = (0..200)
        .map(|_| client.scope_of(8 << 10).expect("room"))
        .collect();
    for (weight, scope) in (0..).zip(&scopes) {
        let built = leaf(scope, weight);
        assert_eq!(*client.weigh(&built).expect("served"), weight);
    }
}

#[test]
fn sealed_scopes_are_kept_and_come_back() {
    let house = House::new();
    let _server = house.server("keeping=seal seal_from=4096");
    let client = house.client();
    for round in 0..5 {
        for _ in 0..30 {
            let scope = client.scope_of(8 << 10).expect("room");
            assert!(*client.keep(leaf(&scope, round)).expect("served"));
        }
        assert_eq!(client.channel().held_scopes(), 30);
        assert_eq!(*client.weigh_kept().expect("served"), 30 * round);
        assert_eq!(*client.let_go().expect("served"), 30);
        wait_until("the scopes come back", || {
            client.channel().held_scopes() == 0
        });
        client.channel().shrink();
    }
}
