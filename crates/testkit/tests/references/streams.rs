//! Many references: windows, slow readers, calls at the same time and calls that
//! are given up.

use std::time::Duration;

use nowire_testkit::depot::{Nothing, Order, Parcel, contents};
use tokio::task::JoinSet;
use tonic::{Code, Request};

use crate::scene::{
    DEPOT, PATIENCE, Yard, assert_lets_go, assert_live, assert_nothing_held_here, client, depot,
    descriptors, reference, wait_until,
};

const CHUNK_BYTES: usize = 20_000;

fn chunk(seed: u64) -> Parcel {
    Parcel::of(seed, reference(seed, CHUNK_BYTES))
}

#[test]
fn a_slow_reader_holds_few_references_of_a_long_stream_and_gets_them_all() {
    const CHUNKS: u64 = 3000;
    // References in one window, and as many that its reader has begun to take.
    const MOST: usize = 2 * 64 + 16;
    let house = Yard::new();
    let program = depot(&house, &format!("at={DEPOT}"));
    let pid = program.pid();
    let mut client = client(&house, DEPOT, "");
    let loading = house.runtime().spawn(async move {
        let chunks = (0..CHUNKS).map(|seed| Parcel {
            pause_us: if seed % 500 == 0 { 50_000 } else { 0 },
            ..chunk(seed)
        });
        client.load(tokio_stream::iter(chunks)).await
    });
    let mut most = 0;
    let mut most_here = 0;
    while !loading.is_finished() {
        most = most.max(descriptors(pid));
        most_here = most_here.max(nowire::Pool::process().usage().segments);
        std::thread::sleep(Duration::from_micros(500));
    }
    let receipt = house.runtime().block_on(loading).expect("no panic");
    let receipt = receipt.expect("served").into_inner();
    assert_eq!(u64::from(receipt.blobs), CHUNKS);
    assert_eq!((receipt.wrong, receipt.failed), (0, 0), "{receipt:?}");
    assert!(
        u64::from(receipt.by_reference) > CHUNKS * 3 / 4,
        "{receipt:?}"
    );
    assert!((1..=MOST).contains(&most), "{most} descriptors held");
    // What is encoded ahead of the window is bounded as well.
    assert!(most_here < 600, "{most_here} segments in use here");
    assert_lets_go(&program);
    assert_live(0);
    house.assert_no_panic();
}

#[test]
fn a_server_that_streams_to_a_slow_client_makes_no_more_than_it_can_send() {
    const CHUNKS: u32 = 2000;
    let house = Yard::new();
    let mut program = depot(&house, &format!("at={DEPOT}"));
    let mut client = client(&house, DEPOT, "");
    house.runtime().block_on(async {
        let order = Order {
            seed: 0,
            count: CHUNKS,
            bytes: CHUNK_BYTES as u64,
            ..Order::default()
        };
        let mut chunks = client.unload(order).await.expect("served").into_inner();
        let mut receipt = nowire_testkit::depot::Receipt::default();
        while let Some(chunk) = chunks.message().await.expect("served") {
            receipt.look(&chunk);
            if receipt.blobs % 500 == 1 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let held = descriptors(std::process::id());
                assert!(held <= 2 * 64 + 16, "{held} descriptors held");
                let segments: usize = program.ask("segments").parse().expect("a number");
                assert!(segments < 600, "{segments} segments of it in use");
            }
        }
        assert_eq!(receipt.blobs, CHUNKS);
        assert_eq!((receipt.wrong, receipt.failed), (0, 0), "{receipt:?}");
    });
    assert_nothing_held_here();
    wait_until("its pool is free again", || program.ask("segments") == "0");
    house.assert_no_panic();
}

#[test]
fn of_many_calls_at_once_with_a_reference_each_none_fails() {
    const CALLS: u64 = 400;
    for words in ["", "small", "held=8"] {
        let house = Yard::new();
        let program = depot(&house, &format!("at={DEPOT} {words}"));
        let client = client(&house, DEPOT, words);
        let receipts = house.runtime().block_on(async {
            let mut calls = JoinSet::new();
            for seed in 0..CALLS {
                let mut client = client.clone();
                calls.spawn(async move { client.store(chunk(seed)).await });
            }
            tokio::time::timeout(PATIENCE, calls.join_all()).await
        });
        let receipts = receipts.unwrap_or_else(|_| panic!("{words}: hangs"));
        let mut by_reference = 0;
        for receipt in receipts {
            let receipt = receipt.expect("served").into_inner();
            assert_eq!(
                (receipt.wrong, receipt.failed),
                (0, 0),
                "{words}: {receipt:?}"
            );
            by_reference += receipt.by_reference;
        }
        assert!(by_reference > 0, "{words}");
        assert_lets_go(&program);
        assert_live(0);
        house.assert_no_panic();
    }
}

#[test]
fn calls_that_hold_their_references_leave_room_for_others_and_let_go_when_given_up() {
    const CALLS: u64 = 400;
    let house = Yard::new();
    let mut program = depot(&house, &format!("at={DEPOT} held=256"));
    let mut client = client(&house, DEPOT, "");
    house.runtime().block_on(async {
        let mut calls = JoinSet::new();
        for seed in 0..CALLS {
            let mut client = client.clone();
            calls.spawn(async move { client.wait(chunk(seed)).await });
        }
        wait_until("as many are held as may be", || {
            descriptors(program.pid()) >= 128
        });
        // The others have gone by value, and so does this.
        let receipt = client.store(chunk(7)).await.expect("served").into_inner();
        assert_eq!((receipt.by_reference, receipt.wrong), (0, 0));
        assert!(descriptors(program.pid()) <= 256);
        assert!(calls.try_join_next().is_none(), "all of them wait");
        calls.shutdown().await;
    });
    assert_lets_go(&program);
    assert_live(0);
    // There is room again.
    let receipt = house.runtime().block_on(client.store(chunk(8)));
    assert_eq!(receipt.expect("served").into_inner().by_reference, 1);
    assert_eq!(program.ask("misbehaved"), "0");
    house.assert_no_panic();
}

