//! Threads and tasks of one channel read for each other, and none is forgotten.

use std::time::Duration;

use nowire::{Channel, Wait};

use crate::house::{House, NAME};
use crate::lab::{LabAsyncClient, LabClient};
use crate::vitals::PATIENCE;

/// A client that finds most replies by looking, so that no doorbell is answered.
async fn looking_client(house: &House) -> LabAsyncClient {
    let mut options = house.options();
    options.wait = Wait::Spin;
    let channel = Channel::connect(NAME, options).await;
    LabAsyncClient::new(channel.expect("the server is there"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_woken_after_threads_have_read_for_it() {
    let house = House::new();
    let _server = house.server("");
    let other = LabClient::new(house.async_client().await.channel().clone());
    let client = looking_client(&house).await;
    for _ in 0..20 {
        other.close_gate().expect("served");
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { *client.wait_at_gate().await.expect("served") }
        });
        let blocking = LabClient::new(client.channel().clone());
        tokio::task::spawn_blocking(move || {
            for _ in 0..500 {
                blocking.nothing().expect("served");
            }
        })
        .await
        .expect("no panic");
        other.open_gate().expect("served");
        let passed = tokio::time::timeout(PATIENCE, waiting).await;
        assert_eq!(passed.expect("it is woken").expect("no panic"), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_woken_after_other_tasks_have_read_for_it() {
    let house = House::new();
    let _server = house.server("");
    let other = LabClient::new(house.async_client().await.channel().clone());
    let client = looking_client(&house).await;
    for _ in 0..20 {
        other.close_gate().expect("served");
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { *client.wait_at_gate().await.expect("served") }
        });
        for n in 0..100 {
            client.nothing().await.expect("served");
            assert_eq!(*client.add_in_task(n, 1).await.expect("served"), n + 1);
        }
        other.open_gate().expect("served");
        let passed = tokio::time::timeout(PATIENCE, waiting).await;
        assert_eq!(passed.expect("it is woken").expect("no panic"), 1);
    }
}

#[test]
fn threads_whose_time_is_up_leave_the_reading_to_others() {
    let house = House::new();
    let _server = house.server("");
    let other = house.client();
    let client = house.client();
    other.close_gate().expect("served");
    std::thread::scope(|threads| {
        let patient: Vec<_> = (0..3)
            .map(|_| {
                let client = client.clone();
                threads.spawn(move || *client.wait_at_gate().expect("served"))
            })
            .collect();
        for round in 0..10 {
            let hasty: Vec<_> = (1..4)
                .map(|ms| {
                    let client = client.clone();
                    let client = client.timeout(Duration::from_millis(ms + round));
                    threads.spawn(move || client.wait_at_gate().map(|passed| *passed))
                })
                .collect();
            for hasty in hasty {
                let outcome = hasty.join().expect("no panic");
                // A handler that sees that the time is up may say so first.
                assert!(matches!(outcome, Err(_) | Ok(0)), "{outcome:?}");
            }
        }
        other.open_gate().expect("served");
        for patient in patient {
            assert_eq!(patient.join().expect("no panic"), 1);
        }
    });
}
