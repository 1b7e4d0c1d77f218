//! What `#[derive(Shared)]` promises of the types it is written above.
#![forbid(unsafe_code)]

use nowire::macro_support::{check_copy, inline};
use nowire::{Flaw, Layout, Map, Ptr, Scope, ScopeError, Shared, Slice, Str};

#[derive(Shared, Debug, PartialEq)]
struct Order<'s> {
    id: u64,
    note: Str<'s>,
    lines: Slice<'s, Line>,
    parent: Option<Ptr<'s, Order<'s>>>,
}

#[derive(Shared, Debug, PartialEq, Clone, Copy)]
struct Line {
    sku: u32,
    count: u16,
}

#[derive(Shared, Debug, PartialEq)]
#[repr(u8)]
enum Json<'s> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Str<'s>),
    List(Slice<'s, Json<'s>>),
    Object(Map<'s, Str<'s>, Json<'s>>),
}

#[derive(Shared, Debug, PartialEq, Clone, Copy)]
#[repr(u8)]
enum Color {
    Red = 3,
    Green,
    Blue = b'b',
}

#[derive(Shared, Debug, PartialEq, Clone, Copy)]
struct Unit;

#[derive(Shared, Debug, PartialEq, Clone, Copy)]
struct Tuple(u8, u64, Unit, Option<Color>, Option<char>);

#[derive(Shared, Debug, PartialEq)]
#[repr(u8)]
enum Either<'s, A, B> {
    Left { small: u8, a: A, last: u8 },
    Right(B, Option<Ptr<'s, Either<'s, A, B>>>),
    Neither { r#type: u16 } = 200,
}

#[derive(Shared, Debug, PartialEq)]
struct Tree<'s, K: Ord, const N: usize>
where
    K: PartialEq,
{
    keys: [K; N],
    left: Option<Ptr<'s, Tree<'s, K, N>>>,
    right: Option<Ptr<'s, Tree<'s, K, N>>>,
}

/// Builds a value in a scope whose memory was used before, moves the scope to
/// another address as a message would, and shows what is found there.
fn travel<T: Shared + 'static>(
    build: impl for<'s> FnOnce(&'s Scope) -> Result<Ptr<'s, T::At<'s>>, ScopeError>,
    show: impl for<'a> FnOnce(&T::At<'a>),
) where
    for<'a> Ptr<'static, T>: Shared<At<'a> = Ptr<'a, T::At<'a>>>,
{
    let mut scope = Scope::private(1 << 16);
    scope.prefill(0xa5);
    let root = inline(&build(&scope).expect("there is room"));
    let (address, bytes) = (scope.address(), scope.bytes_used());
    let arrived = check_copy::<Ptr<'static, T>>(&bytes, address, root);
    show(arrived.expect("it is what was built").get());
}

fn byte_of_tag(build: impl for<'s> FnOnce(&'s Scope) -> Result<(), ScopeError>) -> u8 {
    let mut scope = Scope::private(4096);
    build(&scope).expect("there is room");
    scope.bytes_used()[0]
}

#[test]
fn a_structure_arrives_as_it_was_built() {
    travel::<Order<'static>>(
        |scope| {
            let parent = scope.build(Order {
                id: 6,
                note: scope.str("")?,
                lines: Slice::empty(),
                parent: None,
            })?;
            scope.build(Order {
                id: 7,
                note: scope.str("gift")?,
                lines: scope.slice(&[Line { sku: 1, count: 2 }; 3])?,
                parent: Some(parent),
            })
        },
        |order| {
            assert_eq!((order.id, &*order.note), (7, "gift"));
            assert_eq!(order.lines, [Line { sku: 1, count: 2 }; 3]);
            assert_eq!(order.parent.as_ref().map(|parent| parent.id), Some(6));
        },
    );
}

#[test]
fn every_variant_arrives_as_it_was_built() {
    travel::<Json<'static>>(
        |scope| {
            let list = scope.slice_of([
                Json::Null,
                Json::Bool(true),
                Json::Number(0.5),
                Json::Text(scope.str("é")?),
            ])?;
            let object = scope.map([(scope.str("list")?, Json::List(list))])?;
            scope.build(Json::Object(object))
        },
        |json| {
            let Json::Object(object) = json else {
                panic!("{json:?}")
            };
            let Some(Json::List(list)) = object.get("list") else {
                panic!("{json:?}")
            };
            let [
                Json::Null,
                Json::Bool(true),
                Json::Number(number),
                Json::Text(text),
            ] = &**list
            else {
                panic!("{json:?}")
            };
            assert_eq!((*number, &**text), (0.5, "é"));
        },
    );
}

