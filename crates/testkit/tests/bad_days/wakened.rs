//! Nobody sleeps through what it waits for, whatever the sizes, on whatever policy.

use std::path::Path;

use nowire_grpc::{CarrierPolicy, Channel, Endpoint, Wait};
use nowire_interop::proto::testing::test_service_client::TestServiceClient;
use nowire_interop::proto::testing::{
    Payload, ResponseParameters, StreamingInputCallRequest, StreamingOutputCallRequest,
};
use nowire_testkit::{House, serve};

use crate::scene::{PATIENCE, server};

/// Sizes that fit a slot, share the data area unevenly, fill pieces to the brim
/// and go over.
const SIZES: [usize; 7] = [10, 600, 1_500, 5_000, 12_700, 25_590, 60_000];
/// Bytes that go each way for each size.
const BYTES: usize = 2 << 20;

fn messages(size: usize) -> usize {
    (BYTES / size).clamp(30, 4_000)
}

async fn upload(channel: Channel, size: usize) {
    let requests = (0..messages(size)).map(move |_| StreamingInputCallRequest {
        payload: Some(Payload {
            body: vec![0; size].into(),
            ..Payload::default()
        }),
        ..StreamingInputCallRequest::default()
    });
    let mut client = TestServiceClient::new(channel);
    let call = client.streaming_input_call(tokio_stream::iter(requests));
    let sum = tokio::time::timeout(PATIENCE, call)
        .await
        .expect("the upload does not hang")
        .expect("an answer");
    let expected = (messages(size) * size) as i32;
    assert_eq!(sum.into_inner().aggregated_payload_size, expected);
}

async fn download(channel: Channel, size: usize) {
    let one = ResponseParameters {
        size: size as i32,
        ..ResponseParameters::default()
    };
    let request = StreamingOutputCallRequest {
        response_parameters: vec![one; messages(size)],
        ..StreamingOutputCallRequest::default()
    };
    let mut client = TestServiceClient::new(channel);
    let all = async {
        let answers = client.streaming_output_call(request).await;
        let mut answers = answers.expect("an answer").into_inner();
        let mut count = 0;
        while let Some(answer) = answers.message().await.expect("a message") {
            assert_eq!(answer.payload.unwrap_or_default().body.len(), size);
            count += 1;
        }
        count
    };
    let count = tokio::time::timeout(PATIENCE, all)
        .await
        .expect("the download does not hang");
    assert_eq!(count, messages(size));
}

/// A channel to a server that streams.
async fn channel_to(dir: &Path, wait: Wait) -> Channel {
    Endpoint::from_static("nowire:stream")
        .carrier(CarrierPolicy::Require)
        .wait(wait)
        .memory_options(|options| options.runtime_dir = Some(dir.to_owned()))
        .connect()
        .await
        .expect("connected")
}

/// Streams both ways at the same time, in all sizes.
async fn all_sizes(channel: Channel) {
    for size in SIZES {
        tokio::join!(
            upload(channel.clone(), size),
            download(channel.clone(), size)
        );
    }
}

fn streams_flow(wait: Wait) {
    let house = House::new();
    let _server = server(&house, &[], "nowire:stream");
    house.runtime().block_on(async {
        let channel = channel_to(house.dir(), wait).await;
        all_sizes(channel).await;
    });
    house.assert_no_panic();
}

#[test]
fn streams_of_all_sizes_flow_while_the_client_parks() {
    streams_flow(Wait::Park);
}

#[test]
fn streams_of_all_sizes_flow_while_the_client_adapts() {
    streams_flow(Wait::Adaptive);
}

#[test]
fn streams_of_all_sizes_flow_while_the_client_spins() {
    streams_flow(Wait::Spin);
}

#[test]
fn streams_of_all_sizes_flow_between_two_tasks_of_one_thread() {
    for wait in [Wait::Park, Wait::Adaptive, Wait::Spin] {
        let house = House::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let dir = house.dir().to_owned();
            serve("nowire:stream", |server| {
                let server = server.wait(wait);
                server.memory_options(|options| options.runtime_dir = Some(dir))
            })
            .await
            .expect("a free name");
            all_sizes(channel_to(house.dir(), wait).await).await;
        });
        house.assert_no_panic();
    }
}
