//! Processes that are killed at named points, under load, and what the others have
//! of it afterwards.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nowire::crash_points::ALL;
use nowire_testkit::Program;
use nowire_testkit::depot::{Nothing, Order, Parcel, contents};
use tonic::{Request, Status};

use crate::scene::{
    Client, DEPOT, LAST, Yard, assert_lets_go, assert_live, assert_maps_nothing,
    assert_nothing_held_here, client, command, depot, reference, wait_until,
};

/// Where one who calls can be killed.
const IN_CALLERS: &[&str] = &[
    "refs.copied-to-pool",
    "refs.passing",
    "refs.descriptor-handed-over",
    "refs.descriptors-handed-over",
    "refs.extents-pushed",
    "refs.frame-pushed",
    "refs.descriptor-taken",
    "refs.arrived",
    "refs.kept",
    "refs.taken-by-message",
    "refs.opened",
    "refs.forgotten",
    "refs.settled",
];

/// Where one who is called can be killed.
const IN_DEPOTS: &[&str] = &[
    "refs.copied-to-pool",
    "refs.passing",
    "refs.descriptor-handed-over",
    "refs.descriptors-handed-over",
    "refs.extents-pushed",
    "refs.frame-pushed",
    "refs.descriptor-taken",
    "refs.arrived",
    "refs.kept",
    "refs.frame-taken",
    "refs.taken-by-message",
    "refs.opened",
    "refs.forgotten",
    "refs.settled",
];

/// Where one between can be killed: it makes nothing and looks at nothing.
const IN_FORWARDERS: &[&str] = &[
    "refs.passing",
    "refs.descriptor-handed-over",
    "refs.descriptors-handed-over",
    "refs.extents-pushed",
    "refs.frame-pushed",
    "refs.descriptor-taken",
    "refs.arrived",
    "refs.kept",
    "refs.frame-taken",
    "refs.taken-by-message",
    "refs.settled",
];

/// What callers and depots here have in common: what is large is sealed and mapped.
const WORDS: &str = "seal=262144";

const BYTES: usize = 30_000;

fn by_reference(seed: u64) -> Parcel {
    Parcel::of(seed, reference(seed, BYTES))
}

fn by_itself(seed: u64) -> Parcel {
    Parcel::of(seed, contents(seed, BYTES))
}

/// Calls of every kind; everything that comes is looked at.
pub(crate) async fn work(client: &mut Client, forwards: bool) -> Result<(), Status> {
    for seed in 0..4 {
        let receipt = client.store(by_reference(seed)).await?.into_inner();
        assert_eq!((receipt.wrong, receipt.failed), (0, 0));
        let back = client.r#return(by_itself(seed)).await?.into_inner();
        look(&back);
        if forwards {
            client.forward(by_reference(seed)).await?;
        } else {
            client.keep(by_reference(seed)).await?;
        }
    }
    let large = Parcel::of(9, reference(9, 300_000));
    look(&client.r#return(large).await?.into_inner());

    let receipt = client.load(tokio_stream::iter((0..10).map(by_reference)));
    let receipt = receipt.await?.into_inner();
    assert_eq!((receipt.blobs, receipt.wrong, receipt.failed), (10, 0, 0));
    let exchanged = client.exchange(tokio_stream::iter((0..10).map(by_itself)));
    let mut exchanged = exchanged.await?.into_inner();
    while let Some(back) = exchanged.message().await? {
        look(&back);
    }
    // More than is read.
    let order = Order {
        seed: 1,
        count: 100,
        bytes: BYTES as u64,
        ..Order::default()
    };
    let mut made = client.unload(order).await?.into_inner();
    if let Some(made) = made.message().await? {
        look(&made);
    }
    drop(made);
    // More than is read there.
    let slowly = (0..100).map(|seed| Parcel {
        pause_us: 1_000_000,
        ..by_reference(seed)
    });
    let given_up = client.load(tokio_stream::iter(slowly));
    if let Ok(Err(status)) = tokio::time::timeout(Duration::from_millis(5), given_up).await {
        return Err(status);
    }
    let mut late = Request::new(by_reference(5));
    late.set_timeout(Duration::from_millis(5));
    match client.wait(late).await {
        Err(status) if status.code() != tonic::Code::DeadlineExceeded => Err(status),
        _ => Ok(()),
    }
}

fn look(parcel: &Parcel) {
    let mut receipt = nowire_testkit::depot::Receipt::default();
    receipt.look(parcel);
    assert_eq!(
        (receipt.blobs, receipt.wrong, receipt.failed),
        (1, 0, 0),
        "{receipt:?}"
    );
}

/// Works until the other side is gone; says how it went.
pub(crate) async fn work_until_lost(client: &mut Client, forwards: bool) -> Status {
    loop {
        if let Err(lost) = work(client, forwards).await {
            return lost;
        }
    }
}

fn caller(house: &Yard, words: &str) -> Program {
    let setup = format!("to={DEPOT} {WORDS} {words}");
    let mut program = Program::run(command(house, "caller", &setup));
    program.say("work");
    program.line("working");
    program
}

/// Looks at what is kept, and has it let go.
async fn settle(client: &mut Client) {
    let receipt = client
        .inspect(Nothing {})
        .await
        .expect("served")
        .into_inner();
    assert_eq!((receipt.wrong, receipt.failed), (0, 0), "{receipt:?}");
    client.clear(Nothing {}).await.expect("served");
}

#[test]
fn every_point_of_references_is_one_of_callers_or_depots() {
    let mut known: Vec<_> = IN_CALLERS.iter().chain(IN_DEPOTS).collect();
    known.sort();
    known.dedup();
    let of_references = |point: &&&str| point.starts_with("refs.");
    let mut all: Vec<_> = ALL.iter().filter(of_references).collect();
    all.sort();
    assert_eq!(known, all);
}

#[test]
fn a_depot_outlives_callers_killed_at_every_point_and_holds_nothing_of_them() {
    let house = Yard::new();
    let mut server = depot(&house, &format!("at={DEPOT} {WORDS}"));
    let mut steady = client(&house, DEPOT, WORDS);
    let is_over = AtomicBool::new(false);
    let served = AtomicU64::new(0);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut load = client(&house, DEPOT, WORDS);
            house.runtime().block_on(async {
                while !is_over.load(Ordering::Relaxed) {
                    let seed = served.fetch_add(1, Ordering::Relaxed);
                    let receipt = load.store(by_reference(seed)).await.expect("served");
                    assert_eq!(receipt.into_inner().wrong, 0);
                }
            });
        });
        for point in IN_CALLERS {
            let mut victim = caller(&house, &format!("crash={point}"));
            assert!(victim.was_killed(), "not at {point}");
            house.runtime().block_on(settle(&mut steady));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(served.into_inner() > 10);
    assert_lets_go(&server);
    drop(steady);
    assert_maps_nothing(server.pid());
    wait_until("its pool is free again", || server.ask("segments") == "0");
    assert_live(0);
    assert_eq!(server.ask("misbehaved"), "0");
    assert_eq!(server.ask("panics"), "0");
    house.assert_no_panic();
}

