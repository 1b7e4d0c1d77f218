//! References in native calls: passed on, kept, changed, given back, and let go.

use std::time::Duration;

use nowire::{Blob, CallError, Channel, ChannelOptions, Code, Pool, Ref, RefError};

use crate::house::{House, Program, connect};
use crate::post::{PostAsyncClient, PostClient, Undelivered, sum_of};
use crate::vitals::{Vitals, wait_until};

const SIZES: [usize; 5] = [1, 4096, 4097, 100_000, 3 << 20];

/// Bytes that differ from page to page.
fn pattern(bytes: usize) -> Vec<u8> {
    let of = |at: usize| (at / 4096 * 31 + at % 251) as u8;
    (0..bytes).map(of).collect()
}

/// Whether the bytes are these; a million of them are not printed.
fn has(data: &Ref, bytes: &[u8]) -> bool {
    let view = data.map().expect("readable");
    let differ = view
        .iter()
        .zip(bytes)
        .position(|(found, wanted)| found != wanted);
    if let Some(at) = differ {
        eprintln!("byte {at}: {} where {} was wanted", view[at], bytes[at]);
    }
    differ.is_none() && view.len() == bytes.len()
}

fn shared(bytes: &[u8]) -> Ref {
    Pool::process().copy_of(bytes).expect("room in the pool")
}

/// An office in a process of its own, which hands on to the next, if one is named.
fn office(house: &House, name: &str, setup: &str) -> Program {
    let mut program = house.program("office", &format!("name={name} {setup}"));
    program.line("serving");
    program
}

fn at(options: ChannelOptions, name: &str) -> PostClient {
    PostClient::new(nowire::connect_with(name, options).expect("the server is there"))
}

/// A house with one office in it, and a client of that.
fn post(setup: &str) -> (House, Program, PostClient) {
    let house = House::new();
    let server = office(&house, "lab", setup);
    let client = PostClient::new(connect(house.options()));
    // Now it has all that any call takes.
    client.holding().expect("served");
    (house, server, client)
}

/// Descriptors of a process that are open on pooled memory.
fn descriptors_of(pid: u32) -> usize {
    Vitals::of(pid).descriptors
}

#[test]
fn bytes_of_any_size_are_read_by_handlers_of_every_kind() {
    let (_house, _server, client) = post("");
    for bytes in SIZES {
        let bytes = pattern(bytes);
        let expected = sum_of(&bytes);
        let data = shared(&bytes);
        assert_eq!(*client.sum(data.clone()).expect("served"), expected);
        assert_eq!(*client.sum_in_pool(data.clone()).expect("served"), expected);
        assert_eq!(*client.sum_in_task(data.clone()).expect("served"), expected);
        assert_eq!(*client.length(data).expect("served"), bytes.len() as u64);
    }
}

#[test]
fn a_reference_to_nothing_arrives_as_one() {
    let (_house, _server, client) = post("");
    let nothing = shared(&[]);
    assert_eq!(*client.length(nothing.clone()).expect("served"), 0);
    assert!(client.echo(nothing).expect("served").is_empty());
}

#[test]
fn several_go_with_one_call_among_other_arguments_and_metadata() {
    let (_house, _server, client) = post("");
    let (first, second) = (pattern(5000), pattern(70_000));
    let expected = 3 * sum_of(&first) + sum_of(&second) + 8;
    let client = client.metadata("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736");
    for _ in 0..3 {
        let found = client.weighted(shared(&first), 3, shared(&second), [1; 8]);
        assert_eq!(*found.expect("served"), expected);
    }
    // The same one twice.
    let same = shared(&first);
    let found = client.weighted(same.clone(), 1, same, [0; 8]);
    assert_eq!(*found.expect("served"), 2 * sum_of(&first));
}

#[test]
fn what_comes_back_is_what_was_sent() {
    let (_house, _server, client) = post("");
    for bytes in SIZES {
        let bytes = pattern(bytes);
        let data = shared(&bytes);
        let echoes = [
            client.echo(data.clone()),
            client.echo_in_pool(data.clone()),
            client.echo_in_task(data.clone()),
            client.echo_later(data.clone()).and_then(|call| call.wait()),
            client.echo_with_metadata(data),
        ];
        for echo in echoes {
            assert!(has(&echo.expect("served"), &bytes));
        }
    }
}

