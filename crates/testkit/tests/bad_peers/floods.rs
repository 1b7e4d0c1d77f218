//! Peers that send too much, or take too little, each frame of it allowed.

use std::time::{Duration, Instant};

use nowire_grpc::Channel;
use nowire_interop::proto::testing::test_service_client::TestServiceClient;
use nowire_interop::proto::testing::{Empty, StreamingOutputCallRequest};
use nowire_testkit::{Deed, House, Program};
use tonic::{Code, Request};

use crate::scene::{HONEST, LIAR, PATIENCE, Subject, doer};

const MIB: u64 = 1 << 20;

/// A hostile client does a deed to a server process; others are served. Gives
/// back what the deed said, the server and its memory before.
fn against_a_server(
    deed: Deed,
    window_bytes: u32,
) -> (House, Subject, Program, nowire_testkit::Vitals) {
    let house = House::new();
    let subject = Subject::serve(&house, HONEST, window_bytes);
    let steady = house.steady(subject.address());
    steady.assert_served();
    let before = subject.program.vitals();
    let peer = doer("client", HONEST, &house, deed, 1);
    peer.line("did");
    steady.assert_served();
    drop(steady);
    (house, subject, peer, before)
}

#[test]
fn twenty_thousand_calls_opened_and_reset_cost_nothing_that_stays() {
    let (_house, mut subject, _peer, before) = against_a_server(Deed::Resets, 16 << 10);
    subject.assert_grown_less(before, 16 * MIB);
    subject.assert_no_panic();
}

#[test]
fn a_window_filled_byte_by_byte_takes_little_more_memory_than_the_window() {
    // 32 streams of 8 KiB, each frame one byte.
    let (_house, mut subject, _peer, before) = against_a_server(Deed::Crumbs, 8 << 10);
    subject.assert_grown_less(before, 8 * MIB);
    subject.assert_no_panic();
}

#[test]
fn a_window_filled_in_small_pieces_takes_little_more_memory_than_the_window() {
    // 64 streams of 256 KiB are 16 MiB.
    let (_house, mut subject, _peer, before) = against_a_server(Deed::Slabs, 256 << 10);
    subject.assert_grown_less(before, 48 * MIB);
    subject.assert_no_panic();
}

#[test]
fn what_a_client_asks_for_and_never_takes_is_not_made() {
    // 16 streams of 100 MiB.
    let (_house, mut subject, _peer, before) = against_a_server(Deed::Greed, 16 << 10);
    std::thread::sleep(Duration::from_millis(500));
    subject.assert_grown_less(before, 64 * MIB);
    subject.assert_no_panic();
}

#[test]
fn a_client_that_never_reads_its_answers_is_cut_off() {
    let house = House::new();
    let mut subject = Subject::serve(&house, HONEST, 16 << 10);
    let steady = house.steady(subject.address());
    steady.assert_served();
    let before = subject.program.vitals();
    let peer = doer("client", HONEST, &house, Deed::NeverReads, 1);
    let calls: u64 = peer.line("did").parse().expect("a number");
    assert!(calls < 100_000, "it was let go on for ever");
    steady.assert_served();
    subject.assert_grown_less(before, 64 * MIB);
    subject.assert_back_at(before);
    subject.assert_no_panic();
}

#[test]
fn a_client_that_never_reads_its_pings_is_cut_off() {
    let house = House::new();
    house.serve(HONEST);
    let steady = house.steady(HONEST);
    steady.assert_served();
    let peer = doer("client", HONEST, &house, Deed::UnreadPings, 1);
    let pings: u64 = peer.line("did").parse().expect("a number");
    assert!(pings < 100_000, "it was let go on for ever");
    steady.assert_served();
    house.assert_no_panic();
}

