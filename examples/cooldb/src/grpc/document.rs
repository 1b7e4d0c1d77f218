use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::builder::Builder;
use crate::document::{Document, View};
use crate::grpc::proto::json::Kind;
use crate::grpc::proto::{Json, List, Object};
use crate::store::Batch;

impl Document for Json {
    fn view(&self) -> View<'_, Self> {
        match &self.kind {
            None => View::Null,
            Some(Kind::Bool(value)) => View::Bool(*value),
            Some(Kind::Number(number)) => View::Number(*number),
            Some(Kind::Text(text)) => View::Text(text),
            Some(Kind::List(list)) => View::List(&list.items),
            Some(Kind::Object(_)) => View::Object,
        }
    }

    fn field(&self, name: &str) -> Option<&Self> {
        match &self.kind {
            Some(Kind::Object(object)) => object.fields.get(name),
            _ => None,
        }
    }

    fn fields(&self) -> impl ExactSizeIterator<Item = (&str, &Self)> {
        static NONE: BTreeMap<String, Json> = BTreeMap::new();
        let fields = match &self.kind {
            Some(Kind::Object(object)) => &object.fields,
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

/// Makes messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Messages;

impl Builder for Messages {
    type Json = Json;
    type List = Vec<Json>;
    type Object<'n> = BTreeMap<String, Json>;
    type Error = Infallible;

    fn null(&self) -> Json {
        Json { kind: None }
    }

    fn bool(&self, value: bool) -> Json {
        Kind::Bool(value).into()
    }

    fn number(&self, value: f64) -> Json {
        Kind::Number(value).into()
    }

    fn text(&self, text: &str) -> Result<Json, Infallible> {
        Ok(Kind::Text(text.to_owned()).into())
    }

    fn begin_list(&self, items: usize) -> Vec<Json> {
        Vec::with_capacity(items)
    }

    fn item(&self, list: &mut Vec<Json>, item: Json) {
        list.push(item);
    }

    fn end_list(&self, items: Vec<Json>) -> Result<Json, Infallible> {
        Ok(Kind::List(List { items }).into())
    }

    fn begin_object<'n>(&self, _fields: usize) -> Self::Object<'n> {
        BTreeMap::new()
    }

    fn field<'n>(&self, object: &mut Self::Object<'n>, name: &'n str, value: Json) {
        object.insert(name.to_owned(), value);
    }

    fn end_object(&self, fields: BTreeMap<String, Json>) -> Result<Json, Infallible> {
        Ok(Kind::Object(Object { fields }).into())
    }
}

impl From<Kind> for Json {
    fn from(kind: Kind) -> Self {
        Self { kind: Some(kind) }
    }
}
