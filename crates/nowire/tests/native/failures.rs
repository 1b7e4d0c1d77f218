//! Handlers, services and memory that fail, and what the caller is told.

use nowire::{CallError, Code, HeapOptions, Never};

use crate::house::{House, connect};
use crate::lab::{LabClient, leaf, tree};
use crate::shapes::{Chain, MirrorClient};

/// A service that the server of the tests does not have.
#[nowire::service]
trait Absent {
    fn anything(&self) -> u64;
}

struct Nobody;

impl Absent for Nobody {
    fn anything(&self) -> u64 {
        0
    }
}

#[test]
fn a_handler_that_panics_fails_its_call_and_nothing_else() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    let other = house.client();
    let is_internal = |outcome: Result<(), CallError>| match outcome {
        Err(CallError::Failed {
            code: Code::Internal,
            text,
            ..
        }) => assert!(!text.is_empty()),
        other => panic!("{other:?}"),
    };
    for _ in 0..3 {
        is_internal(client.panic_here());
        is_internal(client.panic_in_pool());
        is_internal(client.panic_in_task());
        assert_eq!(*client.add(1, 2).expect("served"), 3);
        assert_eq!(*other.add_in_pool(1, 2).expect("served"), 3);
        assert_eq!(*client.add_in_task(1, 2).expect("served"), 3);
    }
}

#[test]
fn a_service_that_is_not_there_is_named_with_those_that_are() {
    let house = House::new();
    let _server = house.server("");
    let absent = AbsentClient::new(house.channel());
    for _ in 0..2 {
        match absent.anything() {
            Err(CallError::Layout(mismatch)) => {
                let text = mismatch.to_string();
                for word in ["Absent", "anything", "Lab", "Mirror"] {
                    assert!(text.contains(word), "no {word} in: {text}");
                }
            }
            other => panic!("{other:?}"),
        }
    }
    let lab = LabClient::new(absent.channel().clone());
    assert_eq!(*lab.add(1, 2).expect("served"), 3);
    let _ = AbsentServer::new(Nobody);
}

#[test]
fn two_services_of_one_name_are_refused_at_the_start() {
    let house = House::new();
    let twice = nowire::Server::builder()
        .runtime_dir(house.runtime().path())
        .add(AbsentServer::new(Nobody))
        .add(AbsentServer::new(Nobody));
    let error = twice.start("twice").expect_err("which of them?");
    assert!(error.to_string().contains("Absent"), "{error}");
}

#[test]
fn a_quota_that_is_used_up_is_named_and_calls_go_on() {
    let house = House::new();
    let _server = house.server("");
    let mut options = house.options();
    options.connect.heap = Some(HeapOptions {
        quota_bytes: 1 << 20,
        ..crate::house::heap()
    });
    let client = LabClient::new(connect(options));
    let mut scopes = Vec::new();
    let error = loop {
        match client.scope() {
            Ok(scope) => scopes.push(scope),
            Err(error) => break error,
        }
        assert!(scopes.len() <= 16, "1 MiB has no more");
    };
    assert!(scopes.len() >= 4, "{}", scopes.len());
    assert!(error.to_string().contains("1048576"), "{error}");
    assert_eq!(*client.weigh(&leaf(&scopes[0], 5)).expect("served"), 5);
    scopes.pop();
    client.scope().expect("one came back");
}

#[test]
fn a_scope_that_the_server_gives_back_can_be_had_though_nobody_called_since() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let other = house.client();
    let mut options = house.options();
    options.connect.heap = Some(HeapOptions {
        quota_bytes: 1 << 20,
        ..crate::house::heap()
    });
    let client = LabClient::new(connect(options));
    while let Ok(scope) = client.scope() {
        client.keep(leaf(&scope, 1)).expect("served");
    }
    assert!(other.let_go().is_ok_and(|kept| *kept > 3));
    crate::vitals::wait_until("there is room again", || client.scope().is_ok());
}