#[test]
fn a_server_that_never_reads_its_pings_is_cut_off() {
    let house = House::new();
    house.serve(HONEST);
    let steady = house.steady(HONEST);
    let peer = doer("server", LIAR, &house, Deed::UnreadPings, 1);
    let status = house.runtime().block_on(async {
        let mut client = TestServiceClient::new(house.channel(LIAR));
        let call = tokio::time::timeout(PATIENCE, client.empty_call(Empty {}));
        call.await
            .expect("the call does not hang")
            .expect_err("nobody answers")
    });
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(
        status.message().contains(&format!("(pid {},", peer.pid())),
        "{status}"
    );
    let pings: u64 = peer.line("did").parse().expect("a number");
    assert!(pings < 100_000, "it was let go on for ever");
    steady.assert_served();
    house.assert_no_panic();
}

#[test]
fn a_restless_doorbell_holds_nobody_up() {
    for (side, address) in [("client", HONEST), ("server", LIAR)] {
        let house = House::new();
        house.serve(HONEST);
        let steady = house.steady(HONEST);
        let peer = doer(side, address, &house, Deed::RestlessBell, 1);
        let caller = (side == "server").then(|| {
            let channel = house.channel(LIAR);
            house.runtime().spawn(open_for_ever(channel))
        });
        steady.assert_served();
        peer.line("did");
        steady.assert_served();
        house.assert_no_panic();
        drop(caller);
    }
}

/// A call that nobody answers.
async fn open_for_ever(channel: Channel) {
    let _ = TestServiceClient::new(channel).empty_call(Empty {}).await;
}

#[test]
fn crumbs_from_a_server_take_little_more_memory_than_the_window() {
    let house = House::new();
    house.serve(HONEST);
    let steady = house.steady(HONEST);
    let peer = doer("server", LIAR, &house, Deed::Crumbs, 1);
    let channel = house.channel(LIAR);
    // 32 streams that nobody reads, of 16 KiB each.
    let held = house.runtime().block_on(async {
        let mut held = Vec::new();
        for _ in 0..32 {
            let mut client = TestServiceClient::new(channel.clone());
            let (requests, stream) = tokio::sync::mpsc::channel(1);
            let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
            let _ = requests.send(StreamingOutputCallRequest::default()).await;
            held.push((
                requests,
                tokio::spawn(async move { client.full_duplex_call(stream).await }),
            ));
        }
        held
    });
    let frames: u64 = peer.line("did").parse().expect("a number");
    assert_eq!(frames, 32 * (16 << 10));
    steady.assert_served();
    house.assert_no_panic();
    drop(held);
}

#[test]
fn calls_to_a_server_that_takes_nothing_end_at_their_deadlines() {
    let house = House::new();
    house.serve(HONEST);
    let steady = house.steady(HONEST);
    let _peer = doer("server", LIAR, &house, Deed::Frozen, 1);
    let channel = house.channel(LIAR);
    // Enough to fill the ring, so that most are never begun.
    house.runtime().block_on(async {
        for _ in 0..3 {
            let mut calls = tokio::task::JoinSet::new();
            for _ in 0..300 {
                let mut client = TestServiceClient::new(channel.clone());
                calls.spawn(async move {
                    let mut request = Request::new(Empty {});
                    request.set_timeout(Duration::from_millis(200));
                    client.empty_call(request).await
                });
            }
            let began = Instant::now();
            while let Some(call) = calls.join_next().await {
                let status = call.expect("no panic").expect_err("nobody answers");
                assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
            }
            assert!(began.elapsed() < PATIENCE);
        }
    });
    steady.assert_served();
    house.assert_no_panic();
}

#[test]
fn calls_behind_a_lie_are_not_begun_and_leave_nothing() {
    const ROUNDS: u32 = 20;
    let house = House::new();
    let mut subject = Subject::serve(&house, HONEST, 16 << 10);
    let steady = house.steady(subject.address());
    steady.assert_served();
    let before = subject.program.vitals();
    let peer = doer("client", HONEST, &house, Deed::LastWords, ROUNDS);
    peer.line("done");
    drop(peer);
    subject.assert_back_at(before);
    assert_eq!(subject.program.ask("misbehaved"), ROUNDS.to_string());
    steady.assert_served();
    subject.assert_no_panic();
}
