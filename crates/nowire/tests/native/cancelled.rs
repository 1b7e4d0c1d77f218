//! Deadlines and calls that are given up, as both sides see them.

use std::time::{Duration, Instant};

use nowire::{CallError, Code, Reply};

use crate::house::House;
use crate::lab::LabClient;
use crate::vitals::{PATIENCE, wait_until};

const SHORT: Duration = Duration::from_millis(30);

/// Whether the time was up, for the caller or first for the server.
fn is_late<T, E: std::fmt::Debug>(outcome: Result<T, CallError<E>>, pid: u32) -> bool {
    match outcome {
        Err(CallError::DeadlineExceeded { peer }) => {
            assert!(peer.contains(&format!("pid {pid}")), "{peer}");
            true
        }
        Err(CallError::Failed {
            code: Code::DeadlineExceeded,
            ..
        }) => true,
        _ => false,
    }
}

/// Whether nobody passed the gate. A handler that sees that the time is up may
/// say so just before its caller does.
fn was_sent_away(outcome: Result<Reply<u64>, CallError>, pid: u32) -> bool {
    match outcome {
        Ok(passed) => *passed == 0,
        late => is_late(late, pid),
    }
}

#[test]
fn a_deadline_frees_the_caller_and_tells_the_handler_wherever_it_runs() {
    let house = House::new();
    let server = house.server("");
    let client = house.client();
    let impatient = client.clone().timeout(SHORT);
    let began = Instant::now();
    // On a busy machine a handler may not even begin in that time.
    wait_until("a handler in the pool is told", || {
        assert!(was_sent_away(impatient.wait_at_gate(), server.pid()));
        client.seen().expect("served").cancelled > 0
    });
    wait_until("a task is told", || {
        assert!(is_late(impatient.wait_forever(), server.pid()));
        client.seen().expect("served").dropped > 0
    });
    assert!(began.elapsed() >= 2 * SHORT);
}

#[test]
fn a_stopped_server_costs_a_caller_no_more_than_its_deadline() {
    let house = House::new();
    let server = house.server("");
    let known = house.client();
    known.nothing().expect("served");
    let unknown = house.client();
    server.stop();
    // Whether the service has been asked for its methods or not.
    for client in [known, unknown] {
        let impatient = client.timeout(SHORT);
        assert!(is_late(impatient.add(1, 2), server.pid()));
        let pending = impatient.add_later(1, 2);
        let late = match pending {
            Ok(pending) => is_late(pending.wait(), server.pid()),
            Err(error) => is_late::<(), _>(Err(error), server.pid()),
        };
        assert!(late);
    }
    server.resume();
    assert_eq!(*house.client().add(1, 2).expect("served"), 3);
}

#[tokio::test]
async fn a_stopped_server_costs_a_task_no_more_than_its_deadline() {
    let house = House::new();
    let server = house.server("");
    let known = house.async_client().await;
    known.nothing().await.expect("served");
    let unknown = house.async_client().await;
    server.stop();
    for client in [known, unknown] {
        let impatient = client.timeout(SHORT);
        let late = tokio::time::timeout(PATIENCE, impatient.add(1, 2)).await;
        assert!(is_late(late.expect("it does not hang"), server.pid()));
    }
    server.resume();
    let client = house.async_client().await;
    assert_eq!(*client.add(1, 2).await.expect("served"), 3);
}

#[test]
fn a_call_that_waits_for_a_busy_pool_beyond_its_deadline_is_not_begun() {
    let house = House::new();
    let server = house.server("workers=1");
    let client = house.client();
    let holder = client.wait_at_gate_later().expect("sent");
    wait_until("the worker is busy", || {
        client.seen().expect("served").waiting == 1
    });
    let impatient = client.clone().timeout(SHORT);
    for _ in 0..5 {
        assert!(was_sent_away(impatient.wait_at_gate(), server.pid()));
    }
    client.open_gate().expect("served");
    assert_eq!(*holder.wait().expect("served"), 1);
    assert_eq!(*client.add_in_pool(1, 2).expect("served"), 3);
    let seen = client.seen().expect("served");
    assert_eq!((seen.waiting, seen.cancelled), (0, 0), "none of them ran");
}

