//! Calls that are given up, before they are begun and after: the connection and
//! the calls beside them go on.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nowire_grpc::{CarrierPolicy, Channel, Endpoint, Server};
use nowire_interop::proto::testing::test_service_client::TestServiceClient;
use nowire_interop::proto::testing::{Empty, SimpleRequest};
use nowire_interop::{ServerSettings, services};
use nowire_testkit::{House, serve, warnings};
use tokio::sync::{Notify, oneshot};
use tonic::{Code, Request};

use crate::scene::{Dice, PATIENCE};

/// Nobody in this process has been called a liar: both sides are honest.
fn assert_honest() {
    let mut warnings = warnings(&format!("(pid {},", std::process::id()));
    warnings.retain(|warning| warning.contains("misbehaved"));
    assert_eq!(warnings, [""; 0]);
}

/// A server for so many streams, and a channel to it.
async fn server_and_channel(dir: &Path, name: &str, streams: u32) -> Channel {
    let address = serve(name, |server| {
        server.memory_options(|options| {
            options.runtime_dir = Some(dir.to_owned());
            options.max_streams = streams;
        })
    })
    .await
    .expect("a free name");
    nowire_testkit::connect(&address, dir, CarrierPolicy::Require)
        .await
        .expect("connected")
}

#[test]
fn metadata_too_large_to_send_fails_its_own_call_only() {
    let house = House::new();
    house.runtime().block_on(async {
        let channel = server_and_channel(house.dir(), "nowire:large", 8).await;
        let mut client = TestServiceClient::new(channel.clone());
        // Open all the while.
        let (_requests, stream) = tokio::sync::mpsc::channel(1);
        let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
        let mut beside = TestServiceClient::new(channel.clone());
        let beside = tokio::spawn(async move { beside.streaming_input_call(stream).await });
        client.empty_call(Empty {}).await.expect("an answer");
        for _ in 0..20 {
            let mut request = Request::new(Empty {});
            let value = "x".repeat(60_000).parse().expect("a value");
            request.metadata_mut().insert("x-large", value);
            let status = client.empty_call(request).await.expect_err("too large");
            assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
            client.empty_call(Empty {}).await.expect("an answer");
        }
        drop(_requests);
        let sum = beside.await.expect("no panic").expect("it went on");
        assert_eq!(sum.into_inner().aggregated_payload_size, 0);
    });
    assert_honest();
    house.assert_no_panic();
}

#[test]
fn calls_dropped_at_any_moment_leave_the_connection_to_the_others() {
    let house = House::new();
    house.runtime().block_on(async {
        // So few places that each is used again and again.
        let channel = server_and_channel(house.dir(), "nowire:fickle", 3).await;
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..8 {
            let mut client = TestServiceClient::new(channel.clone());
            tasks.spawn(async move {
                let mut dice = Dice::new(task);
                let mut answered = 0;
                for _ in 0..400 {
                    let request = SimpleRequest {
                        response_size: 3000,
                        ..SimpleRequest::default()
                    };
                    let patience = dice.below(Duration::from_millis(3));
                    match tokio::time::timeout(patience, client.unary_call(request)).await {
                        Ok(Ok(_)) => answered += 1,
                        Ok(Err(status)) => panic!("{status}"),
                        Err(_) => {}
                    }
                }
                answered
            });
        }
        let mut answered = 0;
        while let Some(task) = tasks.join_next().await {
            answered += task.expect("no call failed");
        }
        assert!(answered > 0, "every call was dropped");
        let mut client = TestServiceClient::new(channel);
        let call = tokio::time::timeout(PATIENCE, client.empty_call(Empty {}));
        call.await.expect("no place is lost").expect("an answer");
    });
    assert_honest();
    house.assert_no_panic();
}

#[test]
fn calls_begun_while_the_server_shuts_down_are_answered_or_told_so() {
    let house = House::new();
    house.runtime().block_on(async {
        for round in 0..20 {
            one_shutdown(house.dir(), round).await;
        }
    });
    assert_honest();
    house.assert_no_panic();
}

async fn one_shutdown(dir: &Path, round: u64) {
    let services = services(ServerSettings::default());
    let bound = Server::builder()
        .memory_options(|options| options.runtime_dir = Some(dir.to_owned()))
        .add_service(services.test)
        .bind("nowire:leaving")
        .await
        .expect("a free name");
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(bound.serve_with_shutdown(async {
        // Dropped is as good as said.
        let _ = stopped.await;
    }));
    let channel = Endpoint::from_static("nowire:leaving")
        .carrier(CarrierPolicy::Require)
        .memory_options(|options| options.runtime_dir = Some(dir.to_owned()))
        .connect()
        .await
        .expect("connected");
    let answer = Arc::new(Notify::new());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let mut client = TestServiceClient::new(channel.clone());
        let answer = answer.clone();
        tasks.spawn(async move {
            loop {
                match client.empty_call(Empty {}).await {
                    Ok(_) => answer.notify_one(),
                    Err(status) if status.code() == Code::Unavailable => return,
                    Err(status) => panic!("{status}"),
                }
            }
        });
    }
    tokio::time::timeout(PATIENCE, answer.notified())
        .await
        .expect("an answer while the server is up");
    let moment = Dice::new(round).below(Duration::from_millis(20));
    tokio::time::sleep(moment).await;
    drop(stop);
    let all = async {
        while let Some(task) = tasks.join_next().await {
            task.expect("each call was answered or told");
        }
        serving.await.expect("no panic").expect("a good end");
    };
    tokio::time::timeout(PATIENCE, all).await.expect("an end");
}
