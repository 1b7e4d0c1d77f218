//! Services that pass large data on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nowire::Pool;
use nowire_testkit::Vitals;
use nowire_testkit::depot::{Nothing, Order, Parcel, is_made_of};

use crate::scene::{
    DEPOT, LAST, Yard, assert_lets_go, assert_live, assert_nothing_held_here, client, depot,
    mappings, reference, wait_until,
};

const LARGE: usize = 1 << 20;

/// Page faults of a process so far, as the kernel counts them.
fn faults(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let (_, after_name) = stat.rsplit_once(')').expect("a line of /proc/pid/stat");
    let field = after_name.split_whitespace().nth(7);
    field
        .and_then(|field| field.parse().ok())
        .expect("a number")
}

#[test]
fn a_service_that_only_passes_data_on_neither_maps_nor_copies_it() {
    const CALLS: u64 = 40;
    let house = Yard::new();
    let mut last = depot(&house, &format!("at={LAST}"));
    let forwarder = depot(&house, &format!("at={DEPOT} next={LAST}"));
    let mut client = client(&house, DEPOT, "");
    let mut inspector = crate::scene::client(&house, LAST, "");
    house.runtime().block_on(async {
        for seed in 0..10 {
            let parcel = Parcel::of(seed, reference(seed, LARGE));
            client.forward(parcel).await.expect("served");
            inspector.clear(Nothing {}).await.expect("served");
        }
        let (before, faults_before) = (forwarder.vitals(), faults(forwarder.pid()));
        for seed in 0..CALLS {
            let parcel = Parcel::of(seed, reference(seed, LARGE));
            let receipt = client.forward(parcel).await.expect("served").into_inner();
            assert_eq!(receipt.by_reference, 1, "to the last one as well");
            assert_eq!(receipt.bytes, LARGE as u64);
            assert_eq!(mappings(forwarder.pid()), 0);
            let receipt = inspector
                .inspect(Nothing {})
                .await
                .expect("served")
                .into_inner();
            assert_eq!((receipt.blobs, receipt.wrong, receipt.failed), (1, 0, 0));
            inspector.clear(Nothing {}).await.expect("served");
        }
        let (after, faults_after) = (forwarder.vitals(), faults(forwarder.pid()));
        // A copy of one in memory that is there already would not fault, but all
        // of them went through.
        let pages = CALLS * LARGE as u64 / 4096;
        assert!(
            faults_after - faults_before < pages / 10,
            "{}",
            faults_after - faults_before
        );
        let grown = after.private_bytes.saturating_sub(before.private_bytes);
        assert!(grown < LARGE as u64, "grown by {grown} bytes");
        let Vitals { shared_bytes, .. } = after;
        assert_eq!(shared_bytes, before.shared_bytes);
    });
    assert_lets_go(&forwarder);
    assert_lets_go(&last);
    assert_live(0);
    assert_eq!(last.ask("segments"), "0", "it made none of its own");
    house.assert_no_panic();
}

#[test]
fn what_was_passed_on_stays_when_the_one_between_is_killed() {
    let house = Yard::new();
    let last = depot(&house, &format!("at={LAST}"));
    let mut forwarder = depot(&house, &format!("at={DEPOT} next={LAST}"));
    let mut client = client(&house, DEPOT, "");
    let mut inspector = crate::scene::client(&house, LAST, "");
    house.runtime().block_on(async {
        for seed in 0..20 {
            let parcel = Parcel::of(seed, reference(seed, 100_000));
            client.forward(parcel).await.expect("served");
        }
        forwarder.kill();
        // The owner uses its pool meanwhile, and gives back what it can.
        for seed in 100..200 {
            drop(reference(seed, 100_000));
            Pool::process().reclaim();
        }
        let receipt = inspector
            .inspect(Nothing {})
            .await
            .expect("served")
            .into_inner();
        assert_eq!((receipt.blobs, receipt.wrong, receipt.failed), (20, 0, 0));
        inspector.clear(Nothing {}).await.expect("served");
    });
    assert_lets_go(&last);
    assert_live(0);
    house.assert_no_panic();
}

#[test]
fn what_was_passed_stays_when_its_creator_is_killed_while_it_is_read() {
    let house = Yard::new();
    for words in ["", "keeping=trust", "keeping=seal seal=4096"] {
        let mut creator = depot(&house, &format!("at={DEPOT} {words}"));
        let mut client = client(&house, DEPOT, words);
        let chunks = house.runtime().block_on(async {
            let order = Order {
                seed: 40,
                count: 8,
                bytes: LARGE as u64,
                ..Order::default()
            };
            let mut stream = client.unload(order).await.expect("served").into_inner();
            let mut chunks = Vec::new();
            for _ in 0..8 {
                chunks.push(stream.message().await.expect("served").expect("eight"));
            }
            chunks
        });
        assert!(chunks.iter().all(|chunk| {
            let content = chunk.content.as_ref().expect("made");
            content.reference().is_some()
        }));
        let begun = Arc::new(AtomicBool::new(false));
        std::thread::scope(|threads| {
            let reader = threads.spawn({
                let begun = Arc::clone(&begun);
                move || {
                    for round in 0..4 {
                        for chunk in &chunks {
                            let content = chunk.content.as_ref().expect("made");
                            // Each time anew.
                            let view = content.reference().expect("by reference").map();
                            let view = view.expect("it is here");
                            assert!(is_made_of(chunk.seed, &view), "round {round}");
                            begun.store(true, Ordering::Release);
                        }
                    }
                }
            });
            wait_until("it reads", || begun.load(Ordering::Acquire));
            creator.kill();
            reader.join().expect("the bytes stay right");
        });
        assert_nothing_held_here();
    }
    house.assert_no_panic();
}

#[test]
fn what_came_can_be_sent_back_changed_and_cut_and_none_sees_the_other() {
    let house = Yard::new();
    let last = depot(&house, &format!("at={LAST}"));
    let mut client = client(&house, LAST, "");
    house.runtime().block_on(async {
        let sent = reference(1, LARGE);
        let back = client
            .r#return(Parcel::of(1, sent.clone()))
            .await
            .expect("served");
        let came = back.into_inner().content.expect("sent back");
        let came = came.into_ref(Pool::process()).expect("by reference");
        let mut edit = came.edit(Pool::process()).expect("memory");
        edit.write(5000, b"changed").expect("room");
        let changed = edit.share();
        assert!(is_made_of(1, &sent.map().expect("ours")));
        assert!(is_made_of(1, &came.map().expect("kept")));

        let part = changed.slice(4096..12_288).expect("inside");
        let back = client
            .r#return(Parcel::of(0, part.clone()))
            .await
            .expect("served");
        let part_back = back.into_inner().content.expect("sent back");
        // Less than what goes by reference.
        assert!(part_back.reference().is_none());
        assert_eq!(
            *part_back.open().expect("bytes"),
            *part.map().expect("ours")
        );

        let back = client
            .r#return(Parcel::of(0, changed.clone()))
            .await
            .expect("served");
        let changed_back = back.into_inner().content.expect("sent back");
        assert!(changed_back.reference().is_some());
        let bytes = changed_back.open().expect("bytes");
        assert_eq!(*bytes, *changed.map().expect("ours"));
        assert_eq!(&bytes[5000..5007], b"changed");
    });
    assert_lets_go(&last);
    assert_nothing_held_here();
    assert_live(0);
    house.assert_no_panic();
}
