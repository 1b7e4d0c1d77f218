//! Documents in a program's own memory: what an answer is compared with.

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::builder::Builder;
use crate::document::{Document, View};
use crate::store::Batch;

/// A JSON value of ordinary Rust types.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Json {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// The same value, from another representation.
    pub fn of(document: &impl Document) -> Self {
        let Ok(json) = Plain.copy(document);
        json
    }
}

impl Document for Json {
    fn view(&self) -> View<'_, Self> {
        match self {
            Self::Null => View::Null,
            Self::Bool(value) => View::Bool(*value),
            Self::Number(number) => View::Number(*number),
            Self::Text(text) => View::Text(text),
            Self::List(items) => View::List(items),
            Self::Object(_) => View::Object,
        }
    }

    fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.get(name),
            _ => None,
        }
    }

    fn fields(&self) -> impl ExactSizeIterator<Item = (&str, &Self)> {
        static NONE: BTreeMap<String, Json> = BTreeMap::new();
        let fields = match self {
            Self::Object(fields) => fields,
            _ => &NONE,
        };
        fields.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl Batch for Vec<Json> {
    type Document<'a> = Json;

    fn documents(&self) -> &[Json] {
        self
    }
}

/// Makes [`Json`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Builder for Plain {
    type Json = Json;
    type List = Vec<Json>;
    type Object<'n> = BTreeMap<String, Json>;
    type Error = Infallible;

    fn null(&self) -> Json {
        Json::Null
    }

    fn bool(&self, value: bool) -> Json {
        Json::Bool(value)
    }

    fn number(&self, value: f64) -> Json {
        Json::Number(value)
    }

    fn text(&self, text: &str) -> Result<Json, Infallible> {
        Ok(Json::Text(text.to_owned()))
    }

    fn begin_list(&self, items: usize) -> Vec<Json> {
        Vec::with_capacity(items)
    }

    fn item(&self, list: &mut Vec<Json>, item: Json) {
        list.push(item);
    }

    fn end_list(&self, list: Vec<Json>) -> Result<Json, Infallible> {
        Ok(Json::List(list))
    }

    fn begin_object<'n>(&self, _fields: usize) -> Self::Object<'n> {
        BTreeMap::new()
    }

    fn field<'n>(&self, object: &mut Self::Object<'n>, name: &'n str, value: Json) {
        object.insert(name.to_owned(), value);
    }

    fn end_object(&self, object: BTreeMap<String, Json>) -> Result<Json, Infallible> {
        Ok(Json::Object(object))
    }
}