#[test]
fn a_server_makes_data_that_its_caller_reads_when_the_server_is_gone() {
    let (_house, mut server, client) = post("");
    let made = client.made(7, 200_000).expect("served");
    assert!(has(&made, &[7; 200_000]));
    match client.made(7, u64::MAX / 4) {
        Err(CallError::Returned(Undelivered::Nobody)) => {}
        other => panic!("{other:?}"),
    }
    let unseen = client.made(9, 100_000).expect("served");
    server.kill();
    assert!(has(&unseen, &[9; 100_000]));
    let over = client.made(7, 1);
    assert!(matches!(over, Err(CallError::Connection(_))), "{over:?}");
}

/// How many mappings for reading a process has of pooled memory. (What it wrote
/// itself is mapped for writing.)
fn read_mappings_of(pid: u32) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("it lives");
    let is_read = |line: &&str| line.contains(" r--s") && line.contains("/memfd:nowire-ref");
    maps.lines().filter(is_read).count()
}

#[test]
fn memory_that_comes_again_stays_mapped_until_its_sender_is_gone() {
    let (_house, mut server, client) = post("");
    let here = std::process::id();
    for byte in 0..20 {
        let data = shared(&vec![byte; 100_000]);
        let sum = u64::from(byte) * 100_000;
        assert_eq!(*client.sum(data).expect("served"), sum);
        let made = client.made(byte, 100_000).expect("served");
        assert!(has(&made, &[byte; 100_000]));
    }
    assert_ne!(read_mappings_of(server.pid()), 0);
    assert_ne!(read_mappings_of(here), 0);

    let kept = client.made(1, 100_000).expect("served");
    server.kill();
    let over = client.made(7, 1);
    assert!(matches!(over, Err(CallError::Connection(_))), "{over:?}");
    assert_eq!(read_mappings_of(here), 0);
    assert!(has(&kept, &[1; 100_000]));
    assert_eq!(read_mappings_of(here), 0);

    let (_house, server, client) = post("");
    for byte in 0..20 {
        let data = shared(&vec![byte; 100_000]);
        client.sum(data).expect("served");
    }
    assert_ne!(read_mappings_of(server.pid()), 0);
    drop(client);
    wait_until("the server has none of its client's memory mapped", || {
        read_mappings_of(server.pid()) == 0
    });
}

#[test]
fn parts_are_passed_and_nothing_beside_them() {
    let (_house, _server, client) = post("");
    let bytes = pattern(100_000);
    let data = shared(&bytes);
    let middle = client.middle(data.clone()).expect("served");
    assert!(has(&middle, &bytes[25_000..75_000]));
    // A part of it goes where the whole has never been.
    let (_other_house, _other_server, other) = post("");
    let part = data.slice(10..20).expect("in bounds");
    let found = other.sum(part).expect("served");
    assert_eq!(*found, sum_of(&bytes[10..20]));
}

#[test]
fn a_change_is_seen_by_who_gets_it_and_by_nobody_else() {
    let (_house, _server, client) = post("");
    let bytes = pattern(50_000);
    let data = shared(&bytes);
    let stamped = client.stamped(data.clone(), 30_000, 0).expect("served");
    let again = client.stamped(stamped.clone(), 0, 1).expect("served");
    let mut expected = bytes.clone();
    expected[30_000] = 0;
    assert!(has(&stamped, &expected));
    expected[0] = 1;
    assert!(has(&again, &expected));
    assert!(has(&data, &bytes));
    // Old and new pages go out again, by one reference.
    let found = client.sum(again).expect("served");
    assert_eq!(*found, sum_of(&expected));
}

#[test]
fn a_chain_of_three_passes_data_on_and_back() {
    let house = House::new();
    let _last = office(&house, "last", "");
    let middle = office(&house, "middle", "next=last");
    let _first = office(&house, "first", "next=middle");
    let client = at(house.options(), "first");
    let bytes = pattern(1 << 20);
    let data = shared(&bytes);
    assert_eq!(
        *client.sum_at_end(data.clone()).expect("served"),
        sum_of(&bytes)
    );
    let round = || {
        let found = client.sum_at_end(data.clone()).expect("served");
        assert_eq!(*found, sum_of(&bytes));
        let back = client.stamped_at_end(data.clone()).expect("served");
        let rest = back.slice(1..).expect("in bounds");
        assert!(has(&rest, &bytes[1..]));
        assert_eq!(back.map().expect("readable")[0], 255);
    };
    (0..5).for_each(|_| round());
    let before = descriptors_of(middle.pid());
    (0..50).for_each(|_| round());
    wait_until("nothing is held", || {
        descriptors_of(middle.pid()) <= before + 5
    });
}

