//! Many calls at a time, from one thread and from many.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use nowire::Wait;

use crate::house::{House, connect};
use crate::lab::{LabClient, leaf};
use crate::vitals::wait_until;

#[test]
fn one_thread_has_more_calls_open_than_streams_and_ring_slots() {
    let house = House::new();
    for setup in ["", "streams=7", "wait=park streams=300"] {
        let _server = house.server(setup);
        let client = house.client();
        let calls: Vec<_> = (0..5000)
            .map(|n| client.add_later(n, 1).expect("sent"))
            .collect();
        for (n, call) in calls.into_iter().enumerate() {
            assert_eq!(*call.wait().expect("served"), n as u64 + 1);
        }
    }
}

#[test]
fn calls_are_on_their_way_though_nobody_waits_for_them() {
    let house = House::new();
    for setup in ["", "wait=park"] {
        let _server = house.server(setup);
        let client = house.client();
        let calls: Vec<_> = (0..1000)
            .map(|n| client.add_in_pool_later(n, 1).expect("sent"))
            .collect();
        wait_until("all were handled", || {
            house.client().seen().expect("served").added == 1000
        });
        drop(calls);
    }
}

#[test]
fn calls_of_every_kind_of_handler_overlap() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = LabClient::new(connect(house.trusting()));
    let scope = client.scope().expect("room");
    let built = leaf(&scope, 5);
    let text = scope.build(scope.str("abc").expect("room")).expect("room");
    let mut calls = Vec::new();
    let mut texts = Vec::new();
    for n in 0..500 {
        calls.push((n + 1, client.add_later(n, 1).expect("sent")));
        calls.push((n + 2, client.add_in_pool_later(n, 2).expect("sent")));
        calls.push((n + 3, client.add_in_task_later(n, 3).expect("sent")));
        calls.push((5, client.weigh_later(&built).expect("sent")));
        calls.push((5, client.weigh_in_pool_later(&built).expect("sent")));
        calls.push((5, client.weigh_in_task_later(&built).expect("sent")));
        texts.push(client.repeat_in_pool_later(&text, n % 10).expect("sent"));
    }
    // In another order than that of the calls.
    for (expected, call) in calls.into_iter().rev() {
        assert_eq!(*call.wait().expect("served"), expected);
    }
    for (n, call) in texts.into_iter().enumerate() {
        let placed = call.wait().expect("served");
        assert_eq!(placed.get().text, *"abc".repeat(n % 10));
    }
}

#[test]
fn a_short_call_overtakes_a_long_one() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    let long = client.wait_at_gate_later().expect("sent");
    for n in 0..100 {
        assert_eq!(*client.add(n, 1).expect("served"), n + 1);
    }
    client.open_gate().expect("served");
    assert_eq!(*long.wait().expect("served"), 1);
}

#[test]
fn replies_that_find_no_room_wait_for_it() {
    let house = House::new();
    let _server = house.server("workers=32");
    let client = house.client();
    let calls: Vec<_> = (0..1000)
        .map(|_| client.wait_at_gate_later().expect("sent"))
        .collect();
    wait_until("the workers wait", || {
        house.client().seen().expect("served").waiting == 32
    });
    // Nobody reads the ring meanwhile, which has fewer slots.
    house.client().open_gate().expect("served");
    wait_until("all are answered", || {
        house.client().seen().expect("served").waiting == 0
    });
    for call in calls {
        assert_eq!(*call.wait().expect("served"), 1);
    }
}

#[test]
fn several_threads_share_a_channel() {
    let house = House::new();
    for setup in ["", "streams=3", "wait=park"] {
        let _server = house.server(setup);
        let client = house.client();
        let done = AtomicU64::new(0);
        thread::scope(|threads| {
            for thread in 0..6 {
                let client = client.clone();
                let done = &done;
                threads.spawn(move || {
                    let scope = client.scope().expect("room");
                    let built = leaf(&scope, thread);
                    for n in 0..400 {
                        assert_eq!(*client.add(n, thread).expect("served"), n + thread);
                        assert_eq!(*client.add_in_pool(n, thread).expect("served"), n + thread);
                        assert_eq!(*client.weigh(&built).expect("served"), thread);
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(done.into_inner(), 6 * 400);
    }
}

#[test]
fn clients_that_sleep_at_once_are_served_as_well() {
    let house = House::new();
    let _server = house.server("wait=park pollers=2");
    let clients: Vec<_> = (0..5)
        .map(|_| {
            let mut options = house.options();
            options.wait = Wait::Park;
            LabClient::new(connect(options))
        })
        .collect();
    thread::scope(|threads| {
        for (at, client) in clients.iter().enumerate() {
            threads.spawn(move || {
                for n in 0..300 {
                    let b = at as u64;
                    assert_eq!(*client.add(n, b).expect("served"), n + b);
                    assert_eq!(*client.add_in_task(n, b).expect("served"), n + b);
                }
            });
        }
    });
}

#[test]
fn many_channels_of_one_process_do_not_mix() {
    let house = House::new();
    let _server = house.server("pollers=2");
    let clients: Vec<_> = (0..30).map(|_| house.client()).collect();
    let scopes: Vec<_> = clients
        .iter()
        .map(|client| client.scope().expect("room"))
        .collect();
    for round in 0..20 {
        let built: Vec<_> = scopes
            .iter()
            .enumerate()
            .map(|(at, scope)| leaf(scope, at as u64 + round))
            .collect();
        let calls: Vec<_> = clients
            .iter()
            .zip(&built)
            .map(|(client, built)| client.weigh_in_pool_later(built).expect("sent"))
            .collect();
        for (at, call) in calls.into_iter().enumerate() {
            assert_eq!(*call.wait().expect("served"), at as u64 + round);
        }
    }
}

#[test]
fn client_and_server_in_one_process_work_on_copies() {
    let house = House::new();
    let running = house.server_here();
    let client = LabClient::new(connect(house.trusting()));
    let scope = client.scope().expect("room");
    let built = leaf(&scope, 5);
    assert_eq!(*client.weigh(&built).expect("served"), 5);
    let there = *client.address_of(&built).expect("served");
    assert_ne!(there, nowire::Ptr::address(&built) as u64);
    let text = scope.build(scope.str("abc").expect("room")).expect("room");
    let reply = client.repeat(&text, 100).expect("served");
    assert_eq!(reply.get().text, *"abc".repeat(100));
    assert_ne!(reply.get().text.as_ptr().addr() as u64, reply.get().at);
    running.shutdown();
}
