#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "these implementations are as the derive writes them"
)]

use std::mem::{MaybeUninit, offset_of};
use std::ptr::NonNull;

use proptest::prelude::*;

use super::*;

/// A struct, as the derive writes it.
#[derive(Debug, PartialEq)]
struct Order<'s> {
    id: u64,
    note: Str<'s>,
    lines: Slice<'s, Line>,
    parent: Option<Ptr<'s, Order<'s>>>,
}

// SAFETY: every field is Shared, and each method treats every field.
unsafe impl<'s> Shared for Order<'s> {
    type At<'a> = Order<'a>;

    const DENSE: bool = size_of::<Self>()
        == size_of::<u64>()
            + size_of::<Str<'s>>()
            + size_of::<Slice<'s, Line>>()
            + size_of::<Option<Ptr<'s, Order<'s>>>>()
        && <u64 as Shared>::DENSE
        && <Str<'s> as Shared>::DENSE
        && <Slice<'s, Line> as Shared>::DENSE
        && <Option<Ptr<'s, Order<'s>>> as Shared>::DENSE;
    const PLAIN: bool = <u64 as Shared>::PLAIN
        && <Str<'s> as Shared>::PLAIN
        && <Slice<'s, Line> as Shared>::PLAIN
        && <Option<Ptr<'s, Order<'s>>> as Shared>::PLAIN;
    const POINTERS: bool = <u64 as Shared>::POINTERS
        || <Str<'s> as Shared>::POINTERS
        || <Slice<'s, Line> as Shared>::POINTERS
        || <Option<Ptr<'s, Order<'s>>> as Shared>::POINTERS;
    const SAMPLE: MaybeUninit<Self> = MaybeUninit::new(Self {
        // SAFETY: a sample of a sample's field.
        id: unsafe { <u64 as Shared>::SAMPLE.assume_init() },
        // SAFETY: as above.
        note: unsafe { <Str<'s> as Shared>::SAMPLE.assume_init() },
        // SAFETY: as above.
        lines: unsafe { <Slice<'s, Line> as Shared>::SAMPLE.assume_init() },
        // SAFETY: as above.
        parent: unsafe { <Option<Ptr<'s, Order<'s>>> as Shared>::SAMPLE.assume_init() },
    });
    const NICHES: Niches = Niches::NONE
        .with::<u64>(offset_of!(Self, id))
        .with::<Str<'s>>(offset_of!(Self, note))
        .with::<Slice<'s, Line>>(offset_of!(Self, lines))
        .with::<Option<Ptr<'s, Order<'s>>>>(offset_of!(Self, parent));

    #[inline]
    unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
        // SAFETY: a field of what the caller says is there.
        unsafe { <u64 as Shared>::check(checker, &raw mut (*at).id)? };
        // SAFETY: as above.
        unsafe { <Str<'s> as Shared>::check(checker, &raw mut (*at).note)? };
        // SAFETY: as above.
        unsafe { <Slice<'s, Line> as Shared>::check(checker, &raw mut (*at).lines)? };
        // SAFETY: as above.
        unsafe { <Option<Ptr<'s, Order<'s>>> as Shared>::check(checker, &raw mut (*at).parent)? };
        Ok(())
    }

    #[inline]
    unsafe fn write(&self, into: *mut Self) {
        // SAFETY: a field of what the caller says is writable.
        unsafe { Shared::write(&self.id, &raw mut (*into).id) };
        // SAFETY: as above.
        unsafe { Shared::write(&self.note, &raw mut (*into).note) };
        // SAFETY: as above.
        unsafe { Shared::write(&self.lines, &raw mut (*into).lines) };
        // SAFETY: as above.
        unsafe { Shared::write(&self.parent, &raw mut (*into).parent) };
    }

    #[inline]
    fn lies_in(&self, bounds: &Bounds) -> bool {
        Shared::lies_in(&self.id, bounds)
            && Shared::lies_in(&self.note, bounds)
            && Shared::lies_in(&self.lines, bounds)
            && Shared::lies_in(&self.parent, bounds)
    }

    fn describe(schema: &mut Schema) -> String {
        schema.structure::<Self>("Order", &[], |fields| {
            fields.field::<u64>("id", offset_of!(Self, id));
            fields.field::<Str<'s>>("note", offset_of!(Self, note));
            fields.field::<Slice<'s, Line>>("lines", offset_of!(Self, lines));
            fields.field::<Option<Ptr<'s, Order<'s>>>>("parent", offset_of!(Self, parent));
        })
    }
}

/// Plain data, with padding.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Line {
    sku: u32,
    count: u16,
}

// SAFETY: every field is Shared, and each method treats every field.
unsafe impl Shared for Line {
    type At<'a> = Line;

    const DENSE: bool = size_of::<Self>() == size_of::<u32>() + size_of::<u16>();
    const PLAIN: bool = <u32 as Shared>::PLAIN && <u16 as Shared>::PLAIN;
    const POINTERS: bool = false;
    const SAMPLE: MaybeUninit<Self> = MaybeUninit::new(Self { sku: 0, count: 0 });
    const NICHES: Niches = Niches::NONE
        .with::<u32>(offset_of!(Self, sku))
        .with::<u16>(offset_of!(Self, count));

    #[inline]
    unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
        // SAFETY: a field of what the caller says is there.
        unsafe { <u32 as Shared>::check(checker, &raw mut (*at).sku)? };
        // SAFETY: as above.
        unsafe { <u16 as Shared>::check(checker, &raw mut (*at).count)? };
        Ok(())
    }

    #[inline]
    unsafe fn write(&self, into: *mut Self) {
        // SAFETY: a field of what the caller says is writable.
        unsafe { Shared::write(&self.sku, &raw mut (*into).sku) };
        // SAFETY: as above.
        unsafe { Shared::write(&self.count, &raw mut (*into).count) };
    }

    #[inline]
    fn lies_in(&self, bounds: &Bounds) -> bool {
        Shared::lies_in(&self.sku, bounds) && Shared::lies_in(&self.count, bounds)
    }

    fn describe(schema: &mut Schema) -> String {
        schema.structure::<Self>("Line", &[], |fields| {
            fields.field::<u32>("sku", offset_of!(Self, sku));
            fields.field::<u16>("count", offset_of!(Self, count));
        })
    }
}

/// An enum with data, as the derive writes it.
#[derive(Debug, PartialEq)]
#[repr(u8)]
enum Json<'s> {
    Null,
    Number(f64),
    Member { name: Str<'s>, ordinal: u16 } = 7,
    List(Slice<'s, Json<'s>>),
}

// SAFETY: every field is Shared, and each method treats every variant.
unsafe impl<'s> Shared for Json<'s> {
    type At<'a> = Json<'a>;

