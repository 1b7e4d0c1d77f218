//! What the derive knows of a type once it was read and found fit.

use proc_macro2::Span;
use syn::{Expr, Generics, Ident, Lifetime, Member, Type};

/// A type that can be shared, as far as its own text tells.
pub(crate) struct Model {
    pub(crate) name: Ident,
    pub(crate) generics: Generics,
    /// The lifetime of the scope that the type points into, if it points.
    pub(crate) scope: Option<Lifetime>,
    pub(crate) shape: Shape,
}

pub(crate) enum Shape {
    Struct(Fields),
    Enum(Vec<Variant>),
}

/// Fields in the order in which they are written.
pub(crate) struct Fields {
    pub(crate) list: Vec<Field>,
}

pub(crate) struct Field {
    /// Name or number, as in `value.member`.
    pub(crate) member: Member,
    pub(crate) ty: Type,
    /// Where errors about this field point: at its type.
    pub(crate) span: Span,
}

pub(crate) struct Variant {
    pub(crate) name: Ident,
    pub(crate) fields: Fields,
    /// What the user wrote after `=`.
    pub(crate) discriminant: Option<Expr>,
}

impl Model {
    /// Fields of the struct, or of all variants one after another.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &Field> {
        let groups: Vec<&Fields> = match &self.shape {
            Shape::Struct(fields) => vec![fields],
            Shape::Enum(variants) => variants.iter().map(|variant| &variant.fields).collect(),
        };
        groups.into_iter().flat_map(|fields| &fields.list)
    }
}
