//! Processes that pass references, killed at named points, and what the others
//! have of it afterwards.

use std::error::Error;
use std::io::BufRead;

use nowire::{Blob, Pool};

use crate::child::Setup;
use crate::crashes::arm;
use crate::house::{House, Program};
use crate::post::PostClient;
use crate::vitals::{Vitals, wait_until};

/// Where a process that sends and takes references in native calls can be killed.
const POINTS: &[&str] = &[
    "refs.passing",
    "refs.descriptor-handed-over",
    "refs.descriptors-handed-over",
    "refs.extents-pushed",
    "refs.descriptor-taken",
    "refs.arrived",
];

/// Calls of every kind that pass references.
fn work(client: &PostClient) -> Result<(), Box<dyn Error>> {
    let pool = Pool::process();
    let data = pool.copy_of(&[1; 50_000])?;
    assert_eq!(*client.sum_at_end(data.clone())?, 50_000);
    assert_eq!(client.echo(data.clone())?.len(), 50_000);
    let stamped = client.stamped_at_end(data.clone())?;
    assert_eq!(stamped.map()?[..2], [255, 1]);
    client.keep(data.slice(100..20_000)?)?;
    client.keep(stamped)?;
    client.let_go()?;
    assert_eq!(client.blob_at_end(vec![2; 40_000].into())?.len(), 40_000);
    assert_eq!(client.blob_at_end(Blob::from(vec![2; 40]))?.len(), 40);
    let calls: Result<Vec<_>, _> = (0..100)
        .map(|_| client.echo_in_pool_later(data.clone()))
        .collect();
    for call in calls? {
        assert_eq!(call.wait()?.len(), 50_000);
    }
    drop(client.hold_forever_later(data.clone())?);
    let mut cuts = client.cut(data.clone(), 10)?;
    while cuts.next_reply()?.is_some() {}
    cuts.finish()?;
    let mut sum = client.sum_all()?;
    for _ in 0..10 {
        sum.send(data.slice(..100)?)?;
    }
    assert_eq!(*sum.finish()?, 1000);
    Ok(())
}

/// The client of another process, as that of [`crashes`](crate::crashes). It says
/// how much pooled memory it is left with.
pub(crate) fn call(setup: &Setup, announce: impl Fn(&str)) {
    for line in std::io::stdin().lock().lines() {
        if line.is_err() {
            return;
        }
        let client = PostClient::new(setup.channel());
        announce("working");
        arm(setup);
        let lost = loop {
            if let Err(lost) = work(&client) {
                break lost.to_string();
            }
        };
        drop(client);
        wait_until("nobody has its memory", || {
            Pool::process().reclaim();
            Pool::process().usage().live_bytes == 0
        });
        announce(&format!("lost {lost}"));
    }
}

fn office(house: &House, setup: &str) -> Program {
    let mut program = house.program("office", setup);
    program.line("serving");
    program
}

fn working(house: &House, setup: &str) -> Program {
    let mut client = house.program("parcel", setup);
    client.say("work");
    client.line("working");
    client
}

#[test]
fn a_server_outlives_clients_killed_at_every_point_and_holds_nothing_of_theirs() {
    let house = House::new();
    let server = office(&house, "");
    let steady = PostClient::new(house.channel());
    // From now on the server has memory of its own to use again.
    work(&steady).expect("served");
    let mut level = None;
    for point in POINTS {
        let mut victim = working(&house, &format!("crash={point}"));
        assert!(victim.was_killed(), "not at {point}");
        // What it had handed over is still there, and goes when let go.
        steady.sum_of_kept().expect("served");
        steady.let_go().expect("served");
        match level {
            None => {
                std::thread::sleep(std::time::Duration::from_millis(100));
                level = Some(Vitals::of(server.pid()));
            }
            Some(level) => level.assert_within(4 << 20, server.pid()),
        }
    }
    assert_eq!(*steady.holding().expect("served"), 0);
}

#[test]
fn a_client_outlives_servers_killed_at_every_point_and_has_its_memory_back() {
    let house = House::new();
    let mut client = house.program("parcel", "");
    let mut level = None;
    for point in POINTS {
        let mut server = office(&house, &format!("crash={point}"));
        client.say("work");
        client.line("working");
        let lost = client.line("lost");
        assert!(server.was_killed(), "not at {point}: {lost}");
        match level {
            None => level = Some(Vitals::of(client.pid())),
            Some(level) => level.assert_within(4 << 20, client.pid()),
        }
    }
}

#[test]
fn both_sides_of_a_forwarder_killed_at_every_point_have_nothing_left_of_it() {
    let house = House::new();
    let last = office(&house, "name=last");
    let end = {
        let channel = nowire::connect_with("last", house.options());
        PostClient::new(channel.expect("it serves"))
    };
    end.holding().expect("served");
    let mut client = house.program("parcel", "");
    let mut level = None;
    for point in POINTS {
        let mut forwarder = office(&house, &format!("next=last crash={point}"));
        client.say("work");
        client.line("working");
        let lost = client.line("lost");
        assert!(forwarder.was_killed(), "not at {point}: {lost}");
        let now = [client.pid(), last.pid()];
        match level {
            None => level = Some(now.map(Vitals::of)),
            Some(level) => {
                level[0].assert_within(4 << 20, client.pid());
                level[1].assert_within(4 << 20, last.pid());
            }
        }
    }
    assert_eq!(*end.holding().expect("served"), 0);
}
