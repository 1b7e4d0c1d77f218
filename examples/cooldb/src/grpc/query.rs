//! Queries and keys as messages, and back.

use std::borrow::Cow;

use crate::builder::Builder;
use crate::document::{Document, View};
use crate::grpc::document::Messages;
use crate::grpc::proto;
use crate::grpc::proto::filter::Condition as ConditionMessage;
use crate::grpc::proto::key::Key as KeyMessage;
use crate::grpc::proto::select::Select as SelectMessage;
use crate::query::{Condition, Filter, Key, Query, Scalar, Select};

/// What is wrong with a message that should be a query or a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The query selects nothing.
    #[error("the query does not say what to select")]
    Select,
    /// A filter has no condition.
    #[error("the filter has no condition")]
    Condition,
    /// A list or an object is to be compared.
    #[error("only null, a bool, a number or a text can be compared for equality")]
    Equal,
    /// The key is empty.
    #[error("the key says neither an id nor a field")]
    Key,
}

impl From<&Query<'_>> for proto::Query {
    fn from(query: &Query<'_>) -> Self {
        let select = match &query.select {
            Select::Documents => SelectMessage::Documents(proto::Whole {}),
            Select::Fields(paths) => SelectMessage::Fields(proto::Paths {
                paths: paths.iter().map(|path| path.clone().into_owned()).collect(),
            }),
            Select::CountBy(path) => SelectMessage::CountBy(path.clone().into_owned()),
            Select::Join { from, to } => SelectMessage::Join(proto::Join {
                from: from.clone().into_owned(),
                to: to.clone().into_owned(),
            }),
        };
        Self {
            select: Some(proto::Select {
                select: Some(select),
            }),
            filter: query.filter.as_ref().map(proto::Filter::from),
            after_id: query.after_id,
            limit: query.limit,
        }
    }
}

impl From<&Filter<'_>> for proto::Filter {
    fn from(filter: &Filter<'_>) -> Self {
        let condition = match &filter.condition {
            Condition::Equal(scalar) => ConditionMessage::Equal(scalar.into()),
            &Condition::Between { low, high } => {
                ConditionMessage::Between(proto::Range { low, high })
            }
            Condition::Contains(text) => ConditionMessage::Contains(text.clone().into_owned()),
            Condition::Mentions(text) => ConditionMessage::Mentions(text.clone().into_owned()),
        };
        Self {
            path: filter.path.clone().into_owned(),
            condition: Some(condition),
        }
    }
}

impl From<&Scalar<'_>> for proto::Json {
    fn from(scalar: &Scalar<'_>) -> Self {
        match scalar {
            Scalar::Null => Messages.null(),
            Scalar::Bool(value) => Messages.bool(*value),
            Scalar::Number(number) => Messages.number(*number),
            Scalar::Text(text) => {
                let Ok(json) = Messages.text(text);
                json
            }
        }
    }
}

impl From<&Key<'_>> for proto::Key {
    fn from(key: &Key<'_>) -> Self {
        let key = match key {
            Key::Id(id) => KeyMessage::Id(*id),
            Key::Field { path, text } => KeyMessage::Field(proto::FieldText {
                path: path.clone().into_owned(),
                text: text.clone().into_owned(),
            }),
        };
        Self { key: Some(key) }
    }
}

impl<'a> TryFrom<&'a proto::Query> for Query<'a> {
    type Error = Malformed;

    fn try_from(query: &'a proto::Query) -> Result<Self, Malformed> {
        let select = query.select.as_ref().and_then(|it| it.select.as_ref());
        let select = match select.ok_or(Malformed::Select)? {
            SelectMessage::Documents(_) => Select::Documents,
            SelectMessage::Fields(fields) => {
                Select::Fields(fields.paths.iter().map(Cow::from).collect())
            }
            SelectMessage::CountBy(path) => Select::CountBy(path.into()),
            SelectMessage::Join(join) => Select::Join {
                from: (&join.from).into(),
                to: (&join.to).into(),
            },
        };
        Ok(Self {
            select,
            filter: query.filter.as_ref().map(Filter::try_from).transpose()?,
            after_id: query.after_id,
            limit: query.limit,
        })
    }
}

impl<'a> TryFrom<&'a proto::Filter> for Filter<'a> {
    type Error = Malformed;

    fn try_from(filter: &'a proto::Filter) -> Result<Self, Malformed> {
        let condition = match filter.condition.as_ref().ok_or(Malformed::Condition)? {
            ConditionMessage::Equal(json) => Condition::Equal(match json.view() {
                View::Null => Scalar::Null,
                View::Bool(value) => Scalar::Bool(value),
                View::Number(number) => Scalar::Number(number),
                View::Text(text) => Scalar::Text(text.into()),
                View::List(_) | View::Object => return Err(Malformed::Equal),
            }),
            &ConditionMessage::Between(proto::Range { low, high }) => {
                Condition::Between { low, high }
            }
            ConditionMessage::Contains(text) => Condition::Contains(text.into()),
            ConditionMessage::Mentions(text) => Condition::Mentions(text.into()),
        };
        Ok(Self {
            path: (&filter.path).into(),
            condition,
        })
    }
}

impl<'a> TryFrom<&'a proto::Key> for Key<'a> {
    type Error = Malformed;

    fn try_from(key: &'a proto::Key) -> Result<Self, Malformed> {
        Ok(match key.key.as_ref().ok_or(Malformed::Key)? {
            KeyMessage::Id(id) => Self::Id(*id),
            KeyMessage::Field(field) => Self::Field {
                path: (&field.path).into(),
                text: (&field.text).into(),
            },
        })
    }
}
