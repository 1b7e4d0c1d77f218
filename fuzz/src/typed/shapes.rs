//! Types of every shape.

use std::num::NonZero;

use nowire::{HashMap, Map, Ptr, Shared, Slice, Str};

use super::raw::{Raw, Walk};

/// Plain data, with padding.
#[derive(Clone, Copy, Debug, PartialEq, Shared)]
pub(super) struct Plain {
    /// A number.
    pub(super) wide: u64,
    /// A bool.
    pub(super) flag: bool,
    /// A char.
    pub(super) letter: char,
    /// An enum.
    pub(super) color: Color,
    /// A tuple with padding.
    pub(super) pair: (u8, u32),
    /// An array of bools.
    pub(super) flags: [bool; 3],
    /// Never 0.
    pub(super) count: NonZero<u32>,
    /// A number with a fraction.
    pub(super) real: f64,
}

/// An enum without data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Shared)]
#[repr(u8)]
#[allow(dead_code, reason = "the fuzzer makes it")]
pub(super) enum Color {
    /// 3.
    Red = 3,
    /// 4.
    Green,
    /// 200.
    Blue = 200,
}

/// An enum with data, that points.
#[derive(Debug, PartialEq, Shared)]
#[repr(u8)]
pub(super) enum Enum<'s> {
    /// Nothing.
    Null,
    /// A bool.
    Bool(bool),
    /// Plain data.
    Plain(u16, Plain),
    /// Text.
    Text(Str<'s>),
    /// More of them.
    List(Slice<'s, Enum<'s>>),
    /// One more.
    Boxed {
        /// Behind a tag of an own number.
        small: u8,
        /// The one.
        next: Ptr<'s, Enum<'s>>,
    } = 100,
}

/// Slices within slices.
#[derive(Debug, PartialEq, Shared)]
pub(super) struct Slices<'s> {
    /// Slices of slices of text.
    pub(super) texts: Slice<'s, Slice<'s, Str<'s>>>,
    /// Slices of bools.
    pub(super) flags: Slice<'s, Slice<'s, (u8, bool)>>,
}

/// A tree.
#[derive(Debug, PartialEq, Shared)]
pub(super) struct Tree<'s> {
    /// Its name.
    pub(super) name: Str<'s>,
    /// What is on the left.
    pub(super) left: Option<Ptr<'s, Tree<'s>>>,
    /// What is on the right.
    pub(super) right: Option<Ptr<'s, Tree<'s>>>,
    /// What is below.
    pub(super) below: Slice<'s, Tree<'s>>,
    /// A leaf.
    pub(super) leaf: Option<char>,
}

/// Options of all layouts.
#[derive(Debug, PartialEq, Shared)]
pub(super) struct Options<'s> {
    /// With a tag.
    pub(super) number: Option<u32>,
    /// With a tag of a byte.
    pub(super) byte: Option<u8>,
    /// In the bits that a bool leaves.
    pub(super) flag: Option<bool>,
    /// Twice so.
    pub(super) flags: Option<Option<bool>>,
    /// In the numbers that are no char.
    pub(super) letter: Option<char>,
    /// In the variants that there are not.
    pub(super) color: Option<Color>,
    /// In the zero.
    pub(super) count: Option<NonZero<u32>>,
    /// In the null.
    pub(super) text: Option<Str<'s>>,
    /// In the null of an inner field.
    pub(super) pair: Option<(u16, Ptr<'s, Plain>)>,
    /// In the bits that an inner field leaves.
    pub(super) plain: Option<Plain>,
    /// With a tag before 16 bytes.
    pub(super) wide: Option<u128>,
}

/// Maps.
#[derive(Debug, PartialEq, Shared)]
pub(super) struct Maps<'s> {
    /// By text, in order.
    pub(super) ordered: Map<'s, Str<'s>, Option<bool>>,
    /// By number, by hash.
    pub(super) hashed: HashMap<'s, u32, Str<'s>>,
    /// In a map.
    pub(super) inner: Map<'s, u16, HashMap<'s, Str<'s>, char>>,
}

impl Walk for Plain {
    fn walk(&self, raw: &mut Raw) {
        self.wide.walk(raw);
        self.flag.walk(raw);
        self.letter.walk(raw);
        self.color.walk(raw);
        self.pair.walk(raw);
        self.flags.walk(raw);
        self.count.walk(raw);
        if !self.real.is_nan() {
            self.real.walk(raw);
        }
    }
}

impl Walk for Color {
    fn walk(&self, raw: &mut Raw) {
        let tag = raw.byte(self);
        assert!([3, 4, 200].contains(&tag), "a color of {tag}");
        let expected = match self {
            Self::Red => 3,
            Self::Green => 4,
            Self::Blue => 200,
        };
        assert_eq!(tag, expected);
    }
}

impl Walk for Enum<'_> {
    fn walk(&self, raw: &mut Raw) {
        let expected = match self {
            Self::Null => 0,
            Self::Bool(flag) => {
                flag.walk(raw);
                1
            }
            Self::Plain(number, plain) => {
                number.walk(raw);
                plain.walk(raw);
                2
            }
            Self::Text(text) => {
                text.walk(raw);
                3
            }
            Self::List(list) => {
                list.walk(raw);
                4
            }
            Self::Boxed { small, next } => {
                small.walk(raw);
                next.walk(raw);
                100
            }
        };
        assert_eq!(raw.byte(self), expected, "the tag of another variant");
    }
}

impl Walk for Slices<'_> {
    fn walk(&self, raw: &mut Raw) {
        self.texts.walk(raw);
        self.flags.walk(raw);
    }
}

impl Walk for Tree<'_> {
    fn walk(&self, raw: &mut Raw) {
        self.name.walk(raw);
        for side in [&self.left, &self.right] {
            assert_eq!(side.is_none(), raw.number(side) == 0);
            if let Some(side) = side {
                side.walk(raw);
            }
        }
        self.below.walk(raw);
        some(&self.leaf, raw);
    }
}

/// What an option holds.
fn some<T: Walk>(option: &Option<T>, raw: &mut Raw) {
    if let Some(value) = option {
        value.walk(raw);
    }
}

impl Walk for Options<'_> {
    fn walk(&self, raw: &mut Raw) {
        for (is_some, tag) in [
            (self.number.is_some(), raw.byte(&self.number)),
            (self.byte.is_some(), raw.byte(&self.byte)),
            (self.wide.is_some(), raw.byte(&self.wide)),
        ] {
            assert_eq!(u8::from(is_some), tag, "an option that is neither");
        }
        assert!(raw.byte(&self.flag) <= 2);
        assert!(raw.byte(&self.flags) <= 3);
        some(&self.number, raw);
        some(&self.byte, raw);
        some(&self.wide, raw);
        some(&self.letter, raw);
        some(&self.color, raw);
        assert_eq!(self.count.is_none(), raw.number(&self.count) == 0);
        some(&self.text, raw);
        some(&self.pair, raw);
        some(&self.plain, raw);
    }
}

impl Walk for Maps<'_> {
    fn walk(&self, raw: &mut Raw) {
        // Values of a map are found by their entries; the options among them have
        // no bytes of their own to be asked for.
        self.ordered.walk(raw);
        self.hashed.walk(raw);
        self.inner.walk(raw);
    }
}

impl Walk for Option<bool> {
    fn walk(&self, raw: &mut Raw) {
        assert!(raw.byte(self) <= 2, "neither a bool nor none");
    }
}