#[test]
fn types_with_parameters_arrive_as_they_were_built() {
    travel::<Either<'static, u16, Tuple>>(
        |scope| {
            let left = scope.build(Either::Left {
                small: 1,
                a: 2,
                last: 3,
            })?;
            let tuple = Tuple(4, 5, Unit, Some(Color::Green), None);
            scope.build(Either::Right(tuple, Some(left)))
        },
        |either| {
            let Either::Right(tuple, Some(left)) = either else {
                panic!("{either:?}")
            };
            assert_eq!(*tuple, Tuple(4, 5, Unit, Some(Color::Green), None));
            assert_eq!(
                **left,
                Either::Left {
                    small: 1,
                    a: 2,
                    last: 3
                }
            );
        },
    );
    travel::<Tree<'static, Str<'static>, 2>>(
        |scope| {
            let left = scope.build(Tree {
                keys: [scope.str("a")?, scope.str("b")?],
                left: None,
                right: None,
            })?;
            scope.build(Tree {
                keys: [scope.str("c")?, scope.str("d")?],
                left: Some(left),
                right: None,
            })
        },
        |tree| {
            assert_eq!(&*tree.keys[1], "d");
            assert_eq!(
                tree.left.as_ref().map(|left| &*left.keys[0] == "a"),
                Some(true)
            );
        },
    );
}

#[test]
fn an_enum_is_tagged_as_the_language_tags_it() {
    for color in [Color::Red, Color::Green, Color::Blue] {
        assert_eq!(
            byte_of_tag(|scope| scope.build(color).map(drop)),
            color as u8
        );
    }
    let neither = |scope: &Scope| {
        let value: Either<'_, u8, u8> = Either::Neither { r#type: 1 };
        scope.build(value).map(drop)
    };
    assert_eq!(byte_of_tag(neither), 200);
}

#[test]
fn a_layout_says_where_the_compiler_put_the_fields() {
    let text = Layout::of::<Either<'static, u64, Tuple>>()
        .text()
        .to_owned();
    let value: Either<'_, u64, Tuple> = Either::Left {
        small: 0,
        a: 0,
        last: 0,
    };
    let Either::Left { small, a, last } = &value else {
        unreachable!("it was just made")
    };
    let base = std::ptr::from_ref(&value).addr();
    let places = [
        ("Left.small: u8", std::ptr::from_ref(small).addr()),
        ("Left.a: u64", std::ptr::from_ref(a).addr()),
        ("Left.last: u8", std::ptr::from_ref(last).addr()),
    ];
    for (field, place) in places {
        let line = format!("  {field} at {}\n", place - base);
        assert!(text.contains(&line), "{line:?} is not in\n{text}");
    }
    for line in ["  Neither: variant 200\n", "  Neither.type: u16 at 2\n"] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    assert!(
        Layout::of::<Tree<'static, u8, 3>>()
            .text()
            .starts_with("Tree<u8, 3>: ")
    );
}

#[test]
fn old_bytes_do_not_travel_in_the_gaps_between_fields() {
    let mut scope = Scope::private(4096);
    scope.prefill(0xa5);
    let gaps = (
        scope.build(Line { sku: 0, count: 0 }).is_ok(),
        scope
            .build(Either::Neither::<u64, u8> { r#type: 0 })
            .is_ok(),
    );
    assert_eq!(gaps, (true, true));
    let bytes = scope.bytes_used();
    let (line, either) = bytes.split_at(8);
    assert!(line.iter().all(|byte| *byte == 0), "{line:?}");
    assert!(
        either[0] == 200 && either[1..].iter().all(|byte| *byte == 0),
        "{either:?}"
    );
}

#[test]
fn a_variant_that_does_not_exist_is_refused() {
    let refused = check_copy::<Color>(&[], 0, [5, 0, 0, 0]).err();
    assert!(
        matches!(refused, Some(Flaw::Variant { found: 5, .. })),
        "{refused:?}"
    );
    let blue = check_copy::<Color>(&[], 0, [u64::from(b'b'), 0, 0, 0]).expect("it exists");
    assert_eq!(*blue.get(), Color::Blue);
}

#[test]
fn the_fields_of_a_variant_are_checked_and_no_others() {
    let json = |tag: u8, next: u8, word: u64| {
        let first = u64::from_le_bytes([tag, next, 0, 0, 0, 0, 0, 0]);
        check_copy::<Json<'static>>(&[], 0, [first, word, word, 0])
    };
    assert!(matches!(
        json(1, 2, 0).err(),
        Some(Flaw::Bool { found: 2, .. })
    ));
    assert!(json(0, 2, u64::MAX).is_ok(), "null has no bool and no text");
    assert!(json(2, 2, u64::MAX).is_ok(), "a number may be anything");
    assert!(matches!(
        json(3, 0, u64::MAX).err(),
        Some(Flaw::TooLong { .. })
    ));
}
