use std::borrow::Cow;
use std::fmt;

use crate::nobench::collection::{Collection, SPARSE_VALUES};
use crate::nobench::random::Random;
use crate::nobench::text::{SPARSE_FIELDS, WORDS, encoded, sparse_name, word};
use crate::query::{Condition, Filter, Query, Scalar, Select};

/// A kind of query: NoBench's first eleven, and one that looks for a part of a
/// text. (The twelfth adds documents.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// Two fields of all documents.
    Q1,
    /// Two nested fields of all documents.
    Q2,
    /// Two sparse fields of one cluster, of all documents.
    Q3,
    /// Two sparse fields of two clusters, of all documents.
    Q4,
    /// The document with a text in `str1`.
    Q5,
    /// A thousandth of the documents, by a range of `num`.
    Q6,
    /// A thousandth of the documents, by a range of `dyn1`.
    Q7,
    /// A thousandth of the documents, by a word of `nested_arr`.
    Q8,
    /// A thousandth of the documents, by a sparse field.
    Q9,
    /// How many documents there are of each `thousandth`, in a tenth of them.
    Q10,
    /// A thousandth of the documents, each with the one it names in
    /// `nested_obj.str`.
    Q11,
    /// Documents with four letters in `str2`.
    Text,
}

impl Question {
    /// Every kind, in NoBench's order.
    pub const ALL: [Self; 12] = [
        Self::Q1,
        Self::Q2,
        Self::Q3,
        Self::Q4,
        Self::Q5,
        Self::Q6,
        Self::Q7,
        Self::Q8,
        Self::Q9,
        Self::Q10,
        Self::Q11,
        Self::Text,
    ];

    /// What it asks, in a few words.
    pub fn what(self) -> &'static str {
        match self {
            Self::Q1 => "fields",
            Self::Q2 => "nested fields",
            Self::Q3 => "sparse fields, one cluster",
            Self::Q4 => "sparse fields, two clusters",
            Self::Q5 => "text, by index",
            Self::Q6 => "range, by index",
            Self::Q7 => "range of changing type",
            Self::Q8 => "word in a list",
            Self::Q9 => "sparse field",
            Self::Q10 => "count by group",
            Self::Q11 => "join, by indexes",
            Self::Text => "part of a text",
        }
    }

    /// Whether an index says which documents answer.
    pub fn is_indexed(self) -> bool {
        matches!(self, Self::Q5 | Self::Q6 | Self::Q10 | Self::Q11)
    }

    /// The query of this kind with the given number, which decides what is looked
    /// for: the same for the same collection.
    pub fn query(self, collection: &Collection, number: u32) -> Query<'static> {
        let mut random = Random::of(!collection.seed(), u64::from(number));
        let documents = collection.documents();
        let mut range = |path, share: u32| {
            let width = documents.div_ceil(share);
            let low = random.below(documents - width + 1);
            filter(
                path,
                Condition::Between {
                    low: f64::from(low),
                    high: f64::from(low + width - 1),
                },
            )
        };
        let (select, filter) = match self {
            Self::Q1 => (fields("str1", "num"), None),
            Self::Q2 => (fields("nested_obj.str", "nested_obj.num"), None),
            Self::Q3 => {
                let first = random.below(SPARSE_FIELDS / 10) * 10;
                (fields(sparse_name(first), sparse_name(first + 9)), None)
            }
            Self::Q4 => {
                let first = random.below(SPARSE_FIELDS / 10) * 10;
                (fields(sparse_name(first), sparse_name(first + 500)), None)
            }
            Self::Q5 => {
                let text = encoded(random.below(documents));
                let condition = Condition::Equal(Scalar::Text(text.into()));
                (Select::Documents, Some(filter("str1", condition)))
            }
            Self::Q6 => (Select::Documents, Some(range("num", 1000))),
            Self::Q7 => (Select::Documents, Some(range("dyn1", 1000))),
            Self::Q8 => {
                let condition = Condition::Contains(word(random.below(WORDS)).into());
                (Select::Documents, Some(filter("nested_arr", condition)))
            }
            Self::Q9 => {
                let name = sparse_name(random.below(SPARSE_FIELDS));
                let text = encoded(random.below(SPARSE_VALUES));
                let condition = Condition::Equal(Scalar::Text(text.into()));
                (Select::Documents, Some(filter(name, condition)))
            }
            Self::Q10 => (Select::CountBy("thousandth".into()), Some(range("num", 10))),
            Self::Q11 => {
                let select = Select::Join {
                    from: "nested_obj.str".into(),
                    to: "str1".into(),
                };
                (select, Some(range("num", 1000)))
            }
            Self::Text => {
                let text = encoded(random.below(collection.shared_texts()));
                let part: String = text.chars().skip(1).take(4).collect();
                let condition = Condition::Mentions(part.into());
                (fields("str2", "num"), Some(filter("str2", condition)))
            }
        };
        Query {
            select,
            filter,
            after_id: None,
            limit: u32::MAX,
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.pad("text"),
            question => f.pad(&format!("{question:?}")),
        }
    }
}

fn fields(one: &'static str, other: &'static str) -> Select<'static> {
    Select::Fields(vec![Cow::Borrowed(one), Cow::Borrowed(other)])
}

fn filter(path: &'static str, condition: Condition<'static>) -> Filter<'static> {
    Filter {
        path: path.into(),
        condition,
    }
}
