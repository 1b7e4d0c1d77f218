//! The client for tasks, alone and beside the blocking one.

use std::time::Duration;

use nowire::{Channel, Wait};

use crate::house::{House, NAME};
use crate::lab::{LabAsyncClient, LabClient, leaf};
use crate::vitals::PATIENCE;

/// Calls of every kind, many at a time.
async fn calls(client: LabAsyncClient, tasks: u64) {
    let mut set = tokio::task::JoinSet::new();
    for task in 0..tasks {
        let client = client.clone();
        set.spawn(async move {
            for n in 0..30 {
                assert_eq!(*client.add(n, task).await.expect("served"), n + task);
                let sum = client.add_in_pool(n, task).await.expect("served");
                assert_eq!(*sum, n + task);
                let sum = client.add_in_task(n, task).await.expect("served");
                assert_eq!(*sum, n + task);
            }
            let refused = client.divide(1, 0).await;
            refused.expect_err("nothing is divided by zero");
        });
    }
    let all = async {
        while set
            .join_next()
            .await
            .transpose()
            .expect("no panic")
            .is_some()
        {}
    };
    tokio::time::timeout(PATIENCE, all)
        .await
        .expect("none hangs");
}

#[tokio::test]
async fn many_tasks_of_one_thread_share_a_channel() {
    let house = House::new();
    let _server = house.server("");
    calls(house.async_client().await, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn many_tasks_of_many_threads_share_a_channel() {
    let house = House::new();
    let _server = house.server("");
    calls(house.async_client().await, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn more_tasks_than_streams_take_turns() {
    let house = House::new();
    let _server = house.server("streams=3");
    calls(house.async_client().await, 40).await;
}

#[tokio::test]
async fn tasks_of_a_channel_that_never_looks_are_woken() {
    let house = House::new();
    let _server = house.server("wait=park");
    let mut options = house.options();
    options.wait = Wait::Park;
    let channel = Channel::connect(NAME, options).await.expect("it serves");
    calls(LabAsyncClient::new(channel), 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_and_threads_share_a_channel() {
    let house = House::new();
    let _server = house.server("streams=20");
    let client = house.async_client().await;
    let blocking: Vec<_> = (0..3)
        .map(|thread| {
            let client = LabClient::new(client.channel().clone());
            std::thread::spawn(move || {
                let scope = client.scope().expect("room");
                for n in 0..300 {
                    assert_eq!(*client.add(n, thread).expect("served"), n + thread);
                    let sum = client.add_in_pool(n, thread).expect("served");
                    assert_eq!(*sum, n + thread);
                }
                assert_eq!(*client.weigh(&leaf(&scope, 3)).expect("served"), 3);
            })
        })
        .collect();
    calls(client, 20).await;
    for thread in blocking {
        tokio::task::spawn_blocking(|| thread.join().expect("no panic"))
            .await
            .expect("no panic");
    }
}

#[test]
fn a_runtime_that_rests_does_not_keep_replies_from_another() {
    let house = House::new();
    let _server = house.server("");
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
    };
    let (first, second) = (runtime(), runtime());
    let client = first.block_on(house.async_client());
    for round in 0..3 {
        for runtime in [&first, &second] {
            let call = async {
                // Long enough for the task to sleep.
                client.dawdle(5).await.expect("served");
                *client.add(round, 1).await.expect("served")
            };
            let sum = runtime.block_on(async { tokio::time::timeout(PATIENCE, call).await });
            assert_eq!(sum.expect("it does not hang"), round + 1);
        }
    }
    drop(first);
    let call = async { *client.add_in_pool(1, 2).await.expect("served") };
    assert_eq!(second.block_on(call), 3);
}

#[tokio::test]
async fn tasks_that_give_up_waiting_for_a_place_do_not_keep_it_from_others() {
    let house = House::new();
    let _server = house.server("streams=1");
    let other = house.async_client().await;
    let client = house.async_client().await;
    client.nothing().await.expect("served");
    let mut places = tokio::task::JoinSet::new();
    for patience in [None, Some(20), Some(20), Some(20), None, Some(20), None] {
        let mut client = client.clone();
        if let Some(ms) = patience {
            client = client.timeout(Duration::from_millis(ms));
        }
        places.spawn(async move { (patience, client.wait_at_gate().await.map(|one| *one)) });
    }
    // Until those with little patience have none left.
    for _ in 0..4 {
        let (patience, outcome) = places.join_next().await.expect("seven").expect("no panic");
        // A handler that sees that the time is up may say so before its caller.
        let sent_away = matches!(outcome, Err(_) | Ok(0));
        assert!(patience.is_some() && sent_away, "{outcome:?}");
    }
    other.open_gate().await.expect("served");
    for _ in 0..3 {
        let next = tokio::time::timeout(PATIENCE, places.join_next()).await;
        let (_, outcome) = next.expect("none hangs").expect("three").expect("no panic");
        assert_eq!(outcome.expect("served"), 1);
    }
}

#[tokio::test]
async fn what_a_task_built_is_read_and_what_it_gets_is_held() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let channel = Channel::connect(NAME, house.trusting())
        .await
        .expect("it serves");
    let client = LabAsyncClient::new(channel);
    let scope = client.scope().expect("room");
    let built = leaf(&scope, 7);
    assert_eq!(*client.weigh(&built).await.expect("served"), 7);
    assert_eq!(*client.weigh_in_task(&built).await.expect("served"), 7);
    let text = scope.build(scope.str("abc").expect("room")).expect("room");
    let reply = client.repeat_in_pool(&text, 100).await.expect("served");
    assert_eq!(reply.get().text.as_ptr().addr() as u64, reply.get().at);
    assert!(*client.keep(leaf(&scope, 8)).await.expect("served"));
    assert_eq!(client.channel().held_scopes(), 1);
    client.let_go().await.expect("served");
    let back = async {
        while client.channel().held_scopes() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, back)
        .await
        .expect("it comes back");
}
