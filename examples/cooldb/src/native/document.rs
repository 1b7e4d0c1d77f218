use std::cell::Cell;
use std::ops::Bound::{Excluded, Unbounded};

use nowire::{Kept, Map, Scope, ScopeError, Shared, Slice, Str};

use crate::builder::Builder;
use crate::document::{Document, View};
use crate::store::Batch;

/// A JSON value in a scope.
#[derive(Debug, PartialEq, Shared)]
#[repr(u8)]
pub enum Json<'s> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string.
    Text(Str<'s>),
    /// An array.
    List(Slice<'s, Json<'s>>),
    /// An object.
    Object(Map<'s, Str<'s>, Json<'s>>),
}

impl Document for Json<'_> {
    #[inline]
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

    #[inline]
    fn field(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.get(name),
            _ => None,
        }
    }

    #[inline]
    fn field_near(&self, name: &str, place: &Cell<usize>) -> Option<&Self> {
        let Self::Object(fields) = self else {
            return None;
        };
        let value_at = |place| {
            let (found, value) = fields.iter().nth(place)?;
            (**found == *name).then_some(value)
        };
        value_at(place.get()).or_else(|| {
            let before = fields.range::<str, _>((Unbounded, Excluded(name)));
            let value = value_at(before.len())?;
            place.set(before.len());
            Some(value)
        })
    }

    fn fields(&self) -> impl ExactSizeIterator<Item = (&str, &Self)> {
        let none = const { &Map::empty() };
        let fields = match self {
            Self::Object(fields) => fields,
            _ => none,
        };
        fields.iter().map(|(name, value)| (&**name, value))
    }
}

/// Documents where a client built them, or in the copy that was made of them.
impl Batch for Kept<Slice<'static, Json<'static>>> {
    type Document<'a> = Json<'a>;

    #[inline]
    fn documents(&self) -> &[Json<'_>] {
        self.get()
    }
}

/// Documents in a scope of this process.
impl<'s> Batch for Vec<Json<'s>> {
    type Document<'a>
        = Json<'s>
    where
        Self: 'a;

    fn documents(&self) -> &[Json<'s>] {
        self
    }
}

/// Makes [`Json`] in a scope.
#[derive(Clone, Copy, Debug)]
pub struct InScope<'s>(pub &'s Scope);

impl<'s> Builder for InScope<'s> {
    type Json = Json<'s>;
    type List = Vec<Json<'s>>;
    type Object<'n> = Vec<(&'n str, Json<'s>)>;
    type Error = ScopeError;

    #[inline]
    fn null(&self) -> Json<'s> {
        Json::Null
    }

    #[inline]
    fn bool(&self, value: bool) -> Json<'s> {
        Json::Bool(value)
    }

    #[inline]
    fn number(&self, value: f64) -> Json<'s> {
        Json::Number(value)
    }

    #[inline]
    fn text(&self, text: &str) -> Result<Json<'s>, ScopeError> {
        self.0.str(text).map(Json::Text)
    }

    #[inline]
    fn begin_list(&self, items: usize) -> Self::List {
        Vec::with_capacity(items)
    }

    #[inline]
    fn item(&self, list: &mut Self::List, item: Json<'s>) {
        list.push(item);
    }

    #[inline]
    fn end_list(&self, list: Self::List) -> Result<Json<'s>, ScopeError> {
        self.0.slice_of(list).map(Json::List)
    }

    #[inline]
    fn begin_object<'n>(&self, fields: usize) -> Self::Object<'n> {
        Vec::with_capacity(fields)
    }

    #[inline]
    fn field<'n>(&self, object: &mut Self::Object<'n>, name: &'n str, value: Json<'s>) {
        object.push((name, value));
    }

    #[inline]
    fn end_object(&self, object: Self::Object<'_>) -> Result<Json<'s>, ScopeError> {
        // All names first: who looks for one finds them on a few cache lines,
        // and the fields on those that follow.
        let named = object
            .into_iter()
            .map(|(name, value)| Ok((self.0.str(name)?, value)))
            .collect::<Result<Vec<_>, ScopeError>>()?;
        self.0.map(named).map(Json::Object)
    }
}
