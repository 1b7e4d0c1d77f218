//! What can be asked of a store.

use std::borrow::Cow;

use crate::document::{Document, View};

/// A question, and which part of its answer is wanted.
///
/// Documents answer in ascending order of their ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Query<'a> {
    /// What to say of each document that is found.
    pub select: Select<'a>,
    /// Which documents to find; all of them, if not set.
    pub filter: Option<Filter<'a>>,
    /// Only documents with greater ids: where the page before ended. A count
    /// takes every document all the same.
    pub after_id: Option<u32>,
    /// Most rows of a page; 0 counts as 1.
    pub limit: u32,
}

/// What to say of each document that is found. A path names a field, or with dots
/// between the names a field of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Select<'a> {
    /// All of it.
    Documents,
    /// The values at these paths.
    Fields(Vec<Cow<'a, str>>),
    /// Nothing, but how many there are of each bool, number, text or null at this
    /// path. A document that has nothing there, or a list or an object, is not
    /// counted.
    CountBy(Cow<'a, str>),
    /// All of it, and all of each document that has at one path the text that it
    /// has at another. One that matches nothing is left out.
    Join {
        /// Where a found document has the text.
        from: Cow<'a, str>,
        /// Where the others have it.
        to: Cow<'a, str>,
    },
}

/// Which documents to find: those whose value at a path meets a condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter<'a> {
    /// Where the value is.
    pub path: Cow<'a, str>,
    /// What it must be.
    pub condition: Condition<'a>,
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition<'a> {
    /// This value.
    Equal(Scalar<'a>),
    /// A number in this range.
    Between {
        /// The least it may be.
        low: f64,
        /// The most it may be.
        high: f64,
    },
    /// A list with this text in it.
    Contains(Cow<'a, str>),
    /// A text with this text in it.
    Mentions(Cow<'a, str>),
}

/// A value that others can be compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string.
    Text(Cow<'a, str>),
}

/// Which document to read.
#[derive(Clone, Debug, PartialEq)]
pub enum Key<'a> {
    /// The one with this id.
    Id(u32),
    /// The first that has a text at a path.
    Field {
        /// Where.
        path: Cow<'a, str>,
        /// What.
        text: Cow<'a, str>,
    },
}

impl Condition<'_> {
    /// Whether a value is so.
    pub fn holds_for<D: Document>(&self, value: &D) -> bool {
        match (self, value.view()) {
            (Self::Equal(Scalar::Null), View::Null) => true,
            (Self::Equal(Scalar::Bool(wanted)), View::Bool(found)) => *wanted == found,
            (Self::Equal(Scalar::Number(wanted)), View::Number(found)) => *wanted == found,
            (Self::Equal(Scalar::Text(wanted)), View::Text(found)) => wanted == found,
            (Self::Between { low, high }, View::Number(found)) => *low <= found && found <= *high,
            (Self::Contains(wanted), View::List(items)) => items
                .iter()
                .any(|item| item.view().text() == Some(wanted.as_ref())),
            (Self::Mentions(wanted), View::Text(found)) => found.contains(wanted.as_ref()),
            _ => false,
        }
    }
}
