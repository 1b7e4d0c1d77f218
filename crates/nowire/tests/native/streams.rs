//! Streams of requests, of replies, and of both.

use nowire::CallError;

use crate::house::{House, connect};
use crate::lab::{LabClient, Named, Refusal, leaf};
use crate::vitals::{Vitals, wait_until};

#[test]
fn replies_come_in_order_and_then_the_end() {
    let house = House::new();
    let _server = house.server("");
    for options in [house.options(), house.trusting()] {
        let client = LabClient::new(connect(options));
        for n in [0, 1, 63, 64, 65, 5000] {
            let mut items = client.count(n).expect("sent");
            for expected in 0..n {
                let item = items.next_reply().expect("served").expect("an item");
                assert_eq!(*item, expected);
            }
            assert!(items.next_reply().expect("served").is_none());
            assert!(items.next_reply().expect("served").is_none());
            items.finish().expect("served");
        }
        let mut names = client.names(500).expect("sent");
        for n in 0..500 {
            let item = names.next_reply().expect("served").expect("an item");
            assert_eq!(item.get().name, *format!("name {n}"));
        }
        names.finish().expect("served");
        let mut blocks = client.blocks(300).expect("sent");
        for n in 0..300 {
            let item = blocks.next_reply().expect("served").expect("an item");
            assert_eq!(*item, [n; 100]);
        }
        blocks.finish().expect("served");
    }
}

#[test]
fn a_stream_of_replies_may_end_with_an_error() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    let mut names = client.names(13).expect("sent");
    for _ in 0..13 {
        assert!(names.next_reply().expect("served").is_some());
    }
    match names.finish() {
        Err(CallError::Returned(Refusal::TooMuch(13))) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn items_held_stay_as_they_came() {
    let house = House::new();
    let _server = house.server("");
    let client = LabClient::new(connect(house.trusting()));
    let mut names = client.names(200).expect("sent");
    let mut held = Vec::new();
    while let Some(item) = names.next_reply().expect("served") {
        held.push(item);
    }
    names.finish().expect("served");
    client.nothing().expect("served");
    for (n, item) in held.iter().enumerate() {
        assert_eq!(item.get().name, *format!("name {n}"));
    }
}

#[test]
fn several_items_may_share_a_scope() {
    let house = House::new();
    let _server = house.server("");
    for options in [house.options(), house.trusting()] {
        let client = LabClient::new(connect(options));
        let mut names = client.pairs(200).expect("sent");
        for n in 0..400 {
            let item = names.next_reply().expect("served").expect("an item");
            assert_eq!(item.get().name, *format!("name {n}"));
        }
        names.finish().expect("served");
    }
}

#[test]
fn requests_arrive_in_order_and_their_scopes_come_back() {
    let house = House::new();
    for keeping in ["trust", "copy"] {
        let _server = house.server(&format!("keeping={keeping}"));
        let client = house.client();
        for n in [0, 1, 64, 5000] {
            let mut sum = client.sum().expect("sent");
            for item in 0..n {
                assert!(sum.send(item).expect("taken"));
            }
            assert_eq!(*sum.finish().expect("served"), (0..n).sum::<u64>());
        }
        let mut trees = client.weigh_all().expect("sent");
        for weight in 0..500 {
            let scope = client.scope_of(1000).expect("room");
            assert!(
                trees
                    .send(crate::lab::Tree {
                        name: scope.str("item").expect("room"),
                        weight,
                        children: nowire::Slice::empty(),
                    })
                    .expect("taken")
            );
        }
        assert_eq!(*trees.finish().expect("served"), (0..500).sum::<u64>());
        wait_until("the scopes come back", || {
            client.nothing().expect("served");
            client.channel().held_scopes() == 0
        });
    }
}

#[test]
fn both_directions_go_at_once() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = LabClient::new(connect(house.trusting()));
    let mut exchange = client.lengths().expect("sent");
    let scope = client.scope_of(1 << 20).expect("room");
    for n in 0..2000_u64 {
        let name = scope.str(&"x".repeat((n % 50) as usize)).expect("room");
        assert!(exchange.send(Named { name }).expect("taken"));
        let length = exchange.next_reply().expect("served").expect("an answer");
        assert_eq!(*length, n % 50);
    }
    exchange.end().expect("connected");
    assert!(exchange.next_reply().expect("served").is_none());
    exchange.finish().expect("served");
    assert_eq!(client.seen().expect("served").ended, 1);
}

#[test]
fn a_handler_waits_for_a_caller_that_does_not_take() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    let mut items = client.count(100_000).expect("sent");
    assert_eq!(*items.next_reply().expect("served").expect("an item"), 0);
    let sent = || client.seen().expect("served").sent;
    wait_until("the window is full", || sent() >= 64);
    let before = sent();
    for _ in 0..20 {
        client.nothing().expect("served");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(sent(), before, "it waits");
    assert!(before < 200, "{before} items nobody asked for");
    for expected in 1..100_000 {
        assert_eq!(
            *items.next_reply().expect("served").expect("an item"),
            expected
        );
    }
    items.finish().expect("served");
}

