//! Making JSON values in some representation.

use crate::document::{DEPTH_LIMIT, Document, View};

/// Makes JSON values of one representation, piece by piece and each where it is
/// to stay.
pub trait Builder {
    /// A value.
    type Json;
    /// A list that is being made.
    type List;
    /// An object that is being made of fields with such names.
    type Object<'n>;
    /// Why a value cannot be made.
    type Error;

    /// `null`.
    fn null(&self) -> Self::Json;
    /// `true` or `false`.
    fn bool(&self, value: bool) -> Self::Json;
    /// A number.
    fn number(&self, value: f64) -> Self::Json;

    /// A string.
    ///
    /// # Errors
    /// If there is no room for it.
    fn text(&self, text: &str) -> Result<Self::Json, Self::Error>;

    /// Begins a list of so many items.
    fn begin_list(&self, items: usize) -> Self::List;

    /// Adds an item to a list.
    fn item(&self, list: &mut Self::List, item: Self::Json);

    /// The list with the items it was given.
    ///
    /// # Errors
    /// If there is no room for it.
    fn end_list(&self, list: Self::List) -> Result<Self::Json, Self::Error>;

    /// Begins an object of so many fields.
    fn begin_object<'n>(&self, fields: usize) -> Self::Object<'n>;

    /// Adds a field to an object. The names must come in ascending order.
    fn field<'n>(&self, object: &mut Self::Object<'n>, name: &'n str, value: Self::Json);

    /// The object with the fields it was given.
    ///
    /// # Errors
    /// If there is no room for it.
    fn end_object(&self, object: Self::Object<'_>) -> Result<Self::Json, Self::Error>;

    /// Makes the value that another representation holds. What lies deeper than
    /// [`DEPTH_LIMIT`] becomes `null`.
    ///
    /// # Errors
    /// If there is no room for it.
    fn copy<D: Document>(&self, from: &D) -> Result<Self::Json, Self::Error> {
        copy(self, from, DEPTH_LIMIT)
    }
}

fn copy<B: Builder + ?Sized, D: Document>(
    builder: &B,
    from: &D,
    depth: usize,
) -> Result<B::Json, B::Error> {
    match from.view() {
        View::Null => Ok(builder.null()),
        View::Bool(value) => Ok(builder.bool(value)),
        View::Number(number) => Ok(builder.number(number)),
        View::Text(text) => builder.text(text),
        View::List(_) | View::Object if depth == 0 => Ok(builder.null()),
        View::List(items) => {
            let mut list = builder.begin_list(items.len());
            for item in items {
                builder.item(&mut list, copy(builder, item, depth - 1)?);
            }
            builder.end_list(list)
        }
        View::Object => {
            let fields = from.fields();
            let mut object = builder.begin_object(fields.len());
            for (name, value) in fields {
                builder.field(&mut object, name, copy(builder, value, depth - 1)?);
            }
            builder.end_object(object)
        }
    }
}
