//! What is measured.

use std::fmt;

use nowire_cooldb::nobench::Question;
use serde::{Serialize, Serializer};

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Case {
    /// All documents are made and handed over, a batch a call.
    Build,
    /// A document is read by its id.
    GetId,
    /// A document is read by its text in an indexed field.
    GetText,
    /// A query is answered, all pages of it.
    Search(Question),
}

impl Case {
    /// Every case, in the order in which they are measured.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let first = [Self::Build, Self::GetId, Self::GetText];
        first
            .into_iter()
            .chain(Question::ALL.into_iter().map(Self::Search))
    }

    /// A few words about it.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::Build => "all documents",
            Self::GetId => "point read by id",
            Self::GetText => "point read by indexed text",
            Self::Search(question) => question.what(),
        }
    }

    /// How often to do it, if so many documents are read by id.
    pub(crate) fn repetitions(self, reads: u32) -> u32 {
        let repetitions = match self {
            Self::Build => 1,
            Self::GetId | Self::GetText | Self::Search(Question::Q5) => reads,
            Self::Search(question) => match question {
                Question::Q1 | Question::Q2 | Question::Q3 | Question::Q4 => reads / 1000,
                question if question.is_indexed() => reads / 25,
                _ => reads / 250,
            },
        };
        repetitions.max(1)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build => f.pad("build"),
            Self::GetId => f.pad("get-id"),
            Self::GetText => f.pad("get-text"),
            Self::Search(question) => f.pad(&question.to_string().to_lowercase()),
        }
    }
}

impl Serialize for Case {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