#[test]
fn a_caller_waits_for_a_handler_that_does_not_take() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    let mut sum = client.sum_after_gate().expect("sent");
    // The window is 64 items; the one after has to wait.
    let mut short = client
        .clone()
        .timeout(std::time::Duration::from_millis(50))
        .sum_after_gate()
        .map(|mut stuck| {
            let mut sent = 0;
            loop {
                match stuck.send(1) {
                    Ok(true) => sent += 1,
                    other => break (sent, other),
                }
            }
        })
        .expect("sent");
    assert!(short.0 <= 64, "{} items nobody took", short.0);
    short.0 = 0;
    assert!(!matches!(short.1, Ok(true)), "{:?}", short.1);
    for _ in 0..64 {
        assert!(sum.send(1).expect("taken"));
    }
    client.open_gate().expect("served");
    for _ in 0..1000 {
        assert!(sum.send(1).expect("taken"));
    }
    assert_eq!(*sum.finish().expect("served"), 1064);
}

#[test]
fn a_handler_that_has_enough_stops_its_caller() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = house.client();
    let mut sum = client.sum_of_first(10).expect("sent");
    let scope = client.scope_of(1 << 20).expect("room");
    let mut sent = 0;
    let item = || crate::lab::Tree {
        name: scope.str("item").expect("room"),
        weight: 1,
        children: nowire::Slice::empty(),
    };
    while sum.send(item()).expect("connected") {
        sent += 1;
        assert!(sent < 5000, "nobody takes them");
    }
    assert!(sent >= 10);
    assert_eq!(*sum.finish().expect("served"), 10);
    wait_until("what nobody took comes back", || {
        client.nothing().expect("served");
        client.channel().held_scopes() == 0
    });
}

#[test]
fn items_that_cross_the_end_of_the_handler_come_back() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = house.client();
    for round in 0..300 {
        let mut sum = client.sum_of_first(round % 7).expect("sent");
        for _ in 0..20 {
            let scope = client.scope_of(1000).expect("room");
            let item = crate::lab::Tree {
                name: scope.str("item").expect("room"),
                weight: 1,
                children: nowire::Slice::empty(),
            };
            if !sum.send(item).expect("connected") {
                break;
            }
        }
        assert_eq!(*sum.finish().expect("served"), round % 7);
    }
    wait_until("what nobody took comes back", || {
        client.nothing().expect("served");
        client.channel().held_scopes() == 0
    });
}

#[test]
fn a_dropped_exchange_ends_its_handler_and_leaves_nothing() {
    let house = House::new();
    let server = house.server("keeping=trust");
    let client = LabClient::new(connect(house.trusting()));
    let round = || {
        let mut names = client.names(u64::MAX).expect("sent");
        for _ in 0..3 {
            names.next_reply().expect("served").expect("an item");
        }
        drop(names);
        let mut trees = client.weigh_all().expect("sent");
        for _ in 0..3 {
            let scope = client.scope_of(1000).expect("room");
            let built = crate::lab::Tree {
                name: scope.str("item").expect("room"),
                weight: 1,
                children: nowire::Slice::empty(),
            };
            assert!(trees.send(built).expect("taken"));
        }
        drop(trees);
    };
    (1..=30).for_each(|_| round());
    // The others may have been given up before they began.
    let ended = |streams| {
        wait_until("the handlers end", || {
            client.seen().expect("served").cancelled == streams
        });
    };
    ended(30);
    let before = Vitals::of(server.pid());
    (1..=200).for_each(|_| round());
    ended(230);
    // One item each would take far more.
    before.assert_within(16 << 20, server.pid());
    wait_until("the scopes come back", || {
        client.nothing().expect("served");
        client.channel().held_scopes() == 0
    });
    let scope = client.scope().expect("room");
    assert_eq!(*client.weigh(&leaf(&scope, 1)).expect("served"), 1);
}

#[test]
fn a_stream_of_requests_cut_off_by_its_deadline_is_not_taken_for_a_whole_one() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    let impatient = client
        .clone()
        .timeout(std::time::Duration::from_millis(200));
    let mut sum = impatient.sum().expect("sent");
    for _ in 0..10 {
        assert!(sum.send(1).expect("taken"));
    }
    // The handler returns what it has, when the time is up.
    wait_until("the handler ends", || {
        client.seen().expect("served").ended == 1
    });
    let outcome = sum.finish();
    assert!(
        matches!(outcome, Err(CallError::DeadlineExceeded { .. })),
        "{outcome:?}"
    );
}

#[test]
fn a_deadline_ends_a_stream_on_both_sides() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    let impatient = client.clone().timeout(std::time::Duration::from_millis(50));
    let mut items = impatient.count(u64::MAX).expect("sent");
    // It takes nothing meanwhile.
    std::thread::sleep(std::time::Duration::from_millis(60));
    let error = loop {
        match items.next_reply() {
            Ok(Some(_)) => {}
            Ok(None) => break items.finish().map(drop),
            Err(error) => break Err(error),
        }
    };
    assert!(
        matches!(error, Err(CallError::DeadlineExceeded { .. })),
        "{error:?}"
    );
    wait_until("the handler ends", || {
        client.seen().expect("served").cancelled == 1
    });
}
