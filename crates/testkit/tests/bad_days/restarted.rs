//! Servers that come late, and come back.

use nowire_grpc::{Carrier, CarrierPolicy, Channel, Endpoint};
use nowire_interop::proto::testing::Empty;
use nowire_interop::proto::testing::test_service_client::TestServiceClient;
use nowire_testkit::House;
use tonic::{Code, Status};

use crate::scene::{PATIENCE, honest, server};

async fn call(channel: &Channel) -> Result<(), Status> {
    let mut client = TestServiceClient::new(channel.clone());
    let call = tokio::time::timeout(PATIENCE, client.empty_call(Empty {}));
    call.await.expect("the call does not hang").map(drop)
}

#[test]
fn a_channel_may_be_made_before_its_server() {
    let house = House::new();
    let channel = house.channel("nowire:late");
    house.runtime().block_on(async {
        let status = call(&channel).await.expect_err("nobody is there");
        assert_eq!(status.code(), Code::Unavailable, "{status}");
        assert_eq!(channel.carrier(), None);
    });
    let _server = server(&house, &[], "nowire:late");
    house.runtime().block_on(async {
        call(&channel).await.expect("somebody is there");
        assert_eq!(channel.carrier(), Some(Carrier::Memory));
    });
}

#[test]
fn many_clones_find_the_server_again_each_time_it_was_restarted() {
    const CLONES: usize = 64;
    let house = House::new();
    let channel = house.channel("nowire:phoenix");
    for _ in 0..5 {
        let mut server = server(&house, &[], "nowire:phoenix");
        house.runtime().block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..CLONES {
                let channel = channel.clone();
                tasks.spawn(async move {
                    for _ in 0..10 {
                        call(&channel).await.expect("an answer");
                    }
                });
            }
            while let Some(task) = tasks.join_next().await {
                task.expect("every call was answered");
            }
        });
        // One connection for all of them.
        assert_eq!(server.vitals().shared_mappings, 2);
        server.kill();
        house.runtime().block_on(async {
            let mut gone = Err(());
            // The hang-up may be seen a moment after the kill.
            while gone.is_err() {
                gone = call(&channel).await.err().ok_or(());
            }
            let status = gone.expect("it is gone");
            assert_eq!(status.code(), Code::Unavailable, "{status}");
        });
    }
}

#[test]
fn the_shorter_way_is_found_again_at_the_same_port() {
    let house = House::new();
    let start = |address: &str| {
        let program = honest(&house, &[], &["serve", address]);
        let address = program.line("serving");
        (program, address)
    };
    let (mut first, address) = start("127.0.0.1:0");
    let dir = house.dir().to_owned();
    let channel = house.runtime().block_on(async {
        Endpoint::from_shared(address.clone())
            .expect("an address")
            .carrier(CarrierPolicy::Prefer)
            .memory_options(|options| options.runtime_dir = Some(dir))
            .connect()
            .await
            .expect("connected")
    });
    assert_eq!(channel.carrier(), Some(Carrier::Memory));
    first.kill();
    house.runtime().block_on(async {
        while call(&channel).await.is_ok() {}
        let status = call(&channel).await.expect_err("nobody is there");
        assert_eq!(status.code(), Code::Unavailable, "{status}");
    });
    let (_second, _) = start(address.trim_start_matches("http://"));
    house.runtime().block_on(async {
        call(&channel).await.expect("it is there again");
    });
    assert_eq!(channel.carrier(), Some(Carrier::Memory));
}
