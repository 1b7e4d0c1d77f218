//! Methods that run as tasks: they build replies, and have streams.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nowire::{AsyncExchange, CallError, Code, Never, Shared, Slice};

use crate::house::{House, connect};
use crate::lab::{LabAsyncClient, LabClient, Named, Refusal, Tree, leaf};
use crate::vitals::{PATIENCE, Vitals, wait_until};

const SHORT: Duration = Duration::from_millis(30);

/// What comes, as numbers.
async fn numbers(mut items: AsyncExchange<'_, (), u64, (), Never>) -> Result<Vec<u64>, CallError> {
    let mut numbers = Vec::new();
    while let Some(item) = items.next_reply().await? {
        numbers.push(*item);
    }
    items.finish().await?;
    Ok(numbers)
}

#[test]
fn a_task_builds_its_reply_where_its_caller_reads_it() {
    let house = House::new();
    let _server = house.server("");
    for (options, in_place) in [(house.trusting(), true), (house.options(), false)] {
        let client = LabClient::new(connect(options));
        let scope = client.scope().expect("room");
        let text = scope.build(scope.str("abc").expect("room")).expect("room");
        let reply = client.repeat_in_task(&text, 1000).expect("served");
        let placed = reply.get();
        assert_eq!(placed.text, *"abc".repeat(1000));
        assert_eq!(placed.text.as_ptr().addr() as u64 == placed.at, in_place);
        match client.repeat_in_task(&text, 1 << 20) {
            Err(CallError::Returned(Refusal::NoRoom)) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_reply_that_a_task_built_elsewhere_fails_its_call_only() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    match client.astray() {
        Err(CallError::Failed {
            code: Code::Internal,
            text,
            ..
        }) => assert!(text.contains("out of the scope"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(*client.add(1, 2).expect("served"), 3);
}

#[test]
fn scopes_of_tasks_that_were_given_up_come_back() {
    let house = House::new();
    let server = house.server("");
    let client = house.client();
    let round = |tasks| {
        let pending: Vec<_> = (0..8)
            .map(|_| client.build_forever_later().expect("sent"))
            .collect();
        let seen = || client.seen().expect("served");
        wait_until("they have built a part", || seen().waiting == tasks);
        drop(pending);
        wait_until("they are dropped", || seen().dropped == tasks);
    };
    round(8);
    let before = Vitals::of(server.pid());
    (2..40).for_each(|rounds| round(8 * rounds));
    // Each has 64 KiB.
    before.assert_within(1 << 20, server.pid());
}

#[test]
fn a_task_replies_with_a_stream() {
    let house = House::new();
    let _server = house.server("");
    for options in [house.options(), house.trusting()] {
        let client = LabClient::new(connect(options));
        for n in [0, 1, 64, 65, 5000] {
            let mut items = client.count_in_task(n).expect("sent");
            for expected in 0..n {
                let item = items.next_reply().expect("served").expect("an item");
                assert_eq!(*item, expected);
            }
            assert!(items.next_reply().expect("served").is_none());
            items.finish().expect("served");
        }
        let mut names = client.names_in_task(13).expect("sent");
        for n in 0..13 {
            let item = names.next_reply().expect("served").expect("an item");
            assert_eq!(item.get().name, *format!("name {n}"));
        }
        match names.finish() {
            Err(CallError::Returned(Refusal::TooMuch(13))) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_task_takes_a_stream_and_the_scopes_come_back() {
    let house = House::new();
    for keeping in ["trust", "copy"] {
        let _server = house.server(&format!("keeping={keeping}"));
        let client = house.client();
        for n in [0, 1, 64, 5000] {
            let mut sum = client.sum_in_task().expect("sent");
            for item in 0..n {
                assert!(sum.send(item).expect("taken"));
            }
            assert_eq!(*sum.finish().expect("served"), (0..n).sum::<u64>());
        }
        let mut trees = client.weigh_all_in_task().expect("sent");
        for weight in 0..300 {
            let scope = client.scope_of(1000).expect("room");
            let tree = Tree {
                name: scope.str("item").expect("room"),
                weight,
                children: Slice::empty(),
            };
            assert!(trees.send(tree).expect("taken"));
        }
        assert_eq!(*trees.finish().expect("served"), (0..300).sum::<u64>());
        wait_until("the scopes come back", || {
            client.nothing().expect("served");
            client.channel().held_scopes() == 0
        });
    }
}

#[test]
fn a_task_that_waits_for_its_caller_holds_up_nobody() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    // The server has one thread for tasks.
    let mut items = client.count_in_task(10_000).expect("sent");
    let mut sum = client.sum_in_task().expect("sent");
    let sent = || client.seen().expect("served").sent;
    wait_until("the window is full", || sent() >= 64);
    for _ in 0..20 {
        assert_eq!(*client.add_in_task(1, 2).expect("served"), 3);
    }
    assert!(sent() < 200, "{} items nobody asked for", sent());
    assert!(sum.send(7).expect("taken"));
    assert_eq!(*sum.finish().expect("served"), 7);
    for expected in 0..10_000 {
        let item = items.next_reply().expect("served").expect("an item");
        assert_eq!(*item, expected);
    }
    items.finish().expect("served");
}

#[test]
fn a_caller_that_sends_without_end_leaves_other_tasks_their_turn() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    let other = house.client();
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut sum = client.sum_in_task().expect("sent");
            while !stop.load(Ordering::Relaxed) {
                assert!(sum.send(1).expect("taken"));
            }
            sum.finish().expect("served");
        });
        for _ in 0..50 {
            let answered = other.clone().timeout(PATIENCE).add_in_task(1, 2);
            assert_eq!(*answered.expect("served"), 3);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn deadlines_and_dropped_exchanges_drop_tasks_in_their_streams() {
    let house = House::new();
    let server = house.server("keeping=trust");
    let client = LabClient::new(connect(house.trusting()));
    let dropped = || client.seen().expect("served").dropped;
    let round = || {
        let mut names = client.names_in_task(u64::MAX).expect("sent");
        names.next_reply().expect("served").expect("an item");
        let mut trees = client.weigh_all_in_task().expect("sent");
        let scope = client.scope_of(1000).expect("room");
        let tree = Tree {
            name: scope.str("item").expect("room"),
            weight: 1,
            children: Slice::empty(),
        };
        let taken = || client.seen().expect("served").taken;
        let before = taken();
        assert!(trees.send(tree).expect("taken"));
        wait_until("it is taken", || taken() > before);
        (names, trees)
    };
    drop(round());
    wait_until("both are dropped", || dropped() == 2);
    let before = Vitals::of(server.pid());
    for rounds in 2..30 {
        drop(round());
        wait_until("both are dropped", || dropped() == 2 * rounds);
    }
    before.assert_within(16 << 20, server.pid());

    let impatient = client.clone().timeout(SHORT);
    let before = dropped();
    let mut names = impatient.names_in_task(u64::MAX).expect("sent");
    let late = loop {
        match names.next_reply() {
            Ok(Some(_)) => {}
            Ok(None) => break names.finish().map(drop),
            Err(error) => break Err(error),
        }
    };
    assert!(
        matches!(late, Err(CallError::DeadlineExceeded { .. })),
        "{late:?}"
    );
    wait_until("it is dropped", || dropped() == before + 1);
    wait_until("the scopes come back", || {
        client.nothing().expect("served");
        client.channel().held_scopes() == 0
    });
}

#[test]
fn a_dead_client_leaves_no_task_in_its_streams() {
    let house = House::new();
    let server = house.server("");
    let client = house.client();
    let dropped = || client.seen().expect("served").dropped;
    let mut streamer = house.program("streamer", "");
    streamer.line("streaming");
    streamer.kill();
    wait_until("its tasks are dropped", || dropped() == 2);
    let before = Vitals::of(server.pid());
    let mut streamer = house.program("streamer", "");
    streamer.line("streaming");
    streamer.kill();
    wait_until("its tasks are dropped", || dropped() == 4);
    before.assert_again(server.pid());
}

#[test]
fn who_goes_on_with_a_stream_after_its_call_finds_it_ended() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    for round in 1..=200 {
        let mut items = client.leave_items().expect("sent");
        while items.send(7).expect("connected") {}
        assert_eq!(*items.finish().expect("served"), 7);
        wait_until("it ends", || client.seen().expect("served").ended == round);
    }
}

#[tokio::test]
async fn a_task_has_streams_with_tasks_and_with_the_pool() {
    let house = House::new();
    let _server = house.server("");
    let client = house.async_client().await;
    for n in [0, 1, 64, 65, 5000] {
        let (pool, task) =
            tokio::try_join!(client.count(n), client.count_in_task(n)).expect("sent");
        let (pool, task) = tokio::try_join!(numbers(pool), numbers(task)).expect("served");
        assert!(pool.iter().copied().eq(0..n));
        assert_eq!(pool, task);
    }
    for in_task in [false, true] {
        let mut sum = if in_task {
            client.sum_in_task().await.expect("sent")
        } else {
            client.sum().await.expect("sent")
        };
        for item in 0..5000_u64 {
            assert!(sum.send(item).await.expect("taken"));
        }
        let sum = sum.finish().await.expect("served");
        assert_eq!(*sum, (0..5000).sum::<u64>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchanges_of_tasks_move_between_threads() {
    let house = House::new();
    let _server = house.server("");
    let client = house.async_client().await;
    let lengths = tokio::spawn(async move {
        let mut exchange = client.lengths_in_task().await?;
        let scope = client.scope_of(1 << 20).expect("room");
        for n in 0..1000_u64 {
            let name = scope.str(&"x".repeat((n % 50) as usize)).expect("room");
            assert!(exchange.send(Named { name }).await?);
            let length = exchange.next_reply().await?.expect("an answer");
            assert_eq!(*length, n % 50);
        }
        exchange.end()?;
        assert!(exchange.next_reply().await?.is_none());
        exchange.finish().await?;
        Ok::<_, CallError>(*client.seen().await?)
    });
    let seen = tokio::time::timeout(PATIENCE, lengths).await;
    let seen = seen.expect("it does not hang").expect("no panic");
    assert_eq!(seen.expect("served").ended, 1);
}

#[tokio::test]
async fn a_future_of_a_stream_that_is_dropped_loses_nothing() {
    let house = House::new();
    let _server = house.server("");
    let client = house.async_client().await;
    let mut items = client.count_in_task(2000).await.expect("sent");
    let mut expected = 0;
    while expected < 2000 {
        let next = tokio::time::timeout(Duration::from_micros(50), items.next_reply());
        // Late, or an item.
        if let Ok(item) = next.await {
            let item = item.expect("served").expect("an item");
            assert_eq!(*item, expected);
            expected += 1;
        }
    }
    items.finish().await.expect("served");
}

#[tokio::test]
async fn a_dropped_or_late_exchange_of_a_task_ends_its_handler() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = LabAsyncClient::new(
        nowire::Channel::connect(crate::house::NAME, house.trusting())
            .await
            .expect("it serves"),
    );
    for round in 1..=20 {
        let mut names = client.names_in_task(u64::MAX).await.expect("sent");
        names.next_reply().await.expect("served").expect("an item");
        drop(names);
        while client.seen().await.expect("served").dropped < round {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let impatient = client.clone().timeout(SHORT);
    let mut sum = impatient.sum_in_task().await.expect("sent");
    assert!(sum.send(1).await.expect("taken"));
    // The server may say so first: then there are no items, but the error is there.
    let late = match sum.next_reply().await {
        Ok(None) => sum.finish().await.map(drop),
        Ok(Some(_)) => panic!("it has no items"),
        Err(error) => Err(error),
    };
    assert!(
        matches!(late, Err(CallError::DeadlineExceeded { .. })),
        "{late:?}"
    );
    let scope = client.scope().expect("room");
    assert_eq!(*client.weigh(&leaf(&scope, 1)).await.expect("served"), 1);
}

/// An error of a method that returns none, beside one that does.
fn refused_or_not(client: &LabClient) -> Result<u64, CallError<Refusal>> {
    let sum = *client.add(1, 2).map_err(CallError::widen)?;
    Ok(*client.divide(sum, 0)?)
}

#[test]
fn errors_of_both_kinds_of_methods_meet_in_one_function() {
    let house = House::new();
    let mut server = house.server("");
    let client = house.client();
    match refused_or_not(&client) {
        Err(CallError::Returned(Refusal::DividedByZero { dividend: 3 })) => {}
        other => panic!("{other:?}"),
    }
    server.kill();
    let over = refused_or_not(&client);
    assert!(matches!(over, Err(CallError::Connection(_))), "{over:?}");
}

/// It can be held by a task that moves.
fn is_send<T: Send>() {}

#[test]
fn what_tasks_hold_can_move() {
    fn of<T: Shared + Send + Sync>() {
        is_send::<nowire::AsyncReplies<T>>();
        is_send::<nowire::AsyncRequests<T>>();
        is_send::<AsyncExchange<'static, T, T, T, Refusal>>();
    }
    of::<Named<'static>>();
    is_send::<&mut nowire::Scope>();
}