    const DENSE: bool = false;
    const PLAIN: bool = false;
    const POINTERS: bool = <f64 as Shared>::POINTERS
        || <Str<'s> as Shared>::POINTERS
        || <u16 as Shared>::POINTERS
        || <Slice<'s, Json<'s>> as Shared>::POINTERS;
    const SAMPLE: MaybeUninit<Self> = MaybeUninit::new(Self::Null);
    const NICHES: Niches = Niches::whole(1);

    #[inline]
    unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
        // SAFETY: the tag of what the caller says is there.
        match unsafe { at.cast::<u8>().read() } {
            0 => {}
            1 => {
                let offset = const { field_offset::<f64>(1) };
                // SAFETY: a field of this variant.
                unsafe { <f64 as Shared>::check(checker, at.byte_add(offset).cast())? };
            }
            7 => {
                let offset = const { field_offset::<Str<'s>>(1) };
                // SAFETY: a field of this variant.
                unsafe { <Str<'s> as Shared>::check(checker, at.byte_add(offset).cast())? };
                let offset = const {
                    field_offset::<u16>(field_offset::<Str<'s>>(1) + size_of::<Str<'s>>())
                };
                // SAFETY: a field of this variant.
                unsafe { <u16 as Shared>::check(checker, at.byte_add(offset).cast())? };
            }
            8 => {
                let offset = const { field_offset::<Slice<'s, Json<'s>>>(1) };
                // SAFETY: a field of this variant.
                unsafe {
                    <Slice<'s, Json<'s>> as Shared>::check(checker, at.byte_add(offset).cast())?;
                };
            }
            found => return Err(checker.no_variant::<Self>(at, found)),
        }
        Ok(())
    }

    #[inline]
    unsafe fn write(&self, into: *mut Self) {
        match self {
            Self::Null => {
                // SAFETY: the tag of what the caller says is writable.
                unsafe { into.cast::<u8>().write(0) };
            }
            Self::Number(field_0) => {
                // SAFETY: as above.
                unsafe { into.cast::<u8>().write(1) };
                let offset = const { field_offset::<f64>(1) };
                // SAFETY: a field of this variant.
                unsafe { Shared::write(field_0, into.byte_add(offset).cast()) };
            }
            Self::Member { name, ordinal } => {
                // SAFETY: as above.
                unsafe { into.cast::<u8>().write(7) };
                let offset = const { field_offset::<Str<'s>>(1) };
                // SAFETY: a field of this variant.
                unsafe { Shared::write(name, into.byte_add(offset).cast()) };
                let offset = const {
                    field_offset::<u16>(field_offset::<Str<'s>>(1) + size_of::<Str<'s>>())
                };
                // SAFETY: a field of this variant.
                unsafe { Shared::write(ordinal, into.byte_add(offset).cast()) };
            }
            Self::List(field_0) => {
                // SAFETY: as above.
                unsafe { into.cast::<u8>().write(8) };
                let offset = const { field_offset::<Slice<'s, Json<'s>>>(1) };
                // SAFETY: a field of this variant.
                unsafe { Shared::write(field_0, into.byte_add(offset).cast()) };
            }
        }
    }

    #[inline]
    fn lies_in(&self, bounds: &Bounds) -> bool {
        match self {
            Self::Null => true,
            Self::Number(field_0) => Shared::lies_in(field_0, bounds),
            Self::Member { name, ordinal } => {
                Shared::lies_in(name, bounds) && Shared::lies_in(ordinal, bounds)
            }
            Self::List(field_0) => Shared::lies_in(field_0, bounds),
        }
    }

    fn describe(schema: &mut Schema) -> String {
        schema.enumeration::<Self>("Json", &[], |variants| {
            variants.variant("Null", 0, |_| {});
            variants.variant("Number", 1, |fields| {
                fields.field::<f64>("0", const { field_offset::<f64>(1) });
            });
            variants.variant("Member", 7, |fields| {
                fields.field::<Str<'s>>("name", const { field_offset::<Str<'s>>(1) });
                fields.field::<u16>(
                    "ordinal",
                    const { field_offset::<u16>(field_offset::<Str<'s>>(1) + size_of::<Str<'s>>()) },
                );
            });
            variants.variant("List", 8, |fields| {
                fields.field::<Slice<'s, Json<'s>>>(
                    "0",
                    const { field_offset::<Slice<'s, Json<'s>>>(1) },
                );
            });
        })
    }
}

/// A generic struct, as the derive writes it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pair<A, B> {
    first: A,
    second: B,
}

