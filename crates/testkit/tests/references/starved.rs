//! Processes without descriptors left.

use nowire_testkit::depot::{Nothing, Parcel, contents};

use crate::scene::{
    DEPOT, Yard, assert_lets_go, assert_live, client, depot, reference, wait_until,
};

const BYTES: usize = 50_000;

#[test]
fn references_that_find_no_descriptor_free_are_lost_and_nothing_else_is() {
    let house = Yard::new();
    let mut program = depot(&house, &format!("at={DEPOT}"));
    let mut client = client(&house, DEPOT, "");
    house.runtime().block_on(async {
        client
            .store(Parcel::of(1, reference(1, BYTES)))
            .await
            .expect("served");
        assert_eq!(program.ask("starve"), "");
        for seed in 0..20 {
            let parcel = Parcel::of(seed, reference(seed, BYTES));
            let receipt = client.store(parcel).await.expect("served").into_inner();
            assert_eq!((receipt.failed, receipt.wrong), (1, 0), "{receipt:?}");
            assert!(
                receipt.failure.contains("out of descriptors"),
                "{receipt:?}"
            );
            let small = Parcel::of(seed, contents(seed, 100));
            let receipt = client.store(small).await.expect("served").into_inner();
            assert_eq!((receipt.failed, receipt.wrong), (0, 0), "{receipt:?}");
        }
        // Its own go by value: it can make no memory for them.
        let order = nowire_testkit::depot::Order {
            seed: 1,
            count: 3,
            bytes: BYTES as u64,
            ..Default::default()
        };
        let mut made = client.unload(order).await.expect("served").into_inner();
        while let Some(parcel) = made.message().await.expect("served") {
            let content = parcel.content.expect("made");
            let bytes = content.open().expect("here");
            assert!(nowire_testkit::depot::is_made_of(parcel.seed, &bytes));
        }
        assert_eq!(program.ask("feed"), "");
        let parcel = Parcel::of(9, reference(9, BYTES));
        let receipt = client.store(parcel).await.expect("served").into_inner();
        assert_eq!((receipt.failed, receipt.wrong), (0, 0), "{receipt:?}");
        assert_eq!(receipt.by_reference, 1);
    });
    assert_lets_go(&program);
    assert_live(0);
    assert_eq!(program.ask("misbehaved"), "0");
    assert_eq!(program.ask("panics"), "0");
}

#[test]
fn one_who_passes_on_what_was_lost_says_so_and_goes_on() {
    let house = Yard::new();
    let last = depot(&house, &format!("at={}", crate::scene::LAST));
    let mut forwarder = depot(&house, &format!("at={DEPOT} next={}", crate::scene::LAST));
    let mut client = client(&house, DEPOT, "");
    let mut inspector = crate::scene::client(&house, crate::scene::LAST, "");
    house.runtime().block_on(async {
        client
            .forward(Parcel::of(1, reference(1, BYTES)))
            .await
            .expect("served");
        forwarder.ask("starve");
        let parcel = Parcel::of(2, reference(2, BYTES));
        let status = client
            .forward(parcel)
            .await
            .expect_err("it has nothing to pass on");
        assert!(status.message().contains("out of descriptors"), "{status}");
        forwarder.ask("feed");
        client
            .forward(Parcel::of(3, reference(3, BYTES)))
            .await
            .expect("served");
        let receipt = inspector
            .inspect(Nothing {})
            .await
            .expect("served")
            .into_inner();
        assert_eq!((receipt.blobs, receipt.wrong, receipt.failed), (2, 0, 0));
        inspector.clear(Nothing {}).await.expect("served");
    });
    assert_lets_go(&forwarder);
    assert_lets_go(&last);
    assert_live(0);
    wait_until("its pool is free again", || {
        forwarder.ask("segments") == "0"
    });
}
