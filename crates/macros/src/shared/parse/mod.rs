//! Reads a type's definition and refuses what cannot be shared, at the place
//! and with the way out.

use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Data, DeriveInput, Error, Generics, Lifetime, Meta, Result, Token, Type};

use crate::errors::Errors;

use super::model::{Field, Fields, Model, Shape, Variant};

/// Reads `input`; every error it finds is reported, not just the first.
pub(crate) fn parse(input: DeriveInput) -> Result<Model> {
    let mut errors = Errors::default();
    let scope = errors.keep(scope_lifetime(&input.generics)).flatten();
    let shape = match &input.data {
        Data::Struct(data) => {
            errors.keep(check_struct_repr(&input.attrs));
            Shape::Struct(fields(&data.fields))
        }
        Data::Enum(data) => {
            errors.keep(check_enum_repr(&input));
            if data.variants.is_empty() {
                errors.push(Error::new(
                    input.ident.span(),
                    "an enum without variants has no values and cannot be Shared",
                ));
            }
            Shape::Enum(data.variants.iter().map(variant).collect())
        }
        Data::Union(data) => {
            return Err(Error::new(
                data.union_token.span,
                "a union cannot be Shared: nothing says which of its fields holds a value. \
                 Use an enum with #[repr(u8)]",
            ));
        }
    };
    let model = Model {
        name: input.ident,
        generics: input.generics,
        scope,
        shape,
    };
    for field in model.fields() {
        PrivatePointers(&mut errors).visit_type(&field.ty);
        OtherLifetimes(&mut errors).visit_type(&field.ty);
    }
    errors.finish(model)
}

/// The one lifetime parameter that a type may have.
fn scope_lifetime(generics: &Generics) -> Result<Option<Lifetime>> {
    let mut lifetimes = generics.lifetimes();
    let first = lifetimes.next();
    if let Some(second) = lifetimes.next() {
        return Err(Error::new(
            second.lifetime.span(),
            "a Shared type has at most one lifetime parameter, that of the scope it lies in: \
             use the same lifetime for every Ptr, Slice, Str and map in it",
        ));
    }
    Ok(first.map(|param| param.lifetime.clone()))
}

/// The words inside all `#[repr(...)]` attributes.
fn repr_words(attributes: &[Attribute]) -> Result<Vec<Meta>> {
    let mut words = Vec::new();
    for attribute in attributes {
        if attribute.path().is_ident("repr") {
            words.extend(
                attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?,
            );
        }
    }
    Ok(words)
}

fn check_struct_repr(attributes: &[Attribute]) -> Result<()> {
    for word in repr_words(attributes)? {
        if word.path().is_ident("packed") {
            return Err(Error::new(
                word.span(),
                "a packed struct cannot be Shared, because nobody may refer to its unaligned \
                 fields: remove `packed`, or make each such field an array of bytes",
            ));
        }
    }
    Ok(())
}

fn check_enum_repr(input: &DeriveInput) -> Result<()> {
    let words = repr_words(&input.attrs)?;
    if words.is_empty() {
        return Err(Error::new(
            input.ident.span(),
            format!(
                "a Shared enum needs a layout that both sides agree on: write #[repr(u8)] above \
                 `enum {}`",
                input.ident
            ),
        ));
    }
    for word in words {
        if !word.path().is_ident("u8") {
            return Err(Error::new(
                word.span(),
                "a Shared enum is #[repr(u8)] and nothing else: one byte of tag, then the fields",
            ));
        }
    }
    Ok(())
}

fn variant(variant: &syn::Variant) -> Variant {
    Variant {
        name: variant.ident.clone(),
        fields: fields(&variant.fields),
        discriminant: variant
            .discriminant
            .as_ref()
            .map(|(_, value)| value.clone()),
    }
}

fn fields(fields: &syn::Fields) -> Fields {
    let list = fields
        .members()
        .zip(fields)
        .map(|(member, field)| Field {
            member,
            ty: field.ty.clone(),
            span: field.ty.span(),
        })
        .collect();
    Fields { list }
}

/// Finds pointers into private memory that show in the text of a type. What
/// hides behind a name, such as `Box` and `String`, does not implement `Shared`.
struct PrivatePointers<'e>(&'e mut Errors);

impl<'ast> Visit<'ast> for PrivatePointers<'_> {
    fn visit_type(&mut self, ty: &'ast Type) {
        let message = match ty {
            Type::Reference(reference) => match &*reference.elem {
                Type::Path(path) if path.path.is_ident("str") => {
                    "a reference points into private memory, where the other side cannot follow: \
                     use Str<'s>, built by `scope.str(..)`"
                }
                Type::Slice(_) => {
                    "a reference points into private memory, where the other side cannot follow: \
                     use Slice<'s, T>, built by `scope.slice(..)`"
                }
                _ => {
                    "a reference points into private memory, where the other side cannot follow: \
                     use Ptr<'s, T>, built by `scope.build(..)`"
                }
            },
            Type::Ptr(_) => {
                "a raw pointer means nothing to the other side: use Ptr<'s, T>, built by \
                 `scope.build(..)`"
            }
            Type::BareFn(_) => {
                "a function's address means nothing to the other side: use an enum that names \
                 what is to be done"
            }
            Type::TraitObject(_) => {
                "a trait object holds the address of private code: use an enum with #[repr(u8)]"
            }
            _ => return visit::visit_type(self, ty),
        };
        self.0.push(Error::new(ty.span(), message));
    }
}

/// Finds `'static`: what arrives lives as long as its scope, and no longer.
struct OtherLifetimes<'e>(&'e mut Errors);

impl<'ast> Visit<'ast> for OtherLifetimes<'_> {
    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident == "static" {
            self.0.push(Error::new(
                lifetime.span(),
                "what a Shared type points to lives as long as its scope: give the type a \
                 lifetime parameter 's, and write 's here",
            ));
        }
    }

    fn visit_type_reference(&mut self, _: &'ast syn::TypeReference) {
        // Refused as a whole.
    }
}

#[cfg(test)]
mod tests;
