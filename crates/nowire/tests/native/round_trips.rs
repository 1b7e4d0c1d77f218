//! What is built on one side is read on the other.

use std::num::NonZeroU32;

use nowire::{CallError, Code, Keeping, Scope};

use crate::house::{House, connect};
use crate::shapes::{Colour, Dice, MirrorClient, Point, chain, everything, json};

/// Each way to keep things still, on both sides.
const KEEPINGS: [(&str, Keeping); 3] = [
    ("trust", Keeping::Trust),
    ("copy", Keeping::Copy),
    ("seal", Keeping::Seal),
];

fn with_each_keeping(test: impl Fn(&MirrorClient)) {
    for (word, keeping) in KEEPINGS {
        let house = House::new();
        let _server = house.server(&format!(
            "keeping={word} seal_from=4096 reply_scope=2097152"
        ));
        let mut options = house.options();
        options.keeping = keeping;
        test(&MirrorClient::new(connect(options)));
    }
}

#[test]
fn every_type_arrives_as_it_was_built() {
    with_each_keeping(|mirror| {
        for seed in 0..40 {
            let expected = format!(
                "{:?}",
                everything(&Scope::private(1 << 20), seed).expect("room")
            );
            let scope = mirror.scope_of(1 << 16).expect("room");
            let value = scope
                .build(everything(&scope, seed).expect("room"))
                .expect("room");
            let shown = mirror.show(&value).expect("served");
            assert_eq!(*shown.get(), *expected);
            let found = *mirror.look_up(&value).expect("served");
            let entries = (value.sorted.len() as u32, value.hashed.len() as u32);
            assert_eq!(found, entries);
        }
    });
}

#[test]
fn every_type_comes_back_as_it_was_built() {
    with_each_keeping(|mirror| {
        for seed in 0..40 {
            let private = Scope::private(1 << 20);
            let expected = format!("{:?}", everything(&private, seed).expect("room"));
            let made = mirror.make(seed).expect("served");
            assert_eq!(format!("{:?}", made.get()), expected);
        }
    });
}

#[test]
fn documents_of_any_shape_go_and_come() {
    with_each_keeping(|mirror| {
        for seed in 100..160 {
            let private = Scope::private(1 << 20);
            let expected = format!(
                "{:?}",
                json(&private, &mut Dice::new(seed), 5).expect("room")
            );
            let made = mirror.make_json(seed).expect("served");
            assert_eq!(format!("{:?}", made.get()), expected);
            let scope = mirror.scope_of(1 << 20).expect("room");
            let value = json(&scope, &mut Dice::new(seed), 5).expect("room");
            let value = scope.build(value).expect("room");
            let shown = mirror.show_json(&value).expect("served");
            assert_eq!(*shown.get(), *expected);
        }
    });
}

#[test]
fn a_chain_of_a_thousand_links_goes_and_comes() {
    const LENGTH: u32 = 1000;
    with_each_keeping(|mirror| {
        let scope = mirror.scope().expect("room");
        let built = chain(&scope, LENGTH).expect("room").expect("links");
        let length = *mirror.chain_length(&built).expect("served");
        assert_eq!(length, u64::from(LENGTH));
        let made = mirror.make_chain(LENGTH).expect("served");
        let mut next = made.get();
        let mut numbers = (0..LENGTH).rev();
        while let Some(link) = next {
            assert_eq!(Some(link.number), numbers.next());
            next = &link.next;
        }
        assert_eq!(numbers.next(), None);
        assert!(mirror.make_chain(0).expect("served").get().is_none());
    });
}

#[test]
fn plain_values_go_without_a_scope() {
    with_each_keeping(|mirror| {
        let point = Point { x: -7, y: 9 };
        let colour = Colour::Mixed {
            red: 1,
            green: 2,
            blue: 3,
        };
        let all = (
            point,
            colour,
            [1, 2, 3],
            (4, 5),
            Some('ß'),
            0.5,
            true,
            u64::MAX,
        );
        let shown = mirror.show_plain(all.0, all.1, all.2, all.3, all.4, all.5, all.6, all.7);
        assert_eq!(*shown.expect("served").get(), *format!("{all:?}"));
        for seed in 0..20 {
            let mixed = *mirror.mixed(seed).expect("served");
            let _: Colour = mixed;
            assert_eq!(
                format!("{mixed:?}"),
                format!("{:?}", *mirror.mixed(seed).expect("served"))
            );
        }
        assert_eq!(*mirror.maybe(true).expect("served"), NonZeroU32::new(5));
        assert_eq!(*mirror.maybe(false).expect("served"), None);
        assert_eq!(mirror.channel().heap_bytes(), 0, "no scope was needed");
    });
}

#[test]
fn a_chain_deeper_than_can_be_checked_is_refused_by_name() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let mirror = MirrorClient::new(house.channel());
    let scope = mirror.scope_of(2 << 20).expect("room");
    let built = chain(&scope, 50_000).expect("room").expect("links");
    match mirror.chain_length(&built) {
        Err(CallError::Failed {
            code: Code::InvalidArgument,
            text,
            ..
        }) => assert!(text.contains("1024"), "{text}"),
        other => panic!("{other:?}"),
    }
}
