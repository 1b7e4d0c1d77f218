//! Every official case, against a server in a process of its own, over each carrier.
#![forbid(unsafe_code)]

#[path = "support/process.rs"]
mod process;

use std::time::Duration;

use nowire_interop::{
    Case, Failure, Settings,
    proto::testing::{
        Empty, ResponseParameters, StreamingInputCallRequest, StreamingOutputCallRequest,
        test_service_client::TestServiceClient,
    },
    transport,
};
use process::ServerProcess;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, transport::Server};

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs all cases and returns those that failed, with the reason.
async fn failures(address: &str) -> Vec<(Case, Failure)> {
    let mut settings = Settings::default();
    settings.iteration_interval = Duration::ZERO;
    let connect = || transport::connect(address);
    let channel = connect().await.expect("the server is there");
    let mut failures = Vec::new();
    for case in Case::ALL {
        if let Err(failure) = case.run(&channel, connect, &settings).await {
            eprintln!("FAIL {case}: {failure}");
            failures.push((case, failure));
        }
    }
    failures
}

async fn every_case_passes(server: ServerProcess) {
    let failures = failures(server.address()).await;
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_passes_over_http2_on_tcp() {
    every_case_passes(ServerProcess::start("127.0.0.1:0")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_passes_over_http2_on_a_unix_socket() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let socket = directory.path().join("interop.sock");
    every_case_passes(ServerProcess::start(&format!("unix:{}", socket.display()))).await;
}

/// A suite that passes against anything would prove nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_the_service_fails_every_case_that_needs_it() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (_reporter, health) = tonic_health::server::health_reporter();
    let server = Server::builder()
        .add_service(health)
        .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
    let server = tokio::spawn(server);
    let passed: Vec<Case> = {
        let failed: Vec<Case> = failures(&address)
            .await
            .into_iter()
            .map(|(case, _)| case)
            .collect();
        Case::ALL
            .into_iter()
            .filter(|case| !failed.contains(case))
            .collect()
    };
    assert_eq!(
        passed,
        [Case::UnimplementedMethod, Case::UnimplementedService]
    );
    server.abort();
}

/// Calls that wait for an answer when the server dies all learn of it.
async fn a_killed_server_fails_pending_calls(mut server: ServerProcess, expected: Code) {
    let channel = transport::connect(server.address())
        .await
        .expect("the server is there");
    let mut client = TestServiceClient::new(channel);
    let mut streams = Vec::new();
    let mut senders = Vec::new();
    for _ in 0..10 {
        let (sender, receiver) = mpsc::channel(1);
        let question = StreamingOutputCallRequest {
            response_parameters: vec![ResponseParameters::default()],
            ..StreamingOutputCallRequest::default()
        };
        sender.try_send(question).expect("there is room");
        let call = client.full_duplex_call(ReceiverStream::new(receiver));
        let mut responses = call.await.expect("the server answers").into_inner();
        responses.message().await.expect("the stream is open");
        streams.push(responses);
        senders.push(sender);
    }
    let mut unary = client.clone();
    let waiting = tokio::spawn(async move {
        unary
            .streaming_input_call(tokio_stream::pending::<StreamingInputCallRequest>())
            .await
    });
    // The call has to be on its way; an answer to a later one shows that it is.
    client
        .empty_call(Empty {})
        .await
        .expect("the server answers");

    server.kill();
    let mut codes = Vec::new();
    for mut responses in streams {
        let next = timeout(PATIENCE, responses.message()).await;
        codes.push(next.expect("no call waits for ever").unwrap_err().code());
    }
    let waited = timeout(PATIENCE, waiting)
        .await
        .expect("no call waits for ever");
    codes.push(waited.expect("the task ran").unwrap_err().code());
    assert_eq!(codes, vec![expected; 11]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_fails_pending_calls_over_http2() {
    // tonic's HTTP/2 has no better word for a connection that broke.
    a_killed_server_fails_pending_calls(ServerProcess::start("127.0.0.1:0"), Code::Unknown).await;
}
