//! `kill -9` at any moment, over and over, under load.

use std::time::{Duration, Instant};

use nowire_testkit::{House, Program};

use crate::scene::{
    Dice, PATIENCE, assert_back_at, files, honest, server, tally, wait_for, wait_for_answers,
};

/// How often to kill: `NOWIRE_KILLS`, or 30 times.
fn kills() -> u64 {
    let wanted = std::env::var("NOWIRE_KILLS").ok();
    wanted.and_then(|kills| kills.parse().ok()).unwrap_or(30)
}

fn load(house: &House) -> Program {
    honest(house, &[], &["load", "nowire:mortal"])
}

#[test]
fn a_server_outlives_its_killed_clients_and_keeps_nothing_of_them() {
    let house = House::new();
    let mut server = server(&house, &[], "nowire:mortal");
    let steady = house.steady("nowire:mortal");
    let mut dice = Dice::new(1);
    let mut level = None;
    for kill in 0..kills() {
        let mut client = load(&house);
        if kill % 2 == 0 {
            wait_for_answers(&mut client, 3);
        }
        std::thread::sleep(dice.below(Duration::from_millis(60)));
        client.kill();
        steady.assert_served();
        // From the first on, what a client takes besides is what stays.
        match level {
            None => {
                std::thread::sleep(Duration::from_millis(500));
                level = Some(server.vitals());
            }
            Some(level) if kill % 10 == 9 => assert_back_at(level, &server),
            Some(_) => {}
        }
    }
    if let Some(level) = level {
        assert_back_at(level, &server);
    }
    assert_eq!(files(&house), ["name-mortal.lock", "name-mortal.sock"]);
    assert_eq!(server.ask("misbehaved"), "0");
    assert_eq!(server.ask("panics"), "0");
    steady.assert_served();
}

#[test]
fn a_client_outlives_its_killed_servers_and_keeps_nothing_of_them() {
    let house = House::new();
    let mut client = load(&house);
    let mut dice = Dice::new(2);
    let mut level = None;
    let mut named = 0;
    for _ in 0..kills() {
        let mut server = server(&house, &[], "nowire:mortal");
        let before = wait_for_answers(&mut client, 4);
        std::thread::sleep(dice.below(Duration::from_millis(30)));
        server.kill();
        let killed = Instant::now();
        let who = format!("(pid {},", server.pid());
        // Every call that was open then ends, though none has a deadline.
        let after = wait_for(&mut client, "rid of its open calls", |now| {
            u128::from(now.oldest_open_ms) < killed.elapsed().as_millis()
        });
        if after.named > before.named {
            named += 1;
            assert!(after.last_named.contains(&who), "{}", after.last_named);
        }
        assert!(killed.elapsed() < PATIENCE);
        if level.is_none() {
            client.ask("rest");
            level = Some(client.vitals());
            client.ask("work");
        }
    }
    // A server may have answered all it had when it died; not each time.
    assert!(
        named > kills() / 2,
        "only {named} times was the dead one named"
    );
    client.ask("rest");
    if let Some(level) = level {
        assert_back_at(level, &client);
    }
    assert_eq!(tally(&mut client).right, 0, "it rests");
    assert_eq!(client.ask("misbehaved"), "0");
    assert_eq!(client.ask("panics"), "0");
    assert_eq!(files(&house), ["name-mortal.lock", "name-mortal.sock"]);
}