#[test]
fn who_passes_data_on_never_maps_it() {
    let house = House::new();
    let last = office(&house, "last", "trust=refs");
    let middle = office(&house, "middle", "next=last trust=refs");
    let client = at(house.options(), "middle");
    let end = at(house.options(), "last");
    let data = shared(&pattern(8 << 20));
    client.sum_at_end(shared(&[1])).expect("served");
    let before = [middle.pid(), last.pid()].map(Vitals::of);
    let held = client.keep(data.clone()).expect("served");
    assert_eq!(*held, 1);
    client.sum_at_end(data).expect("served");
    // It holds what it was given, and has not looked at it.
    let now = Vitals::of(middle.pid());
    assert_eq!(now.shared_bytes, before[0].shared_bytes);
    assert_eq!(now.descriptors, before[0].descriptors + 1);
    client.let_go().expect("served");
    end.let_go().expect("served");
    before[0].assert_again(middle.pid());
}

#[test]
fn what_is_kept_stays_when_the_client_is_killed() {
    let (house, server, client) = post("");
    let before = Vitals::of(server.pid());
    let mut sender = house.program("sender", "");
    sender.line("kept");
    sender.kill();
    wait_until("its connection is gone", || {
        Vitals::of(server.pid()).descriptors <= before.descriptors + 3
    });
    let expected: u64 = (1..=3).map(|byte| byte * 100_000).sum();
    assert_eq!(*client.sum_of_kept().expect("served"), expected);
    assert_eq!(*client.sum_of_kept().expect("served"), expected);
    client.let_go().expect("served");
    before.assert_again(server.pid());
}

#[test]
fn a_server_that_is_killed_holds_nothing_back() {
    let (_house, mut server, client) = post("");
    let mut buffer = Pool::process().alloc(100_000).expect("room");
    buffer.fill(5);
    let data = buffer.share();
    client.keep(data.clone()).expect("served");
    let Err(data) = data.try_into_buffer() else {
        panic!("the server keeps it");
    };
    server.kill();
    let mut buffer = data.try_into_buffer().expect("nobody has it");
    buffer[0] = 6;
    assert_eq!(buffer[..2], [6, 5]);
}

#[test]
fn calls_that_are_given_up_let_go_of_their_data() {
    let (_house, server, client) = post("workers=1");
    let data = shared(&pattern(10_000));
    client.sum(data.clone()).expect("served");
    let holding = || *client.holding().expect("served");
    let before = descriptors_of(server.pid());
    let all_back = || {
        wait_until("all is let go", || {
            descriptors_of(server.pid()) <= before && holding() == 0
        });
    };
    for _ in 0..5 {
        // One holds the only worker, so the others are not begun.
        let calls: Vec<_> = (0..4)
            .map(|_| client.hold_at_gate_later(data.clone()).expect("sent"))
            .collect();
        let tasks: Vec<_> = (0..4)
            .map(|_| client.hold_forever_later(data.clone()).expect("sent"))
            .collect();
        wait_until("they hold it", || holding() == 5);
        drop((calls, tasks));
        all_back();
    }
    let impatient = client.clone().timeout(Duration::from_millis(30));
    for _ in 0..3 {
        let late = impatient.hold_forever(data.clone());
        assert!(
            matches!(late, Err(CallError::DeadlineExceeded { .. })),
            "{late:?}"
        );
    }
    all_back();
}

#[test]
fn replies_that_nobody_takes_let_go_of_their_data() {
    let (_house, _server, client) = post("");
    let made = || client.made_later(3, 50_000).expect("sent");
    made().wait().expect("served");
    let before = descriptors_of(std::process::id());
    for _ in 0..200 {
        drop(made());
    }
    // Other tests run in this process.
    wait_until("they are let go", || {
        client.holding().expect("served");
        descriptors_of(std::process::id()) < before + 150
    });
}

#[test]
fn references_go_as_items_of_streams() {
    let (_house, server, client) = post("");
    let bytes = pattern(64 * 1000);
    let data = shared(&bytes);
    let before = {
        let mut sum = client.sum_all().expect("sent");
        assert!(sum.send(data.clone()).expect("taken"));
        assert_eq!(*sum.finish().expect("served"), sum_of(&bytes));
        Vitals::of(server.pid())
    };
    let mut sum = client.sum_all().expect("sent");
    for part in bytes.chunks(1000).cycle().take(500) {
        assert!(sum.send(shared(part)).expect("taken"));
    }
    let expected: u64 = bytes.chunks(1000).cycle().take(500).map(sum_of).sum();
    assert_eq!(*sum.finish().expect("served"), expected);

    let mut cuts = client.cut(data, 64).expect("sent");
    for part in bytes.chunks(1000) {
        let cut = cuts.next_reply().expect("served").expect("a part");
        assert!(has(&cut, part));
    }
    assert!(cuts.next_reply().expect("served").is_none());
    cuts.finish().expect("served");
    before.assert_within(16 << 20, server.pid());
}

