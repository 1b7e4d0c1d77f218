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