#[test]
fn a_server_out_of_memory_says_so_and_lives_on() {
    let house = House::new();
    let _server = house.server("quota=1048576");
    let client = LabClient::new(connect(house.trusting()));
    let scope = client.scope().expect("room");
    let text = scope.build(scope.str("abc").expect("room")).expect("room");
    let mut held = Vec::new();
    let error = loop {
        match client.repeat(&text, 10) {
            Ok(reply) => held.push(reply),
            Err(error) => break error,
        }
        assert!(held.len() <= 16, "1 MiB has no more");
    };
    match error {
        CallError::Failed {
            code: Code::ResourceExhausted,
            text,
            ..
        } => assert!(text.contains("1048576"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(*client.add(1, 2).expect("served"), 3);
    drop(held);
    client.repeat(&text, 10).expect("there is room again");
}

#[test]
fn a_server_whose_clients_hold_all_it_may_share_says_so() {
    let house = House::new();
    let _server = house.server("all_shared=4194304");
    let clients = [(); 3].map(|()| LabClient::new(connect(house.trusting())));
    for client in &clients {
        client.nothing().expect("served");
    }
    let scope = clients[0].scope().expect("room");
    let text = scope.build(scope.str("abc").expect("room")).expect("room");
    let mut held = Vec::new();
    let error = loop {
        match clients[0].repeat(&text, 10) {
            Ok(reply) => held.push(reply),
            Err(error) => break error,
        }
        assert!(held.len() < 64, "4 MiB has no more");
    };
    match error {
        CallError::Failed {
            code: Code::ResourceExhausted,
            text,
            ..
        } => assert!(text.contains("max_shared_bytes"), "{text}"),
        other => panic!("{other:?}"),
    }
    // Three connections and what their methods took to describe aside.
    assert!(held.len() > 32, "only {} of 64 KiB", held.len());
    for client in &clients {
        assert_eq!(*client.add(1, 2).expect("served"), 3);
    }
    drop(held);
    crate::vitals::wait_until("there is room again", || {
        clients[0].repeat(&text, 10).is_ok()
    });
}

#[test]
fn arguments_of_several_scopes_or_of_another_channel_are_refused_by_name() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = house.client();
    let stranger = house.client();
    let scopes = [(); 2].map(|()| client.scope().expect("room"));
    let elsewhere = stranger.scope().expect("room");
    let private = nowire::Scope::private(4096);
    let error = client.weigh_two(&leaf(&scopes[0], 1), &leaf(&scopes[1], 1));
    assert!(matches!(error, Err(CallError::SeveralScopes)), "{error:?}");
    for scope in [&elsewhere, &private] {
        let error = client.weigh(&leaf(scope, 1));
        assert!(matches!(error, Err(CallError::OtherChannel)), "{error:?}");
    }
    let both = client.weigh_two(&leaf(&scopes[0], 1), &leaf(&scopes[0], 2));
    assert_eq!(*both.expect("served"), 3);
}

#[test]
fn a_full_scope_says_how_much_is_lacking() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    let scope = client.scope_of(1 << 12).expect("room");
    let error = tree(&scope, 10, 10).expect_err("far more than that");
    assert!(error.to_string().contains("bytes"), "{error}");
    // What fits is still good.
    let small = client.scope().expect("room");
    assert_eq!(*client.weigh(&leaf(&small, 4)).expect("served"), 4);
}

#[test]
fn an_item_too_large_to_go_by_value_is_not_blamed_on_the_server() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    let mut blocks = client.too_wide_blocks().expect("sent");
    let first = blocks.next_reply().expect("the connection lives");
    assert!(first.is_none(), "it cannot be sent");
    let outcome: Result<_, CallError<Never>> = blocks.finish();
    match outcome {
        Err(CallError::Failed {
            code: Code::Internal,
            text,
            ..
        }) => assert!(text.contains("64000 bytes"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.seen().expect("served").cancelled, 1);
    assert_eq!(*client.add(1, 2).expect("served"), 3);
}

#[test]
fn a_chain_too_deep_to_be_checked_fails_its_call_and_not_the_connection() {
    let house = House::new();
    let _server = house.server("");
    let mirror = MirrorClient::new(house.channel());
    let is_too_deep = |outcome: Result<(), CallError>| match outcome {
        Err(CallError::Failed {
            code: Code::InvalidArgument,
            text,
            ..
        }) => assert!(text.contains("1024"), "{text}"),
        other => panic!("{other:?}"),
    };
    let scope = mirror.scope().expect("room");
    let mut chain = scope
        .build(Chain {
            number: 0,
            next: None,
        })
        .expect("room");
    for number in 1..1500 {
        let next = Some(chain);
        chain = scope.build(Chain { number, next }).expect("room");
    }
    is_too_deep(mirror.chain_length(&chain).map(drop));
    is_too_deep(mirror.make_chain(1500).map(drop));
    let short = mirror.make_chain(1000).expect("the connection lives");
    assert!(short.get().is_some());
}
