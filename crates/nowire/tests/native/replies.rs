//! What a call gives back.

use nowire::{CallError, Code};

use crate::house::{House, connect};
use crate::lab::{LabClient, Refusal};
use crate::vitals::Vitals;

#[test]
fn unit_replies_and_values_of_every_size_come_from_every_kind_of_handler() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    client.nothing().expect("served");
    assert_eq!(*client.add(1, 2).expect("served"), 3);
    assert_eq!(*client.add_in_pool(3, 4).expect("served"), 7);
    assert_eq!(*client.add_in_task(5, 6).expect("served"), 11);
    let wide = client.wide(1000).expect("served");
    assert!((*wide).iter().copied().eq(1000..1600));
}

#[test]
fn the_error_of_a_method_arrives_with_its_type() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    assert_eq!(*client.divide(12, 4).expect("no error"), 3);
    match client.divide(12, 0) {
        Err(CallError::Returned(Refusal::DividedByZero { dividend: 12 })) => {}
        other => panic!("{other:?}"),
    }
    client.refuse(0).expect("no error");
    match client.refuse(77) {
        Err(CallError::Returned(Refusal::TooMuch(77))) => {}
        other => panic!("{other:?}"),
    }
    let scope = client.scope().expect("room");
    let text = scope.build(scope.str("no").expect("room")).expect("room");
    match client.repeat(&text, 1 << 20) {
        Err(CallError::Returned(Refusal::NoRoom)) => {}
        other => panic!("{other:?}"),
    }
    let repeated = client.repeat(&text, 3).expect("room");
    assert_eq!(repeated.get().text, *"nonono");
}

#[test]
fn a_trusted_reply_is_read_where_the_server_built_it() {
    let house = House::new();
    let server = house.server("");
    let client = LabClient::new(connect(house.trusting()));
    let scope = client.scope().expect("room");
    let text = scope.build(scope.str("abc").expect("room")).expect("room");
    for reply in [
        client.repeat(&text, 1000).expect("served"),
        client.repeat_in_pool(&text, 1000).expect("served"),
    ] {
        let placed = reply.get();
        assert_eq!(placed.text, *"abc".repeat(1000));
        assert_eq!(placed.text.as_ptr().addr() as u64, placed.at);
    }
    assert_ne!(server.pid(), std::process::id());
}

#[test]
fn a_reply_from_a_stranger_is_a_copy() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    let scope = client.scope().expect("room");
    let text = scope.build(scope.str("abc").expect("room")).expect("room");
    let reply = client.repeat(&text, 1000).expect("served");
    let placed = reply.get();
    assert_eq!(placed.text, *"abc".repeat(1000));
    assert_ne!(placed.text.as_ptr().addr() as u64, placed.at);
}

#[test]
fn a_hundred_thousand_replies_take_no_more_memory_of_the_server_than_a_thousand() {
    let house = House::new();
    let server = house.server("");
    for options in [house.trusting(), house.options()] {
        let client = LabClient::new(connect(options));
        let scope = client.scope().expect("room");
        let text = scope.build(scope.str("abc").expect("room")).expect("room");
        let call = || {
            let reply = client.repeat(&text, 10).expect("served");
            assert_eq!(reply.get().text.len(), 30);
        };
        (0..1000).for_each(|_| call());
        let before = Vitals::of(server.pid());
        (0..50_000).for_each(|_| call());
        let after = Vitals::of(server.pid());
        assert_eq!(after.shared_bytes, before.shared_bytes);
        assert_eq!(after.descriptors, before.descriptors);
    }
}

#[test]
fn replies_that_are_held_stay_as_they_were_while_others_come_and_go() {
    let house = House::new();
    let server = house.server("");
    let client = LabClient::new(connect(house.trusting()));
    let scope = client.scope().expect("room");
    let text = scope.build(scope.str("abc").expect("room")).expect("room");
    let before = Vitals::of(server.pid());
    let held: Vec<_> = (0..600)
        .map(|times| client.repeat(&text, times).expect("served"))
        .collect();
    for _ in 0..1000 {
        assert_eq!(
            client.repeat(&text, 5).expect("served").get().text.len(),
            15
        );
    }
    for (times, reply) in held.iter().enumerate() {
        assert_eq!(reply.get().text, *"abc".repeat(times));
    }
    assert!(Vitals::of(server.pid()).shared_bytes > before.shared_bytes + (32 << 20));
    drop(held);
    drop(scope);
    client.channel().shrink();
    // What was held goes back to the server, and from there to the system.
    crate::vitals::wait_until("the server gives the memory back", || {
        client.nothing().expect("served");
        std::thread::sleep(std::time::Duration::from_millis(2));
        Vitals::of(server.pid()).shared_bytes <= before.shared_bytes + (20 << 20)
    });
}

#[test]
fn a_reply_outlives_its_server() {
    let house = House::new();
    let mut server = house.server("");
    let client = LabClient::new(connect(house.trusting()));
    let scope = client.scope().expect("room");
    let text = scope.build(scope.str("abc").expect("room")).expect("room");
    let reply = client.repeat(&text, 1000).expect("served");
    server.kill();
    client.nothing().expect_err("it is dead");
    drop(client);
    assert_eq!(reply.get().text, *"abc".repeat(1000));
}

#[test]
fn a_reply_too_large_to_go_by_value_is_refused_and_leaves_nothing_behind() {
    let house = House::new();
    let server = house.server("");
    let client = LabClient::new(connect(house.trusting()));
    let refused = |client: &LabClient| match client.too_wide() {
        Err(CallError::Failed {
            code: Code::Internal,
            text,
            ..
        }) => assert!(text.contains("build it in a scope"), "{text}"),
        other => panic!("{:?}", other.map(|reply| reply.get().1.len())),
    };
    refused(&client);
    let before = Vitals::of(server.pid());
    for _ in 0..200 {
        refused(&client);
    }
    let after = Vitals::of(server.pid());
    assert_eq!(after.shared_bytes, before.shared_bytes);
    assert_eq!(*client.add(1, 2).expect("served"), 3);
}
