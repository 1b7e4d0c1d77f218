//! Peers that are killed.

use std::time::Instant;

use nowire::{CallError, ConnectionError};

use crate::house::{House, connect};
use crate::lab::LabClient;
use crate::vitals::{PATIENCE, Vitals, wait_until};

fn names_the_dead<T, E: std::fmt::Debug>(outcome: Result<T, CallError<E>>, pid: u32) -> bool {
    match outcome {
        Err(CallError::Connection(ConnectionError::PeerGone { peer })) => {
            peer.contains(&format!("pid {pid}"))
        }
        _ => false,
    }
}

#[test]
fn a_killed_server_fails_every_pending_call_at_once_and_is_named() {
    let house = House::new();
    let mut server = house.server("workers=16");
    let client = house.client();
    let calls: Vec<_> = (0..8)
        .map(|_| client.wait_at_gate_later().expect("sent"))
        .collect();
    let tasks: Vec<_> = (0..8)
        .map(|_| client.wait_forever_later().expect("sent"))
        .collect();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            std::thread::spawn(move || client.wait_at_gate().map(|reply| *reply))
        })
        .collect();
    wait_until("all wait", || client.seen().expect("served").waiting == 20);
    let pid = server.pid();
    server.kill();
    let killed = Instant::now();
    for call in calls.into_iter().chain(tasks) {
        assert!(names_the_dead(call.wait(), pid));
    }
    for thread in threads {
        assert!(names_the_dead(thread.join().expect("no panic"), pid));
    }
    assert!(killed.elapsed() < PATIENCE);
    assert!(names_the_dead(client.add(1, 2), pid));
    assert!(matches!(
        client.channel().over(),
        Some(ConnectionError::PeerGone { .. })
    ));
    client.scope().expect_err("there is nobody to build it for");
}

#[tokio::test]
async fn a_killed_server_fails_every_waiting_task_and_is_named() {
    let house = House::new();
    let mut server = house.server("workers=16");
    let client = house.async_client().await;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let client = client.clone();
        waiting.spawn(async move { client.wait_forever().await.map(|reply| *reply) });
        let client = house.async_client().await;
        waiting.spawn(async move { client.wait_at_gate().await.map(|reply| *reply) });
    }
    while client.seen().await.expect("served").waiting < 20 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let pid = server.pid();
    server.kill();
    while let Some(outcome) = waiting.join_next().await {
        assert!(names_the_dead(outcome.expect("no panic"), pid));
    }
    assert!(names_the_dead(client.add(1, 2).await, pid));
}

#[test]
fn an_idle_client_can_see_that_its_server_is_dead() {
    let house = House::new();
    let mut server = house.server("");
    let client = house.client();
    client.nothing().expect("served");
    assert!(client.channel().over().is_none());
    server.kill();
    wait_until("it is seen", || client.channel().over().is_some());
}

#[test]
fn a_killed_client_ends_the_handlers_of_its_calls() {
    let house = House::new();
    let server = house.server("workers=16");
    let watcher = house.client();
    watcher.nothing().expect("served");
    let before = Vitals::of(server.pid());
    for round in 1..4 {
        let mut client = house.program("waiter", "");
        client.line("waiting");
        wait_until("its handlers wait", || {
            // Tasks that were dropped still count as waiting.
            watcher.seen().expect("served").waiting == 4 + 4 * round
        });
        client.kill();
        wait_until("its handlers end", || {
            let seen = watcher.seen().expect("served");
            (seen.cancelled, seen.dropped) == (4 * round, 4 * round)
        });
        before.assert_again(server.pid());
    }
}

#[test]
fn a_stream_whose_server_is_killed_says_so_instead_of_ending() {
    let house = House::new();
    let mut server = house.server("");
    let client = LabClient::new(connect(house.trusting()));
    let mut names = client.names(u64::MAX).expect("sent");
    for item in 0..100 {
        let name = names.next_reply().expect("served").expect("an item");
        assert_eq!(name.get().name, *format!("name {item}"));
    }
    let pid = server.pid();
    server.kill();
    // What had been sent may still be read.
    let error = loop {
        match names.next_reply() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream did not end"),
            Err(error) => break error,
        }
    };
    assert!(names_the_dead(Err::<(), _>(error), pid));

    let mut server = house.server("");
    let client = house.client();
    let mut sum = client.sum().expect("sent");
    assert!(sum.send(1).expect("taken"));
    let pid = server.pid();
    server.kill();
    let error = loop {
        match sum.send(1) {
            Ok(true) => {}
            Ok(false) => panic!("the handler is dead"),
            Err(error) => break error,
        }
    };
    assert!(names_the_dead(Err::<(), _>(error), pid));
}