#[test]
fn a_caller_outlives_depots_killed_at_every_point_and_holds_nothing_of_them() {
    let house = Yard::new();
    for point in IN_DEPOTS {
        let mut server = depot(&house, &format!("at={DEPOT} {WORDS} crash={point}"));
        let mut caller = client(&house, DEPOT, WORDS);
        let lost = house
            .runtime()
            .block_on(work_until_lost(&mut caller, false));
        assert_eq!(lost.code(), tonic::Code::Unavailable, "{point}: {lost}");
        assert!(server.was_killed(), "not at {point}: {lost}");
        assert_nothing_held_here();
        assert_maps_nothing(std::process::id());
        assert_live(0);
    }
    house.assert_no_panic();
}

#[test]
fn both_ends_outlive_forwarders_killed_at_every_point_and_lose_nothing() {
    let house = Yard::new();
    let mut last = depot(&house, &format!("at={LAST} {WORDS}"));
    let mut inspector = client(&house, LAST, WORDS);
    for point in IN_FORWARDERS {
        let setup = format!("at={DEPOT} next={LAST} {WORDS} crash={point}");
        let mut forwarder = depot(&house, &setup);
        let mut creator = client(&house, DEPOT, WORDS);
        let lost = house.runtime().block_on(async {
            loop {
                for seed in 0..10 {
                    if let Err(lost) = creator.forward(by_reference(seed)).await {
                        return lost;
                    }
                }
                settle(&mut inspector).await;
            }
        });
        assert_eq!(lost.code(), tonic::Code::Unavailable, "{point}: {lost}");
        assert!(forwarder.was_killed(), "not at {point}: {lost}");
        // What had been passed on is all there.
        house.runtime().block_on(settle(&mut inspector));
        assert_lets_go(&last);
        assert_live(0);
    }
    assert_eq!(last.ask("misbehaved"), "0");
    assert_eq!(last.ask("panics"), "0");
    house.assert_no_panic();
}

/// How often to kill at any moment: `NOWIRE_KILLS`, or 10 times.
fn kills() -> u64 {
    let wanted = std::env::var("NOWIRE_KILLS").ok();
    wanted.and_then(|kills| kills.parse().ok()).unwrap_or(10)
}

/// Lets some time pass, of another length each time.
fn a_moment(turn: u64) {
    let micros = (turn + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    std::thread::sleep(Duration::from_micros(micros % 40_000));
}

#[test]
fn whoever_is_killed_at_any_moment_leaves_nothing_and_takes_nothing_along() {
    let house = Yard::new();
    let mut last = depot(&house, &format!("at={LAST} {WORDS}"));
    let mut inspector = client(&house, LAST, WORDS);
    for turn in 0..kills() {
        let setup = format!("at={DEPOT} next={LAST} {WORDS}");
        let mut forwarder = depot(&house, &setup);
        let mut creator = caller(&house, "forwards");
        a_moment(turn);
        if turn % 2 == 0 {
            creator.kill();
            a_moment(turn / 2);
            assert_lets_go(&forwarder);
            house.runtime().block_on(settle(&mut inspector));
        } else {
            forwarder.kill();
            let lost = creator.line("lost");
            assert!(lost.contains(DEPOT), "{lost}");
            assert_lets_go(&creator);
            house.runtime().block_on(settle(&mut inspector));
            wait_until("its pool is free again", || creator.ask("segments") == "0");
        }
        assert_lets_go(&last);
    }
    assert_eq!(last.ask("misbehaved"), "0");
    house.assert_no_panic();
}