#[test]
fn calls_whose_deadline_passes_leave_nothing_held() {
    let house = Yard::new();
    let program = depot(&house, &format!("at={DEPOT}"));
    let client = client(&house, DEPOT, "");
    house.runtime().block_on(async {
        let mut calls = JoinSet::new();
        for seed in 0..60 {
            let mut client = client.clone();
            calls.spawn(async move {
                let mut request = Request::new(chunk(seed));
                // Some pass before the call is even sent.
                request.set_timeout(Duration::from_millis(seed * 2));
                client.wait(request).await
            });
        }
        while let Some(call) = calls.join_next().await {
            let status = call.expect("no panic").expect_err("nobody answers");
            assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
        }
    });
    assert_lets_go(&program);
    assert_live(0);
    house.assert_no_panic();
}

#[test]
fn streams_given_up_at_any_moment_leave_nothing_held() {
    let house = Yard::new();
    let mut program = depot(&house, &format!("at={DEPOT} held=256"));
    let client = client(&house, DEPOT, "");
    let made: Vec<Parcel> = (0..16).map(chunk).collect();
    let endless = || {
        let made = made.clone();
        tokio_stream::iter((0..).map(move |number| made[number % 16].clone()))
    };
    house.runtime().block_on(async {
        for round in 0..6_u64 {
            let mut up = client.clone();
            let chunks = endless();
            let loading = tokio::spawn(async move { up.load(chunks).await });
            let mut down = client.clone();
            let order = Order {
                seed: round,
                count: u32::MAX,
                bytes: CHUNK_BYTES as u64,
                ..Order::default()
            };
            let mut chunks = down.unload(order).await.expect("served").into_inner();
            for _ in 0..6 * round {
                chunks.message().await.expect("served").expect("endless");
            }
            let mut back = down.exchange(endless()).await.expect("served").into_inner();
            for _ in 0..round {
                back.message().await.expect("served").expect("endless");
            }
            loading.abort();
        }
    });
    // Their own descriptors would count.
    drop(made);
    assert_lets_go(&program);
    assert_nothing_held_here();
    assert_live(0);
    wait_until("its pool is free again", || program.ask("segments") == "0");
    assert_eq!(program.ask("misbehaved"), "0");
    house.assert_no_panic();
}

#[test]
fn echoes_that_nobody_hurries_to_read_stay_within_what_their_server_takes() {
    const CHUNKS: usize = 400;
    let house = Yard::new();
    let program = depot(&house, &format!("at={DEPOT} held=256"));
    let client = client(&house, DEPOT, "held=256");
    let made = chunk(1);
    house.runtime().block_on(async {
        let mut echoes = Vec::new();
        for _ in 0..2 {
            let chunks = std::iter::repeat_n(made.clone(), CHUNKS);
            let mut client = client.clone();
            let echo = client.exchange(tokio_stream::iter(chunks)).await;
            echoes.push(echo.expect("served").into_inner());
        }
        // Until nothing moves any more.
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(descriptors(program.pid()) <= 256);
        for mut echo in echoes {
            for _ in 0..CHUNKS {
                let back = echo.message().await.expect("served").expect("one for each");
                assert_eq!(back, made);
            }
        }
    });
    drop(made);
    assert_lets_go(&program);
    assert_nothing_held_here();
    assert_live(0);
    house.assert_no_panic();
}

#[test]
fn what_a_handler_keeps_beyond_the_limit_fails_to_come_and_nothing_else_does() {
    const LIMIT: u64 = 32;
    let house = Yard::new();
    let mut program = depot(&house, &format!("at={DEPOT} held={LIMIT}"));
    let mut client = client(&house, DEPOT, "");
    house.runtime().block_on(async {
        let mut kept = 0;
        let mut refused = 0;
        for seed in 0..2 * LIMIT {
            // One call after another: none of them is open when the next begins.
            match client.keep(chunk(seed)).await {
                Ok(receipt) => kept += u64::from(receipt.into_inner().by_reference),
                Err(status) => {
                    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
                    refused += 1;
                }
            }
        }
        assert_eq!(kept, LIMIT);
        assert_eq!(refused, 0, "the handler does not look, so it is not told");
        let receipt = client
            .inspect(Nothing {})
            .await
            .expect("served")
            .into_inner();
        assert_eq!((u64::from(receipt.failed), receipt.wrong), (LIMIT, 0));
        assert!(
            receipt.failure.contains("limit of 32"),
            "{}",
            receipt.failure
        );
        client.clear(Nothing {}).await.expect("served");
        let receipt = client.store(chunk(1)).await.expect("served").into_inner();
        assert_eq!((receipt.by_reference, receipt.wrong), (1, 0));
        let small = Parcel::of(2, contents(2, 100));
        assert_eq!(
            client
                .store(small)
                .await
                .expect("served")
                .into_inner()
                .wrong,
            0
        );
    });
    assert_lets_go(&program);
    assert_eq!(program.ask("misbehaved"), "0");
    house.assert_no_panic();
}
