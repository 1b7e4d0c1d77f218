//! A server that was built from other types than its client.

use nowire::{CallError, ServerBuilder, Shared, Str};

use crate::child::Setup;
use crate::house::House;

/// As the client has the types.
mod ours {
    use super::*;

    #[derive(Shared)]
    pub(super) struct Order<'s> {
        pub(super) id: u64,
        pub(super) note: Str<'s>,
    }

    #[derive(Clone, Copy, Debug, Shared)]
    #[repr(u8)]
    pub(super) enum Refusal {
        Closed,
        Full,
    }

    #[nowire::service]
    #[expect(dead_code, reason = "it is called, not served")]
    pub(super) trait Shop {
        fn total(&self, order: &Order) -> u64;
        fn same(&self, a: u64) -> u64;
        fn refuse(&self) -> Result<(), Refusal>;
        fn only_here(&self);
        fn swapped(&self, a: u32, b: i32) -> u64;
    }
}

/// As the server has them.
mod theirs {
    use super::*;

    #[derive(Shared)]
    pub(super) struct Order<'s> {
        pub(super) id: u32,
        pub(super) note: Str<'s>,
    }

    #[derive(Clone, Copy, Debug, Shared)]
    #[repr(u8)]
    pub(super) enum Refusal {
        Closed,
        Busy,
    }

    #[nowire::service]
    pub(super) trait Shop {
        fn only_there(&self);
        fn refuse(&self) -> Result<(), Refusal>;
        fn same(&self, a: u64) -> u64;
        fn swapped(&self, a: i32, b: u32) -> u64;
        fn total(&self, order: &Order) -> u64;
    }

    pub(super) struct Counter;

    impl Shop for Counter {
        fn only_there(&self) {}

        fn refuse(&self) -> Result<(), Refusal> {
            Err([Refusal::Closed, Refusal::Busy][1])
        }

        fn same(&self, a: u64) -> u64 {
            a
        }

        fn swapped(&self, a: i32, b: u32) -> u64 {
            a as u64 + u64::from(b)
        }

        fn total(&self, order: &Order) -> u64 {
            u64::from(order.id) + order.note.len() as u64
        }
    }
}

pub(crate) fn other(setup: &Setup) -> ServerBuilder {
    setup.server().add(theirs::ShopServer::new(theirs::Counter))
}

/// What the caller is told.
fn refused<T: std::fmt::Debug, E: std::fmt::Debug>(outcome: Result<T, CallError<E>>) -> String {
    match outcome {
        Err(CallError::Layout(mismatch)) => mismatch.to_string(),
        other => panic!("{other:?}"),
    }
}

fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in:\n{text}");
    }
}

#[test]
fn a_method_of_other_types_is_refused_with_both_layouts_and_the_first_difference() {
    let house = House::new();
    let mut server = house.program("other layouts", "");
    server.line("serving");
    let pid = format!("pid {}", server.pid());
    let shop = ours::ShopClient::new(house.channel());
    let scope = shop.scope().expect("room");
    let note = scope.str("gift").expect("room");
    let order = scope.build(ours::Order { id: 1, note }).expect("room");
    for _ in 0..2 {
        let text = refused(shop.total(&order));
        assert_says(
            &text,
            &[
                "Shop.total",
                &pid,
                "arguments",
                "`Order`",
                "id",
                "u64",
                "u32",
            ],
        );
        assert_says(&text, &["here:", "there:", "note"]);
        let text = refused(shop.refuse());
        assert_says(
            &text,
            &["Shop.refuse", "error", "`Refusal`", "Full", "Busy"],
        );
        let text = refused(shop.swapped(1, 2));
        assert_says(&text, &["Shop.swapped", "u32", "i32"]);
        let text = refused(shop.only_here());
        assert_says(&text, &["Shop.only_here", &pid, "no method"]);
        // What both have alike is served, in whatever order they have it.
        assert_eq!(*shop.same(5).expect("served"), 5);
    }
    let _ = [ours::Refusal::Closed, ours::Refusal::Full];
}

#[tokio::test]
async fn a_task_is_refused_the_same_and_served_the_same() {
    let house = House::new();
    let mut server = house.program("other layouts", "");
    server.line("serving");
    let channel = nowire::Channel::connect("lab", house.options()).await;
    let shop = ours::ShopAsyncClient::new(channel.expect("it serves"));
    let text = refused(shop.refuse().await);
    assert_says(&text, &["Shop.refuse", "Full", "Busy"]);
    assert_eq!(*shop.same(5).await.expect("served"), 5);
}
