//! Every official case, against a server in a process of its own, over each carrier.
#![forbid(unsafe_code)]

#[path = "conformance/process.rs"]
mod process;
#[path = "conformance/programs.rs"]
mod programs;

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use nowire_grpc::{
    Carrier::{self, Http2, Memory},
    CarrierPolicy, Endpoint, Server,
};
use nowire_interop::{
    Case, Failure, Settings,
    proto::testing::{
        Empty, Payload, ResponseParameters, SimpleRequest, StreamingInputCallRequest,
        StreamingOutputCallRequest, test_service_client::TestServiceClient,
    },
};
use process::{Listen, ServerProcess};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn endpoint(server: &ServerProcess, carrier: Carrier) -> Endpoint {
    let policy = match carrier {
        Memory => CarrierPolicy::Require,
        Http2 => CarrierPolicy::Never,
    };
    Endpoint::from_shared(server.address())
        .expect("the server says its address")
        .carrier(policy)
        .memory_options(|options| options.runtime_dir = Some(server.runtime_dir().into()))
}

/// Runs all cases and returns those that failed, with the reason.
async fn failures(endpoint: &Endpoint, carrier: Carrier) -> Vec<(Case, Failure)> {
    let mut settings = Settings::default();
    settings.iteration_interval = Duration::ZERO;
    let connect = async || Ok(endpoint.connect().await?);
    let channel = endpoint.connect().await.expect("the server is there");
    let mut failures = Vec::new();
    for case in Case::ALL {
        let result = case.run(&channel, connect, &settings).await;
        assert_eq!(channel.carrier(), Some(carrier), "after {case}");
        if let Err(failure) = result {
            eprintln!("FAIL {case}: {failure}");
            failures.push((case, failure));
        }
    }
    failures
}

async fn every_case_passes(listen: Listen, carrier: Carrier) {
    let server = ServerProcess::start(listen);
    let failures = failures(&endpoint(&server, carrier), carrier).await;
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(server.terminate().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_passes_over_http2_on_tcp() {
    every_case_passes(Listen::Tcp, Http2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_passes_over_http2_on_a_unix_socket() {
    every_case_passes(Listen::Unix, Http2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_passes_over_memory_found_by_a_tcp_address() {
    every_case_passes(Listen::Tcp, Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_passes_over_memory_found_by_a_unix_socket() {
    every_case_passes(Listen::Unix, Memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_passes_over_memory_found_by_a_name() {
    every_case_passes(Listen::Name, Memory).await;
}

/// A client whose tasks share one thread must not block itself.
#[tokio::test(flavor = "current_thread")]
async fn every_case_passes_over_memory_from_a_single_thread() {
    every_case_passes(Listen::Tcp, Memory).await;
}

/// A suite that passes against anything would prove nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_the_service_fails_every_case_that_needs_it() {
    let (_reporter, health) = tonic_health::server::health_reporter();
    let server = Server::builder()
        .memory(false)
        .add_service(health)
        .bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = format!("http://{}", server.local_addr().expect("it is TCP"));
    let endpoint = Endpoint::from_shared(address).expect("it is an address");
    let server = tokio::spawn(server.serve());
    let failures = failures(&endpoint.carrier(CarrierPolicy::Never), Http2).await;
    let failed: Vec<_> = failures.into_iter().map(|(case, _)| case).collect();
    let passed: Vec<_> = Case::ALL
        .into_iter()
        .filter(|case| !failed.contains(case))
        .collect();
    assert_eq!(
        passed,
        [Case::UnimplementedMethod, Case::UnimplementedService]
    );
    server.abort();
}

/// Calls that wait for an answer when the server dies all learn of it, and the channel finds the
/// next server.
async fn a_killed_server_fails_pending_calls(carrier: Carrier) {
    let mut server = ServerProcess::start(Listen::Unix);
    let channel = endpoint(&server, carrier).connect().await;
    let channel = channel.expect("the server is there");
    assert_eq!(channel.carrier(), Some(carrier));
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
    let waited = timeout(PATIENCE, waiting).await;
    let waited = waited.expect("no call waits for ever").expect("it ran");
    codes.push(waited.unwrap_err().code());
    assert_eq!(codes, vec![Code::Unavailable; 11]);

    server.start_again();
    let answered = async { while client.empty_call(Empty {}).await.is_err() {} };
    timeout(PATIENCE, answered)
        .await
        .expect("the channel connects again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_fails_pending_calls_over_http2() {
    a_killed_server_fails_pending_calls(Http2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_fails_pending_calls_over_memory() {
    a_killed_server_fails_pending_calls(Memory).await;
}

/// Calls that are given up while the server stands still, begun or not, take nothing with them.
async fn calls_given_up_leave_the_others_alone(carrier: Carrier, calls: usize) {
    let server = ServerProcess::start(Listen::Tcp);
    let channel = endpoint(&server, carrier).connect().await;
    let mut client = TestServiceClient::new(channel.expect("the server is there"));
    let (sender, receiver) = mpsc::channel(1);
    let ask = || StreamingOutputCallRequest {
        response_parameters: vec![ResponseParameters::default()],
        ..StreamingOutputCallRequest::default()
    };
    sender.try_send(ask()).expect("there is room");
    let call = client.full_duplex_call(ReceiverStream::new(receiver));
    let mut responses = call.await.expect("the server answers").into_inner();
    responses.message().await.expect("the stream is open");

    server.freeze();
    let calls: FuturesUnordered<_> = (0..calls)
        .map(|_| {
            let mut client = client.clone();
            let request = SimpleRequest {
                payload: Some(Payload {
                    body: vec![1; 1000].into(),
                    ..Payload::default()
                }),
                ..SimpleRequest::default()
            };
            async move { client.unary_call(request).await }
        })
        .collect();
    let some = timeout(Duration::from_millis(500), calls.into_future()).await;
    assert!(some.is_err(), "a server that stands still answers nothing");
    server.thaw();

    let answer = timeout(PATIENCE, client.empty_call(Empty {})).await;
    answer.expect("the call ends").expect("the server answers");
    sender.send(ask()).await.expect("the stream is open");
    let answer = timeout(PATIENCE, responses.message()).await;
    let answer = answer
        .expect("an answer comes")
        .expect("the stream is open");
    assert!(answer.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_given_up_leave_the_others_alone_over_http2() {
    // More at once are taken for an attack.
    calls_given_up_leave_the_others_alone(Http2, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_given_up_leave_the_others_alone_over_memory() {
    // More than the ring holds, and more than may be open at a time.
    calls_given_up_leave_the_others_alone(Memory, 2000).await;
}
