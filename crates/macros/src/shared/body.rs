//! The items of an implementation of `Shared`, and what structs and enums say
//! alike in them.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{GenericParam, Ident, Member, parse_quote};

use crate::paths;

use super::model::{Field, Model};

/// What stands inside each item of the implementation.
pub(super) struct Body {
    pub(super) dense: TokenStream,
    pub(super) plain: TokenStream,
    pub(super) pointers: TokenStream,
    pub(super) sample: TokenStream,
    pub(super) niches: TokenStream,
    pub(super) check: TokenStream,
    pub(super) write: TokenStream,
    pub(super) lies_in: TokenStream,
    pub(super) describe: TokenStream,
}

/// A field's type as `Shared`.
pub(super) fn shared(field: &Field) -> TokenStream {
    paths::shared(&field.ty)
}

/// A field's type as a function of types gets it: with another lifetime, which
/// makes no difference to such a function.
pub(super) fn given(field: &Field) -> TokenStream {
    paths::at(&field.ty, &parse_quote!('static))
}

/// Whether fields fill a value from the first byte to the last, after as many
/// bytes of tag as `tag_bytes` says.
pub(super) fn is_dense(tag_bytes: &TokenStream, fields: &[Field]) -> TokenStream {
    let sizes = fields.iter().map(|field| {
        let ty = &field.ty;
        quote!(+ ::core::mem::size_of::<#ty>())
    });
    let dense = fields.iter().map(shared);
    quote! {
        ::core::mem::size_of::<Self>() == #tag_bytes #(#sizes)* #(&& #dense::DENSE)*
    }
}

/// Whether any field points.
pub(super) fn has_pointers<'f>(fields: impl IntoIterator<Item = &'f Field>) -> TokenStream {
    let pointers = fields.into_iter().map(shared);
    quote!(false #(|| #pointers::POINTERS)*)
}

/// A value of `constructor` made of samples.
pub(super) fn sample(constructor: &TokenStream, fields: &[Field]) -> TokenStream {
    let samples = fields.iter().map(|field| {
        let (shared, member) = (shared(field), &field.member);
        quote!(#member: unsafe { #shared::SAMPLE.assume_init() })
    });
    quote!(::core::mem::MaybeUninit::new(#constructor { #(#samples),* }))
}

/// A name as layouts have it.
pub(super) fn text(name: &Ident) -> String {
    name.unraw().to_string()
}

/// The functions that name a type's own arguments in its layout.
pub(super) fn parameters(model: &Model) -> TokenStream {
    let functions = model
        .generics
        .params
        .iter()
        .filter_map(|param| match param {
            GenericParam::Lifetime(_) => None,
            GenericParam::Type(param) => {
                let name = &param.ident;
                Some(quote!(<#name as ::nowire::Shared>::describe))
            }
            GenericParam::Const(param) => {
                let name = &param.ident;
                Some(quote!(|_| ::std::string::ToString::to_string(&#name)))
            }
        });
    quote!(&[#(#functions),*])
}

/// The description of a field that begins at `offset`.
pub(super) fn described(field: &Field, offset: &TokenStream) -> TokenStream {
    let ty = given(field);
    let name = match &field.member {
        Member::Named(name) => text(name),
        Member::Unnamed(number) => number.index.to_string(),
    };
    quote!(fields.field::<#ty>(#name, #offset);)
}