// SAFETY: every field is Shared, and each method treats every field.
unsafe impl<A: Shared, B: Shared> Shared for Pair<A, B> {
    type At<'a> = Pair<A::At<'a>, B::At<'a>>;

    const DENSE: bool = size_of::<Self>() == size_of::<A>() + size_of::<B>()
        && <A as Shared>::DENSE
        && <B as Shared>::DENSE;
    const PLAIN: bool = <A as Shared>::PLAIN && <B as Shared>::PLAIN;
    const POINTERS: bool = <A as Shared>::POINTERS || <B as Shared>::POINTERS;
    const SAMPLE: MaybeUninit<Self> = MaybeUninit::new(Self {
        // SAFETY: a sample of a sample's field.
        first: unsafe { <A as Shared>::SAMPLE.assume_init() },
        // SAFETY: as above.
        second: unsafe { <B as Shared>::SAMPLE.assume_init() },
    });
    const NICHES: Niches = Niches::NONE
        .with::<A>(offset_of!(Self, first))
        .with::<B>(offset_of!(Self, second));

    #[inline]
    unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
        // SAFETY: a field of what the caller says is there.
        unsafe { <A as Shared>::check(checker, &raw mut (*at).first)? };
        // SAFETY: as above.
        unsafe { <B as Shared>::check(checker, &raw mut (*at).second)? };
        Ok(())
    }

    #[inline]
    unsafe fn write(&self, into: *mut Self) {
        // SAFETY: a field of what the caller says is writable.
        unsafe { Shared::write(&self.first, &raw mut (*into).first) };
        // SAFETY: as above.
        unsafe { Shared::write(&self.second, &raw mut (*into).second) };
    }

    #[inline]
    fn lies_in(&self, bounds: &Bounds) -> bool {
        Shared::lies_in(&self.first, bounds) && Shared::lies_in(&self.second, bounds)
    }

    fn describe(schema: &mut Schema) -> String {
        schema.structure::<Self>(
            "Pair",
            &[<A as Shared>::describe, <B as Shared>::describe],
            |fields| {
                fields.field::<A>("first", offset_of!(Self, first));
                fields.field::<B>("second", offset_of!(Self, second));
            },
        )
    }
}

