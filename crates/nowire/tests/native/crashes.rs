//! Processes that are killed at named points, under load, and what their peers
//! have of it afterwards.

use std::error::Error;
use std::io::BufRead;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nowire::crash_points::{ALL, arm as arm_point};
use nowire::{Slice, Wait};

use crate::child::Setup;
use crate::house::{House, Program};
use crate::lab::{LabClient, Tree, leaf};
use crate::shapes::Dice;
use crate::vitals::Vitals;

/// Where a client can be killed.
const IN_CLIENTS: &[&str] = &[
    "build.memory-made",
    "build.descriptor-sent",
    "build.segment-told",
    "build.scope-given-out",
    "publish.scope-sealed",
    "publish.call-begun",
    "publish.root-sent-ahead",
    "publish.item-held",
    "send.in-the-ring",
    "send.waits-for-room",
    "take.segment-added",
    "reply.off-the-ring",
    "reply.delivered",
    "reply.checked",
    "release.reply-dropped",
    "release.sent",
    "release.taken",
    "retire.unmapped",
    "retire.taken",
    "give-up.reset-sent",
];

/// Where a server can be killed.
const IN_SERVERS: &[&str] = &[
    "build.memory-made",
    "build.descriptor-sent",
    "build.segment-told",
    "publish.root-sent-ahead",
    "send.in-the-ring",
    "send.waits-for-room",
    "take.segment-added",
    "take.call-off-the-ring",
    "take.arguments-checked",
    "reply.scope-given-out",
    "reply.scope-held",
    "reply.item-held",
    "reply.answered",
    "keep.taken",
    "keep.let-go",
    "release.sent",
    "release.taken",
    "retire.unmapped",
    "retire.taken",
    "give-up.told",
];

/// Times a point is reached without harm before it kills.
const TIMES: u32 = 3;

/// What servers and clients here have in common: sealed scopes are read and kept
/// in place, replies too.
const SERVER: &str = "keeping=seal seal_from=65536";
const CLIENT: &str = "keeping=trust";

/// Arms the point that the setup names, if it names one.
pub(crate) fn arm(setup: &Setup) {
    if let Some(point) = setup.word("crash") {
        arm_point(point, TIMES);
    }
}

/// Calls of every kind.
fn work(client: &LabClient) -> Result<(), Box<dyn Error>> {
    let small = client.scope_of(1000)?;
    let large = client.scope_of(100 << 10)?;
    let text = small.build(small.str("abc")?)?;
    assert_eq!(*client.weigh(&leaf(&small, 3))?, 3);
    assert_eq!(*client.weigh_in_pool(&leaf(&small, 4))?, 4);
    assert_eq!(*client.weigh_in_task(&leaf(&large, 5))?, 5);
    let traced = client.clone().metadata("trace", "of this call");
    assert_eq!(*traced.headers()?, 1);
    assert_eq!(client.wide(7)?[599], 606);

    // Kept in place, a few at a time.
    for weight in 0..4 {
        let scope = client.scope_of(100 << 10)?;
        assert!(*client.keep(leaf(&scope, weight))?);
    }
    client.weigh_kept()?;
    client.let_go()?;

    // More replies than one segment of the server has room for.
    let replies: Result<Vec<_>, _> = (0..20).map(|n| client.repeat_in_pool(&text, n)).collect();
    for (n, reply) in replies?.iter().enumerate() {
        assert_eq!(reply.get().text, *"abc".repeat(n));
    }
    // Many at once, so that the rings run full.
    let calls: Result<Vec<_>, _> = (0..600).map(|n| client.add_later(n, 1)).collect();
    for (n, call) in (0..).zip(calls?) {
        assert_eq!(*call.wait()?, n + 1);
    }
    drop(client.wait_forever_later()?);

    let mut names = client.names(3)?;
    while names.next_reply()?.is_some() {}
    names.finish()?;
    let mut trees = client.weigh_all()?;
    for weight in 0..3 {
        let scope = client.scope_of(100 << 10)?;
        trees.send(Tree {
            name: scope.str("item")?,
            weight,
            children: Slice::empty(),
        })?;
    }
    assert_eq!(*trees.finish()?, 3);
    client.channel().shrink();
    // Time for the server to lie down, which gives its memory back.
    std::thread::sleep(Duration::from_millis(2));
    client.nothing()?;
    Ok(())
}

/// The client of another process: works until it is killed or its server is; at
/// each line it is told, it begins anew.
pub(crate) fn call(setup: &Setup, announce: impl Fn(&str)) {
    for line in std::io::stdin().lock().lines() {
        if line.is_err() {
            return;
        }
        let client = LabClient::new(setup.channel());
        announce("working");
        arm(setup);
        let lost = loop {
            if let Err(lost) = work(&client) {
                break lost.to_string();
            }
        };
        drop(client);
        announce(&format!("lost {lost}"));
    }
}

