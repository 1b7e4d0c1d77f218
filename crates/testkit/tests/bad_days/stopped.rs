//! `SIGSTOP` of either side in the middle of its calls.

use std::time::{Duration, Instant};

use nowire_testkit::House;

use crate::scene::{PATIENCE, honest, server, tally, wait_for, wait_for_answers};

const NAME: &str = "nowire:sleeper";

#[test]
fn calls_to_a_stopped_server_end_at_their_deadlines_and_later_ones_are_answered() {
    let house = House::new();
    let mut server = server(&house, &[], NAME);
    // More calls than the ring has slots: most are never begun.
    let load = [
        "load",
        NAME,
        "--tasks",
        "400",
        "--deadline-ms",
        "1000",
        "--small",
    ];
    let mut client = honest(&house, &[], &load);
    wait_for_answers(&mut client, 400);
    let descriptors = server.vitals().descriptors;
    server.stop();
    let stopped = tally(&mut client);
    let expired = stopped.expired + 800;
    let during = wait_for(&mut client, "past its deadlines", |now| {
        now.expired >= expired
    });
    assert!(u128::from(during.longest_ms) < PATIENCE.as_millis());
    server.resume();
    let after = wait_for_answers(&mut client, 1000);
    assert_eq!(after.unavailable, 0, "it is the same connection");
    assert_eq!(server.vitals().descriptors, descriptors);
    assert_eq!(server.ask("misbehaved"), "0");
    assert_eq!(client.ask("misbehaved"), "0");
}

#[test]
fn keep_alive_ends_the_calls_to_a_stopped_server() {
    let house = House::new();
    let mut server = server(&house, &[], NAME);
    let mut client = honest(&house, &["--keep-alive-ms", "300"], &["load", NAME]);
    wait_for_answers(&mut client, 4);
    let descriptors = server.vitals().descriptors;
    let before = tally(&mut client);
    assert_eq!(before.unavailable, 0, "{before:?}");
    server.stop();
    let after = wait_for(&mut client, "told", |now| now.named >= 6);
    let who = format!("(pid {},", server.pid());
    assert!(after.last_named.contains(&who), "{}", after.last_named);
    let why = "did not answer a keep-alive ping";
    assert!(after.last_named.contains(why), "{}", after.last_named);
    server.resume();
    wait_for_answers(&mut client, 4);
    wait_for_descriptors(&server, descriptors);
    assert_eq!(server.ask("misbehaved"), "0");
}

#[test]
fn keep_alive_gives_up_a_stopped_client_which_connects_again() {
    let house = House::new();
    let mut server = server(&house, &["--keep-alive-ms", "300"], NAME);
    let without = server.vitals();
    let mut client = honest(&house, &[], &["load", NAME]);
    wait_for_answers(&mut client, 4);
    client.stop();
    wait_for_descriptors(&server, without.descriptors);
    client.resume();
    wait_for_answers(&mut client, 4);
    assert_eq!(server.ask("misbehaved"), "0");
    assert_eq!(server.ask("panics"), "0");
}

#[test]
fn a_stopped_client_goes_on_where_it_was() {
    let house = House::new();
    let mut server = server(&house, &[], NAME);
    let steady = house.steady(NAME);
    let mut client = honest(&house, &[], &["load", NAME]);
    for _ in 0..5 {
        wait_for_answers(&mut client, 2);
        client.stop();
        steady.assert_served();
        std::thread::sleep(Duration::from_millis(200));
        steady.assert_served();
        client.resume();
    }
    let after = wait_for_answers(&mut client, 4);
    assert_eq!(after.unavailable, 0, "it is the same connection");
    assert_eq!(server.ask("misbehaved"), "0");
}

fn wait_for_descriptors(program: &nowire_testkit::Program, most: usize) {
    let deadline = Instant::now() + PATIENCE;
    while program.vitals().descriptors > most {
        assert!(Instant::now() < deadline, "{:?}", program.vitals());
        std::thread::sleep(Duration::from_millis(10));
    }
}