/// Moves what was built to another place, as it travels to another process.
fn travel<T: Shared>(
    capacity_bytes: usize,
    build: impl for<'s> FnOnce(&'s Scope) -> Result<[u64; 4], ScopeError>,
) -> Result<Checked<T>, Flaw> {
    let mut scope = Scope::private(capacity_bytes);
    let root = build(&scope).expect("there is room");
    let base = scope.address();
    let bytes = scope.bytes_used();
    drop(scope);
    check_copy::<T>(&bytes, base, root)
}

#[test]
fn a_struct_travels() {
    let lines = [Line { sku: 1, count: 2 }, Line { sku: 3, count: 4 }];
    let there = travel::<Ptr<'_, Order<'_>>>(4096, |scope| {
        let parent = scope.build(Order {
            id: 1,
            note: scope.str("first")?,
            lines: Slice::empty(),
            parent: None,
        })?;
        let order = scope.build(Order {
            id: 7,
            note: scope.str("gift für dich")?,
            lines: scope.slice(&lines)?,
            parent: Some(parent),
        })?;
        Ok(inline(&order))
    })
    .expect("nothing is wrong with it");
    let order = there.get();
    assert_eq!(order.id, 7);
    assert_eq!(order.note, "gift für dich");
    assert_eq!(*order.lines, lines);
    assert_eq!(order.parent.as_ref().expect("it has one").note, "first");
}

#[test]
fn an_enum_travels() {
    let there = travel::<Json<'_>>(4096, |scope| {
        let list = scope.slice_of([
            Json::Null,
            Json::Number(2.5),
            Json::Member {
                name: scope.str("b")?,
                ordinal: 9,
            },
            Json::List(Slice::empty()),
        ])?;
        Ok(inline(&Json::List(list)))
    })
    .expect("nothing is wrong with it");
    let Json::List(list) = there.get() else {
        panic!("another variant")
    };
    assert_eq!(list[..2], [Json::Null, Json::Number(2.5)]);
    assert!(matches!(&list[2], Json::Member { name, ordinal: 9 } if name == "b"));
    assert!(matches!(&list[3], Json::List(none) if none.is_empty()));
}

#[test]
fn a_generic_struct_travels() {
    let there = travel::<Pair<Option<bool>, Str<'_>>>(4096, |scope| {
        Ok(inline(&Pair {
            first: Some(true),
            second: scope.str("pair")?,
        }))
    })
    .expect("nothing is wrong with it");
    assert_eq!(there.get().first, Some(true));
    assert_eq!(there.get().second, "pair");
}

#[test]
fn a_layout_names_every_type_once() {
    let layout = Layout::of::<Ptr<'_, Order<'_>>>();
    let text = layout.text();
    assert!(text.starts_with("Ptr<Order>: 8 bytes, align 8, 64-bit little-endian\n"));
    assert_eq!(text.matches("Order: struct, ").count(), 1);
    assert_eq!(text.matches("Line: struct, 8 bytes, align 4\n").count(), 1);
    assert!(text.contains("  lines: Slice<Line> at "));
    assert!(text.contains("  parent: Option<Ptr<Order>> at "));
}

/// A chain of so many orders, each the parent of the one after it.
fn chain(scope: &Scope, length: u64) -> Ptr<'_, Order<'_>> {
    let build = |id, parent| {
        let (note, lines) = (Str::empty(), Slice::empty());
        let order = Order {
            id,
            note,
            lines,
            parent,
        };
        scope.build(order).expect("there is room")
    };
    (1..length).fold(build(0, None), |last, id| build(id, Some(last)))
}

#[test]
fn a_chain_deeper_than_the_limit_is_refused() {
    let there =
        |length| travel::<Ptr<'_, Order<'_>>>(1 << 20, |scope| Ok(inline(&chain(scope, length))));
    assert_eq!(there(1024).expect("this is not too deep").get().id, 1023);
    assert_eq!(
        there(1025).err(),
        Some(Flaw::TooDeep {
            place: Place::Scope(0),
            limit: 1024
        })
    );
}

