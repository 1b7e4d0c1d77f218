//! The smallest service there is, on both carriers.

use nowire_grpc::{Carrier, CarrierPolicy, Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

fn runtime_dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

#[tokio::test]
async fn one_server_answers_on_both_carriers() {
    let dir = runtime_dir();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let path = dir.path().to_owned();
    let bound = Server::builder()
        .memory_options(|options| options.runtime_dir = Some(path.clone()))
        .add_service(health)
        .bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = format!("http://{}", bound.local_addr().expect("TCP"));
    let server = tokio::spawn(bound.serve());
    for (policy, carrier) in [
        (CarrierPolicy::Require, Carrier::Memory),
        (CarrierPolicy::Never, Carrier::Http2),
    ] {
        let channel = Endpoint::from_shared(address.clone())
            .expect("an address")
            .carrier(policy)
            .memory_options(|options| options.runtime_dir = Some(path.clone()))
            .connect()
            .await
            .expect("connected");
        assert_eq!(channel.carrier(), Some(carrier));
        let mut client = HealthClient::new(channel);
        for _ in 0..1000 {
            let answer = client
                .check(HealthCheckRequest::default())
                .await
                .expect("an answer");
            assert_eq!(answer.into_inner().status, 1);
        }
        let missing = client
            .check(HealthCheckRequest {
                service: "none".to_owned(),
            })
            .await
            .expect_err("not there");
        assert_eq!(missing.code(), tonic::Code::NotFound);
    }
    server.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_beyond_the_stream_limit_take_turns_and_the_impatient_leave_the_queue() {
    let dir = runtime_dir();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let path = dir.path().to_owned();
    let bound = Server::builder()
        .max_concurrent_streams(2)
        .memory_options(|options| options.runtime_dir = Some(path.clone()))
        .add_service(health)
        .bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = format!("http://{}", bound.local_addr().expect("TCP"));
    let server = tokio::spawn(bound.serve());
    let channel = Endpoint::from_shared(address)
        .expect("an address")
        .carrier(CarrierPolicy::Require)
        .memory_options(|options| options.runtime_dir = Some(path.clone()))
        .connect()
        .await
        .expect("connected");
    // Watching never ends, so these two take all places.
    let mut watching = Vec::new();
    for _ in 0..2 {
        let mut client = HealthClient::new(channel.clone());
        let watch = client.watch(HealthCheckRequest::default()).await;
        watching.push(watch.expect("a stream"));
    }
    for _ in 0..100 {
        let mut client = HealthClient::new(channel.clone());
        let mut request = tonic::Request::new(HealthCheckRequest::default());
        request.set_timeout(std::time::Duration::from_millis(1));
        let late = client.check(request).await.expect_err("no place");
        assert_eq!(late.code(), tonic::Code::DeadlineExceeded);
    }
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let mut client = HealthClient::new(channel.clone());
        calls.spawn(async move { client.check(HealthCheckRequest::default()).await });
    }
    tokio::task::yield_now().await;
    drop(watching);
    let answered = tokio::time::timeout(std::time::Duration::from_secs(30), calls.join_all()).await;
    for answer in answered.expect("no call is forgotten") {
        assert_eq!(answer.expect("an answer").into_inner().status, 1);
    }
    server.abort();
}