#[test]
fn a_handler_knows_how_long_its_caller_waits() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    assert_eq!(*client.patience_ms().expect("served"), None);
    let patient = client.clone().timeout(Duration::from_secs(60));
    let left = (*patient.patience_ms().expect("served")).expect("a deadline");
    assert!((20_000..=60_000).contains(&left), "{left} ms");
    // Longer than a call can say, and than a clock can.
    for long in [Duration::from_secs(100 * 24 * 3600), Duration::MAX] {
        let client = client.clone().timeout(long);
        let left = *client.patience_ms().expect("served");
        assert!(
            left.is_none_or(|ms| u128::from(ms) > 99 * 24 * 3600 * 1000),
            "{left:?}"
        );
    }
}

#[test]
fn no_time_at_all_is_a_deadline_too() {
    let house = House::new();
    let server = house.server("");
    let client = house.client().timeout(Duration::ZERO);
    for _ in 0..100 {
        match client.add(1, 2) {
            // It may be quicker than the clock is looked at.
            Ok(sum) => assert_eq!(*sum, 3),
            late => assert!(is_late(late, server.pid())),
        }
    }
    assert_eq!(*house.client().add(1, 2).expect("served"), 3);
}

#[test]
fn dropping_a_pending_call_tells_its_handler() {
    let house = House::new();
    let _server = house.server("workers=64");
    let client = house.client();
    let calls: Vec<_> = (0..20)
        .map(|_| client.wait_at_gate_later().expect("sent"))
        .collect();
    let tasks: Vec<_> = (0..20)
        .map(|_| client.wait_forever_later().expect("sent"))
        .collect();
    wait_until("the handlers wait", || {
        client.seen().expect("served").waiting == 40
    });
    drop(calls);
    drop(tasks);
    wait_until("the handlers are told", || {
        let seen = client.seen().expect("served");
        (seen.cancelled, seen.dropped) == (20, 20)
    });
    assert_eq!(*client.add(1, 2).expect("served"), 3);
}

#[tokio::test]
async fn dropping_a_future_tells_its_handler() {
    let house = House::new();
    let _server = house.server("");
    let client = house.async_client().await;
    for given_up in 1..4 {
        tokio::select! {
            biased;
            () = async {
                loop {
                    let seen = client.seen().await.expect("served");
                    if seen.waiting == given_up {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            } => {}
            outcome = client.wait_forever() => panic!("{outcome:?}"),
        }
        let told = async {
            while client.seen().await.expect("served").dropped < given_up {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, told)
            .await
            .expect("the handler is told");
    }
}

#[test]
fn calls_given_up_by_the_thousand_leave_nothing_behind() {
    let house = House::new();
    let server = house.server("keeping=trust workers=4");
    let client = LabClient::new(crate::house::connect(house.trusting()));
    client.nothing().expect("served");
    client.open_gate().expect("served");
    let scope = client.scope().expect("room");
    let built = crate::lab::leaf(&scope, 1);
    let text = scope.build(scope.str("abc").expect("room")).expect("room");
    let round = || {
        for _ in 0..50 {
            drop(client.add_later(1, 2).expect("sent"));
            drop(client.add_in_pool_later(1, 2).expect("sent"));
            drop(client.add_in_task_later(1, 2).expect("sent"));
            drop(client.weigh_at_gate_later(&built).expect("sent"));
            drop(client.repeat_in_pool_later(&text, 100).expect("sent"));
            drop(client.repeat_later(&text, 100).expect("sent"));
        }
        assert_eq!(*client.add(1, 2).expect("served"), 3);
    };
    (0..4).for_each(|_| round());
    let before = crate::vitals::Vitals::of(server.pid());
    (0..40).for_each(|_| round());
    before.assert_within(16 << 20, server.pid());
    assert_eq!(client.channel().held_scopes(), 0);
}
