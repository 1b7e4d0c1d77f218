//! Reading a JSON value wherever it lies and whatever holds it.

use std::cell::Cell;
use std::hash::Hasher;

/// Deepest nesting that a document may have: a number alone is 0 deep, a list of
/// numbers 1. What recurses over documents counts on it.
pub const DEPTH_LIMIT: usize = 64;

/// A JSON value in some representation, read where it lies.
///
/// An object has each name once, and [`fields`](Self::fields) are in ascending
/// order of their names.
pub trait Document: Sized {
    /// What it is. The answer borrows from it; nothing is copied.
    fn view(&self) -> View<'_, Self>;

    /// The value that an object has under this name. Nothing, if it has none or
    /// this is no object.
    fn field(&self, name: &str) -> Option<&Self>;

    /// The same, for who looks for a name in one object after the other: `place`
    /// is where it was among the fields of the last, and is told where it is
    /// among these, by representations that can make use of it.
    #[inline]
    fn field_near(&self, name: &str, place: &Cell<usize>) -> Option<&Self> {
        let _ = place;
        self.field(name)
    }

    /// Names and values of an object; of anything else, none.
    fn fields(&self) -> impl ExactSizeIterator<Item = (&str, &Self)>;

    /// The value at a path, a list of names with dots between them. A name with a
    /// dot in it has no path.
    fn at(&self, path: &str) -> Option<&Self> {
        path.split('.')
            .try_fold(self, |value, name| value.field(name))
    }

    /// Whether it is nested this deep at most.
    fn is_within_depth(&self, limit: usize) -> bool {
        match self.view() {
            View::List(items) => limit
                .checked_sub(1)
                .is_some_and(|limit| items.iter().all(|item| item.is_within_depth(limit))),
            View::Object => limit
                .checked_sub(1)
                .is_some_and(|limit| self.fields().all(|(_, value)| value.is_within_depth(limit))),
            _ => true,
        }
    }

    /// Reads the whole of it into a hash. Equal values have equal digests in every
    /// representation; what lies deeper than [`DEPTH_LIMIT`] is left out.
    fn digest(&self, into: &mut impl Hasher) {
        digest(self, into, DEPTH_LIMIT);
    }
}

/// What a JSON value is. An object is read through the [`Document`] itself.
#[derive(Debug)]
pub enum View<'a, D> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string.
    Text(&'a str),
    /// An array.
    List(&'a [D]),
    /// An object.
    Object,
}

impl<'a, D> View<'a, D> {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

fn digest<D: Document>(document: &D, into: &mut impl Hasher, depth: usize) {
    match document.view() {
        View::Null => into.write_u8(0),
        View::Bool(value) => into.write_u8(1 + u8::from(value)),
        View::Number(number) => into.write_u64(number.to_bits()),
        View::Text(text) => {
            into.write_usize(text.len());
            into.write(text.as_bytes());
        }
        View::List(items) => {
            into.write_usize(items.len());
            if let Some(depth) = depth.checked_sub(1) {
                for item in items {
                    digest(item, into, depth);
                }
            }
        }
        View::Object => {
            let fields = document.fields();
            into.write_usize(fields.len());
            if let Some(depth) = depth.checked_sub(1) {
                for (name, value) in fields {
                    into.write(name.as_bytes());
                    digest(value, into, depth);
                }
            }
        }
    }
}