#[test]
fn a_long_chain_needs_no_stack() {
    let length = 1_000_000;
    let scope = Scope::private(64 * length as usize);
    let order = chain(&scope, length);
    let base = NonNull::new(scope.address() as *mut u8).expect("it is somewhere");
    let region = Region {
        claimed: scope.address(),
        here: base,
        bytes: scope.used_bytes(),
        writable: false,
        header_bytes: 0,
    };
    let mut buffers = CheckBuffers::with_depth(u32::MAX);
    // SAFETY: nobody writes to the scope.
    let root = unsafe { check::<Ptr<'_, Order<'_>>>(&inline(&order), Some(region), &mut buffers) };
    let root = root.expect("nothing is wrong with it");
    // SAFETY: the scope is still there.
    assert_eq!(unsafe { root.get() }.id, length - 1);
}

#[test]
fn a_cycle_is_refused() {
    for length in [1, 2, 5, 300] {
        let mut scope = Scope::private(64 * length as usize);
        let base = scope.address();
        let root = inline(&chain(&scope, length));
        let mut bytes = scope.bytes_used();
        assert!(check_copy::<Ptr<'_, Order<'_>>>(&bytes, base, root).is_ok());
        let first_parent = offset_of!(Order<'_>, parent);
        bytes[first_parent..first_parent + 8].copy_from_slice(&root[0].to_le_bytes());
        let flaw = check_copy::<Ptr<'_, Order<'_>>>(&bytes, base, root).err();
        assert!(matches!(flaw, Some(Flaw::Overlap { .. })), "{flaw:?}");
    }
}

#[test]
fn an_unknown_variant_is_refused() {
    for tag in [2, 6, 9, 255] {
        let flaw = check_copy::<Json<'_>>(&[], 0, [tag, 0, 0, 0]).err();
        assert_eq!(
            flaw,
            Some(Flaw::Variant {
                type_name: std::any::type_name::<Json<'_>>(),
                place: Place::Inline(0),
                found: tag as u8,
            })
        );
    }
    let none = check_copy::<Option<Json<'_>>>(&[], 0, [9, 0, 0, 0]);
    assert!(none.expect("nine is None").get().is_none());
}

#[test]
fn what_is_inside_a_variant_is_checked() {
    let flaw = check_copy::<Json<'_>>(&[], 0, [8, 64, 1, 0]).err();
    assert!(matches!(flaw, Some(Flaw::Outside { .. })), "{flaw:?}");
    let flaw = check_copy::<Ptr<'_, Never>>(&[], 0, [8, 0, 0, 0]).err();
    assert!(matches!(flaw, Some(Flaw::Variant { .. })), "{flaw:?}");
}

#[test]
fn options_of_structs_and_enums_travel() {
    type All<'s> = (
        Option<Json<'s>>,
        Option<Option<Json<'s>>>,
        Option<Line>,
        Option<Order<'s>>,
        Option<Option<Order<'s>>>,
        Option<Pair<u8, Option<char>>>,
    );
    assert_eq!(size_of::<Option<Json<'_>>>(), size_of::<Json<'_>>());
    let there = travel::<Slice<'_, All<'_>>>(4096, |scope| {
        let order = || -> Result<Order<'_>, ScopeError> {
            Ok(Order {
                id: 5,
                note: scope.str("note")?,
                lines: scope.slice(&[Line { sku: 1, count: 2 }])?,
                parent: None,
            })
        };
        let some = (
            Some(Json::Number(1.0)),
            Some(Some(Json::List(scope.slice_of([Json::Null])?))),
            Some(Line { sku: 8, count: 9 }),
            Some(order()?),
            Some(Some(order()?)),
            Some(Pair {
                first: 1,
                second: Some('x'),
            }),
        );
        let none = (None, None, None, None, None, None);
        let inner = (
            None,
            Some(None),
            None,
            None,
            Some(None),
            Some(Pair {
                first: 2,
                second: None,
            }),
        );
        let all: [All<'_>; 3] = [some, none, inner];
        Ok(inline(&scope.slice_of(all)?))
    })
    .expect("nothing is wrong with it");
    let [some, none, inner] = &**there.get() else {
        panic!("there were three")
    };
    assert_eq!(some.0, Some(Json::Number(1.0)));
    assert!(matches!(&some.1, Some(Some(Json::List(list))) if *list == [Json::Null]));
    assert_eq!(some.2, Some(Line { sku: 8, count: 9 }));
    assert_eq!(some.3.as_ref().expect("it was some").note, "note");
    assert_eq!(
        some.4.as_ref().and_then(|order| order.as_ref()),
        some.3.as_ref()
    );
    assert_eq!(
        some.5,
        Some(Pair {
            first: 1,
            second: Some('x')
        })
    );
    assert_eq!(*none, (None, None, None, None, None, None));
    assert_eq!(inner.1, Some(None));
    assert_eq!(inner.4, Some(None));
    assert_eq!(
        inner.5,
        Some(Pair {
            first: 2,
            second: None
        })
    );
}