#[tokio::test]
async fn tasks_pass_references_and_streams_of_them() {
    let house = House::new();
    let _server = office(&house, "lab", "");
    let channel = Channel::connect("lab", house.options()).await;
    let client = PostAsyncClient::new(channel.expect("it serves"));
    let bytes = pattern(300_000);
    let data = shared(&bytes);
    let (sum, echo) = tokio::try_join!(client.sum_in_task(data.clone()), async {
        client.echo(data.clone()).await.map_err(CallError::widen)
    })
    .expect("served");
    assert_eq!(*sum, sum_of(&bytes));
    assert!(has(&echo, &bytes));
    let mut exchange = client.echo_all().await.expect("sent");
    for part in bytes.chunks(10_000) {
        assert!(exchange.send(shared(part)).await.expect("taken"));
        let back = exchange.next_reply().await.expect("served");
        assert!(has(&back.expect("one"), part));
    }
    exchange.finish().await.expect("served");
}

#[test]
fn many_calls_with_references_are_under_way_together() {
    let (_house, _server, client) = post("");
    let bytes = pattern(20_000);
    let data = shared(&bytes);
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                for _ in 0..20 {
                    let calls: Vec<_> = (0..50)
                        .map(|_| client.echo_in_pool_later(data.clone()).expect("sent"))
                        .collect();
                    for call in calls {
                        let echo = call.wait().expect("served");
                        assert_eq!(echo.len(), bytes.len());
                        let mut last = [0];
                        echo.read(19_999, &mut last).expect("readable");
                        assert_eq!(last[0], bytes[19_999]);
                    }
                }
            });
        }
    });
}

#[test]
fn segments_of_the_heap_and_references_keep_their_order() {
    let (_house, _server, client) = post("");
    let bytes = pattern(5000);
    let data = shared(&bytes);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for _ in 0..300 {
                assert_eq!(*client.sum(data.clone()).expect("served"), sum_of(&bytes));
            }
        });
        threads.spawn(|| {
            for round in 0..30 {
                // The heap grows and shrinks.
                let scopes: Vec<_> = (0..3)
                    .map(|_| client.scope_of(2 << 20).expect("room"))
                    .collect();
                drop(scopes);
                client.channel().shrink();
                assert_eq!(*client.holding().expect("served"), 0, "round {round}");
            }
        });
    });
}

#[test]
fn more_references_than_a_server_holds_are_refused_one_by_one() {
    let (_house, server, client) = post("held=4");
    let before = Vitals::of(server.pid());
    for kept in 1..=4 {
        let data = shared(&pattern(10_000));
        assert_eq!(*client.keep(data).expect("served"), kept);
    }
    for _ in 0..3 {
        match client.keep(shared(&pattern(10_000))) {
            Err(CallError::Failed {
                code: Code::ResourceExhausted,
                text,
                ..
            }) => assert!(text.contains("limit of 4"), "{text}"),
            other => panic!("{other:?}"),
        }
    }
    client.let_go().expect("served");
    assert_eq!(*client.keep(shared(&[1])).expect("served"), 1);
    client.let_go().expect("served");
    before.assert_again(server.pid());
}

#[test]
fn a_server_out_of_descriptors_loses_a_reference_and_nothing_else() {
    let (_house, _server, client) = post("");
    let bytes = pattern(10_000);
    let data = shared(&bytes);
    assert_eq!(*client.sum(data.clone()).expect("served"), sum_of(&bytes));
    client.starve().expect("served");
    for _ in 0..3 {
        match client.sum(data.clone()) {
            Err(CallError::Returned(Undelivered::Lost)) => {}
            other => panic!("{other:?}"),
        }
    }
    client.feed().expect("served");
    assert_eq!(*client.sum(data).expect("served"), sum_of(&bytes));
}

