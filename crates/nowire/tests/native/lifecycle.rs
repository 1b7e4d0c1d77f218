//! Servers that begin, end, and begin again.

use nowire::{CallError, ConnectError, ConnectionError};

use crate::house::{House, NAME};
use crate::lab::LabClient;
use crate::vitals::wait_until;

#[test]
fn a_server_that_shuts_down_answers_what_it_has_begun() {
    let house = House::new();
    let running = house.server_here();
    let client = house.client();
    let calls: Vec<_> = (0..4)
        .map(|_| client.wait_at_gate_later().expect("sent"))
        .collect();
    wait_until("they run", || client.seen().expect("served").waiting == 4);
    let other = house.client();
    other.nothing().expect("served");
    let ending = std::thread::spawn(|| running.shutdown());
    // It takes nobody further.
    wait_until("it refuses clients", || {
        nowire::connect_with(NAME, house.options()).is_err()
    });
    wait_until("it refuses calls", || match client.open_gate() {
        // It had not begun to end.
        Ok(()) => false,
        Err(CallError::Connection(
            ConnectionError::GoingAway { .. } | ConnectionError::PeerGone { .. },
        )) => true,
        Err(other) => panic!("{other:?}"),
    });
    for call in calls {
        // Cancelled or passed, but answered.
        call.wait().expect("answered");
    }
    ending.join().expect("no panic");
}

#[test]
fn replies_that_wait_for_room_are_delivered_before_a_server_ends() {
    let house = House::new();
    let running = house.server_here();
    let client = house.client();
    let other = house.client();
    let mut calls = Vec::new();
    for batch in 1..=5 {
        // No more than the ring has slots for.
        calls.extend((0..200).map(|n| client.add_in_pool_later(n, batch).expect("sent")));
        wait_until("they are answered", || {
            other.seen().expect("served").added == 200 * batch
        });
    }
    let gate = client.wait_at_gate_later().expect("sent");
    wait_until("all but one are answered", || {
        other.seen().expect("served").waiting == 1
    });
    let opener = house.client();
    opener.nothing().expect("served");
    opener.open_gate().expect("served");
    let ending = std::thread::spawn(|| running.shutdown());
    for (n, call) in (0..).zip(calls) {
        assert_eq!(*call.wait().expect("answered"), n % 200 + n / 200 + 1);
    }
    assert_eq!(*gate.wait().expect("answered"), 1);
    ending.join().expect("no panic");
}

#[test]
fn a_client_connects_again_to_the_server_that_follows() {
    let house = House::new();
    let mut last = None;
    for round in 0..3 {
        let mut server = house.server("");
        let client = house.client();
        assert_eq!(*client.add(round, 1).expect("served"), round + 1);
        if let Some(before) = last.replace(client) {
            let before: LabClient = before;
            let error = before.add(1, 2).expect_err("its server is gone");
            assert!(matches!(error, CallError::Connection(_)), "{error:?}");
        }
        if round == 1 {
            assert!(server.end(), "it shuts down in order");
        } else {
            server.kill();
        }
        let error = nowire::connect_with(NAME, house.options()).expect_err("nobody serves");
        assert!(
            matches!(
                error,
                ConnectError::NotAnnounced { .. } | ConnectError::Stale { .. }
            ),
            "{error:?}"
        );
    }
}

#[test]
fn a_server_in_order_leaves_no_thread_descriptor_or_file() {
    let house = House::new();
    for _ in 0..3 {
        let running = house.server_here();
        let client = house.client();
        assert_eq!(*client.add_in_task(1, 2).expect("served"), 3);
        drop(client);
        running.shutdown();
        assert!(
            house.runtime().files().is_empty(),
            "{:?}",
            house.runtime().files()
        );
    }
}

#[test]
fn clients_come_and_go_by_the_hundred() {
    let house = House::new();
    let server = house.server("");
    let steady = house.client();
    let connected = || {
        let client = house.client();
        assert_eq!(*client.add(1, 2).expect("served"), 3);
    };
    (0..20).for_each(|_| connected());
    steady.nothing().expect("served");
    let before = crate::vitals::Vitals::of(server.pid());
    (0..200).for_each(|_| connected());
    before.assert_again(server.pid());
}
