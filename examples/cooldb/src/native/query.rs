//! Queries and keys in a scope.

use std::borrow::Cow;

use nowire::{Scope, ScopeError, Shared, Slice, Str};

use crate::query;

/// A [`query::Query`] in a scope.
#[derive(Debug, Shared)]
pub struct Query<'s> {
    /// What to say of each document that is found.
    pub select: Select<'s>,
    /// Which documents to find.
    pub filter: Option<Filter<'s>>,
    /// Where the page before ended.
    pub after_id: Option<u32>,
    /// Most rows of a page.
    pub limit: u32,
}

/// A [`query::Select`] in a scope.
#[derive(Debug, Shared)]
#[repr(u8)]
pub enum Select<'s> {
    /// All of it.
    Documents,
    /// The values at these paths.
    Fields(Slice<'s, Str<'s>>),
    /// How many there are of each value at this path.
    CountBy(Str<'s>),
    /// All of it, and of those that have its text elsewhere.
    Join {
        /// Where a found document has the text.
        from: Str<'s>,
        /// Where the others have it.
        to: Str<'s>,
    },
}

/// A [`query::Filter`] in a scope.
#[derive(Debug, Shared)]
pub struct Filter<'s> {
    /// Where the value is.
    pub path: Str<'s>,
    /// What it must be.
    pub condition: Condition<'s>,
}

/// A [`query::Condition`] in a scope.
#[derive(Debug, Shared)]
#[repr(u8)]
pub enum Condition<'s> {
    /// This value.
    Equal(Scalar<'s>),
    /// A number in this range.
    Between {
        /// The least it may be.
        low: f64,
        /// The most it may be.
        high: f64,
    },
    /// A list with this text in it.
    Contains(Str<'s>),
    /// A text with this text in it.
    Mentions(Str<'s>),
}

/// A [`query::Scalar`] in a scope.
#[derive(Debug, Shared)]
#[repr(u8)]
pub enum Scalar<'s> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string.
    Text(Str<'s>),
}

/// A [`query::Key`] in a scope.
#[derive(Debug, Shared)]
#[repr(u8)]
pub enum Key<'s> {
    /// The document with this id.
    Id(u32),
    /// The first that has a text at a path.
    Field {
        /// Where.
        path: Str<'s>,
        /// What.
        text: Str<'s>,
    },
}

impl<'s> Query<'s> {
    /// Builds a query.
    ///
    /// # Errors
    /// If the scope has no room for it.
    pub fn build(scope: &'s Scope, from: &query::Query<'_>) -> Result<Self, ScopeError> {
        let filter = from.filter.as_ref();
        Ok(Self {
            select: Select::build(scope, &from.select)?,
            filter: filter.map(|it| Filter::build(scope, it)).transpose()?,
            after_id: from.after_id,
            limit: from.limit,
        })
    }

    /// The query, with its texts where they are.
    pub fn read(&self) -> query::Query<'_> {
        query::Query {
            select: match &self.select {
                Select::Documents => query::Select::Documents,
                Select::Fields(paths) => {
                    query::Select::Fields(paths.iter().map(|path| borrowed(path)).collect())
                }
                Select::CountBy(path) => query::Select::CountBy(borrowed(path)),
                Select::Join { from, to } => query::Select::Join {
                    from: borrowed(from),
                    to: borrowed(to),
                },
            },
            filter: self.filter.as_ref().map(Filter::read),
            after_id: self.after_id,
            limit: self.limit,
        }
    }
}

impl<'s> Select<'s> {
    fn build(scope: &'s Scope, from: &query::Select<'_>) -> Result<Self, ScopeError> {
        Ok(match from {
            query::Select::Documents => Self::Documents,
            query::Select::Fields(paths) => {
                let paths: Result<Vec<_>, _> = paths.iter().map(|path| scope.str(path)).collect();
                Self::Fields(scope.slice_of(paths?)?)
            }
            query::Select::CountBy(path) => Self::CountBy(scope.str(path)?),
            query::Select::Join { from, to } => Self::Join {
                from: scope.str(from)?,
                to: scope.str(to)?,
            },
        })
    }
}

impl<'s> Filter<'s> {
    fn build(scope: &'s Scope, from: &query::Filter<'_>) -> Result<Self, ScopeError> {
        let condition = match &from.condition {
            query::Condition::Equal(scalar) => Condition::Equal(match scalar {
                query::Scalar::Null => Scalar::Null,
                query::Scalar::Bool(value) => Scalar::Bool(*value),
                query::Scalar::Number(number) => Scalar::Number(*number),
                query::Scalar::Text(text) => Scalar::Text(scope.str(text)?),
            }),
            &query::Condition::Between { low, high } => Condition::Between { low, high },
            query::Condition::Contains(text) => Condition::Contains(scope.str(text)?),
            query::Condition::Mentions(text) => Condition::Mentions(scope.str(text)?),
        };
        Ok(Self {
            path: scope.str(&from.path)?,
            condition,
        })
    }

    fn read(&self) -> query::Filter<'_> {
        let condition = match &self.condition {
            Condition::Equal(scalar) => query::Condition::Equal(match scalar {
                Scalar::Null => query::Scalar::Null,
                Scalar::Bool(value) => query::Scalar::Bool(*value),
                Scalar::Number(number) => query::Scalar::Number(*number),
                Scalar::Text(text) => query::Scalar::Text(borrowed(text)),
            }),
            &Condition::Between { low, high } => query::Condition::Between { low, high },
            Condition::Contains(text) => query::Condition::Contains(borrowed(text)),
            Condition::Mentions(text) => query::Condition::Mentions(borrowed(text)),
        };
        query::Filter {
            path: borrowed(&self.path),
            condition,
        }
    }
}

impl<'s> Key<'s> {
    /// Builds a key.
    ///
    /// # Errors
    /// If the scope has no room for it.
    pub fn build(scope: &'s Scope, from: &query::Key<'_>) -> Result<Self, ScopeError> {
        Ok(match from {
            query::Key::Id(id) => Self::Id(*id),
            query::Key::Field { path, text } => Self::Field {
                path: scope.str(path)?,
                text: scope.str(text)?,
            },
        })
    }

    /// The key, with its texts where they are.
    pub fn read(&self) -> query::Key<'_> {
        match self {
            Self::Id(id) => query::Key::Id(*id),
            Self::Field { path, text } => query::Key::Field {
                path: borrowed(path),
                text: borrowed(text),
            },
        }
    }
}

fn borrowed<'a>(text: &'a Str<'_>) -> Cow<'a, str> {
    Cow::Borrowed(text)
}