#[test]
fn a_server_that_takes_no_references_says_so() {
    let (house, _server, client) = post("references=off");
    let refused = client.sum(shared(&[1]));
    assert!(
        matches!(refused, Err(CallError::NoReferences { .. })),
        "{refused:?}"
    );
    assert_eq!(*client.length(shared(&[])).expect("served"), 0);
    match client.made(1, 100) {
        Err(CallError::Failed { text, .. }) => assert!(text.contains("no references"), "{text}"),
        other => panic!("{other:?}"),
    }
    drop(house);
}

#[test]
fn a_reference_that_was_lost_is_not_passed_on_as_another() {
    let house = House::new();
    let _last = office(&house, "last", "");
    let _middle = office(&house, "middle", "next=last");
    let client = at(house.options(), "middle");
    client.sum_at_end(shared(&[1])).expect("served");
    client.starve().expect("served");
    match client.sum_at_end(shared(&pattern(10_000))) {
        Err(CallError::Returned(Undelivered::Lost)) => {}
        other => panic!("{other:?}"),
    }
    client.feed().expect("served");
    let found = client.sum_at_end(shared(&[2, 3])).expect("served");
    assert_eq!(*found, 5);
}

#[test]
fn a_call_error_names_what_is_wrong_with_a_reference() {
    let error: CallError = RefError::NoMemory { len_bytes: 7 }.into();
    assert!(error.to_string().contains("7 bytes"), "{error}");
    let wide: CallError<Undelivered> = error.widen();
    assert!(matches!(wide, CallError::Reference(_)));
}

#[test]
fn a_blob_goes_by_value_while_it_is_short_and_by_reference_when_it_is_long() {
    let (_house, _server, client) = post("");
    for bytes in [0, 1, 1000, 48 << 10, 49 << 10, 1 << 20] {
        let bytes = pattern(bytes);
        let sum = client.sum_of_blob(Blob::from(bytes.clone()));
        let by_reference = bytes.len() >= 48 << 10;
        assert_eq!(*sum.expect("served"), (sum_of(&bytes), by_reference));
        // A reference to so few bytes goes by value too.
        let sum = client.sum_of_blob(shared(&bytes).into());
        assert_eq!(*sum.expect("served"), (sum_of(&bytes), by_reference));
        let client = client.clone().metadata("traceparent", "00-4bf92f35");
        let sum = client.sum_of_blob(Blob::from(bytes.clone()));
        assert_eq!(*sum.expect("served"), (sum_of(&bytes), by_reference));
    }
}

#[test]
fn blobs_of_all_lengths_go_with_one_call() {
    let (_house, _server, client) = post("");
    for (first, second, third) in [(3, 5, 7), (0, 100_000, 0), (9000, 9000, 1), (50_000, 1, 3)] {
        let [first, second, third] = [first, second, third].map(pattern);
        let joined = client.joined(
            first.clone().into(),
            77,
            second.clone().into(),
            shared(&third),
        );
        let mut expected = first;
        expected.extend(77_u64.to_le_bytes());
        expected.extend(second);
        expected.extend(third);
        let joined = joined.expect("served").open().expect("readable");
        assert!(joined[..] == expected, "{} bytes", expected.len());
    }
}

#[test]
fn a_blob_passes_through_a_chain() {
    let house = House::new();
    let _last = office(&house, "last", "");
    let _middle = office(&house, "middle", "next=last");
    let client = at(house.options(), "middle");
    for bytes in [0, 100, 200_000] {
        let bytes = pattern(bytes);
        let back = client.blob_at_end(bytes.clone().into()).expect("served");
        assert!(back.open().expect("readable")[..] == bytes);
    }
}

#[tokio::test]
async fn blobs_go_as_items_of_streams() {
    let house = House::new();
    let _server = office(&house, "lab", "");
    let channel = Channel::connect("lab", house.options()).await;
    let client = PostAsyncClient::new(channel.expect("it serves"));
    let mut exchange = client.echo_blobs().await.expect("sent");
    for bytes in (0..100).map(|part| pattern(part * 500)) {
        let sent = exchange.send(bytes.clone().into()).await;
        assert!(sent.expect("taken"));
        let back = exchange.next_reply().await.expect("served").expect("one");
        assert!(back.open().expect("readable")[..] == bytes);
    }
    exchange.finish().await.expect("served");
}

#[test]
fn short_blobs_need_no_references() {
    let (_house, _server, client) = post("references=off");
    let sum = client.sum_of_blob(vec![1, 2, 3].into());
    assert_eq!(*sum.expect("served"), (6, false));
    let refused = client.sum_of_blob(pattern(100_000).into());
    assert!(
        matches!(refused, Err(CallError::NoReferences { .. })),
        "{refused:?}"
    );
}