fn working(house: &House, setup: &str) -> Program {
    let mut client = house.program("caller", setup);
    client.say("work");
    client.line("working");
    client
}

/// How often to kill at any moment: `NOWIRE_KILLS`, or 10 times.
fn kills() -> u64 {
    let wanted = std::env::var("NOWIRE_KILLS").ok();
    wanted.and_then(|kills| kills.parse().ok()).unwrap_or(10)
}

/// Lets some time pass, of another length each time.
fn a_moment(dice: &mut Dice) {
    std::thread::sleep(Duration::from_micros(dice.below(30_000)));
}

#[test]
fn processes_killed_at_any_moment_leave_nothing_in_their_peers() {
    let house = House::new();
    let mut dice = Dice::new(1);
    let server = house.server(SERVER);
    let steady = house.client();
    let mut level = None;
    for _ in 0..kills() {
        let mut victim = working(&house, CLIENT);
        a_moment(&mut dice);
        victim.kill();
        steady.let_go().expect("served");
        match level {
            None => {
                std::thread::sleep(Duration::from_millis(100));
                level = Some(Vitals::of(server.pid()));
            }
            Some(level) => level.assert_again(server.pid()),
        }
    }
    drop(server);

    let mut client = house.program("caller", CLIENT);
    let mut level = None;
    for _ in 0..kills() {
        let mut server = house.server(SERVER);
        client.say("work");
        client.line("working");
        a_moment(&mut dice);
        server.kill();
        let lost = client.line("lost");
        assert!(lost.contains(&format!("pid {}", server.pid())), "{lost}");
        match level {
            None => level = Some(Vitals::of(client.pid())),
            Some(level) => level.assert_again(client.pid()),
        }
    }
}

#[test]
fn every_point_is_one_of_clients_or_servers() {
    let mut known: Vec<_> = IN_CLIENTS.iter().chain(IN_SERVERS).collect();
    known.sort();
    known.dedup();
    // Those of references are reached by what goes on streams.
    let native = |point: &&&str| !point.starts_with("refs.");
    let mut all: Vec<_> = ALL.iter().filter(native).collect();
    all.sort();
    assert_eq!(known, all);
}

#[test]
fn a_server_outlives_clients_killed_at_every_point_and_keeps_nothing_of_them() {
    let house = House::new();
    let server = house.server(SERVER);
    let steady = house.client();
    steady.nothing().expect("served");
    let is_over = AtomicBool::new(false);
    let served = AtomicU64::new(0);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut options = house.options();
            options.wait = Wait::Park;
            let load = LabClient::new(crate::house::connect(options));
            while !is_over.load(Ordering::Relaxed) {
                let n = served.fetch_add(1, Ordering::Relaxed);
                assert_eq!(*load.add(n, 1).expect("served"), n + 1);
                assert_eq!(*load.add_in_pool(n, 2).expect("served"), n + 2);
            }
        });
        let mut level = None;
        for point in IN_CLIENTS {
            let mut victim = working(&house, &format!("{CLIENT} crash={point}"));
            assert!(victim.was_killed(), "not at {point}");
            // What it had handed over is still there, and goes when let go.
            steady.weigh_kept().expect("served");
            steady.let_go().expect("served");
            match level {
                None => {
                    std::thread::sleep(Duration::from_millis(100));
                    level = Some(Vitals::of(server.pid()));
                }
                Some(level) => level.assert_again(server.pid()),
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(served.into_inner() > 10);
    assert_eq!(*steady.add(1, 2).expect("served"), 3);
    assert_eq!(steady.channel().held_scopes(), 0);
    // Another one finds everything as the first one did.
    let mut victim = house.program("keeper", CLIENT);
    victim.line("kept");
    assert_eq!(*steady.let_go().expect("served"), 1);
}

#[test]
fn a_client_outlives_servers_killed_at_every_point_and_keeps_nothing_of_them() {
    let house = House::new();
    let mut client = house.program("caller", CLIENT);
    let mut level = None;
    for point in IN_SERVERS {
        let mut server = house.server(&format!("{SERVER} crash={point}"));
        client.say("work");
        client.line("working");
        let lost = client.line("lost");
        assert!(lost.contains(&format!("pid {}", server.pid())), "{lost}");
        assert!(server.was_killed(), "not at {point}: {lost}");
        match level {
            None => level = Some(Vitals::of(client.pid())),
            Some(level) => level.assert_again(client.pid()),
        }
    }
    let _server = house.server(SERVER);
    client.say("work");
    client.line("working");
}