/// What a [`Json`] is built from, in ordinary memory.
#[derive(Debug, Clone)]
enum Plan {
    Null,
    Number(f64),
    Member(String, u16),
    List(Vec<Plan>),
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let leaf = prop_oneof![
        Just(Plan::Null),
        any::<f64>().prop_map(Plan::Number),
        (".{0,40}", any::<u16>()).prop_map(|(name, ordinal)| Plan::Member(name, ordinal)),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop::collection::vec(inner, 0..8).prop_map(Plan::List)
    })
}

impl Plan {
    fn build<'s>(&self, scope: &'s Scope) -> Result<Json<'s>, ScopeError> {
        Ok(match self {
            Self::Null => Json::Null,
            Self::Number(number) => Json::Number(*number),
            Self::Member(name, ordinal) => Json::Member {
                name: scope.str(name)?,
                ordinal: *ordinal,
            },
            Self::List(list) => {
                let list: Result<Vec<_>, _> = list.iter().map(|plan| plan.build(scope)).collect();
                Json::List(scope.slice_of(list?)?)
            }
        })
    }

    fn is(&self, json: &Json<'_>) -> bool {
        match (self, json) {
            (Self::Null, Json::Null) => true,
            (Self::Number(own), Json::Number(other)) => own.to_bits() == other.to_bits(),
            (Self::Member(own, number), Json::Member { name, ordinal }) => {
                name == own.as_str() && ordinal == number
            }
            (Self::List(own), Json::List(other)) => {
                own.len() == other.len() && own.iter().zip(other).all(|(own, other)| own.is(other))
            }
            _ => false,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Lie {
    Word(u64),
    Pointer(u64),
    Bit(u8),
}

fn any_lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        prop_oneof![0..10_u64, any::<u64>()].prop_map(Lie::Word),
        any::<u64>().prop_map(Lie::Pointer),
        (0..64_u8).prop_map(Lie::Bit),
    ]
}

/// Reads all there is to read.
fn read_through(json: &Json<'_>) -> u64 {
    match json {
        Json::Null => 0,
        Json::Number(number) => number.to_bits(),
        Json::Member { name, ordinal } => {
            name.chars().map(u64::from).sum::<u64>() + u64::from(*ordinal)
        }
        Json::List(list) => list.iter().map(read_through).fold(1, u64::wrapping_add),
    }
}

proptest! {
    #[test]
    fn whatever_is_built_travels(plan in any_plan()) {
        let there = travel::<Json<'_>>(1 << 20, |scope| Ok(inline(&plan.build(scope)?)));
        prop_assert!(plan.is(there.expect("nothing is wrong with it").get()));
    }

    /// Some of these lies are refused, others are other truths; none does harm.
    #[test]
    fn whatever_was_changed_is_refused_or_readable(
        plan in any_plan(),
        lies in prop::collection::vec((any::<prop::sample::Index>(), any_lie()), 1..6),
    ) {
        let mut scope = Scope::private(1 << 20);
        let mut root = inline(&plan.build(&scope).expect("there is room"));
        let base = scope.address();
        let mut words: Vec<u64> = scope
            .bytes_used()
            .as_chunks()
            .0
            .iter()
            .map(|word| u64::from_ne_bytes(*word))
            .collect();
        for (place, lie) in lies {
            let places = words.len() + root.len();
            let at = place.index(places);
            let word = words.get_mut(at);
            let word = word.unwrap_or_else(|| &mut root[places - 1 - at]);
            *word = match lie {
                Lie::Word(lie) => lie,
                Lie::Pointer(grain) => base as u64 + 8 * (grain % places as u64),
                Lie::Bit(bit) => *word ^ (1 << bit),
            };
        }
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        match check_copy::<Json<'_>>(&bytes, base, root) {
            Ok(there) => {
                std::hint::black_box(read_through(there.get()));
            }
            Err(flaw) => prop_assert!(!flaw.to_string().is_empty()),
        }
    }
}
