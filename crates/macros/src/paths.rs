//! The user's types as paths into `Shared`.
//!
//! A type that is not `Shared` is reported once for each way in which generated
//! code needs it to be. Named by such a path it is always needed in the same way,
//! at the same place, and the compiler reports it once.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Lifetime, Type};

/// `<T as Shared>`, to which a member can be added; errors point at the type.
pub(crate) fn shared(ty: &Type) -> TokenStream {
    path(ty, &quote!())
}

/// `T` in the scope `at`.
pub(crate) fn at(ty: &Type, at: &Lifetime) -> TokenStream {
    path(ty, &quote!(::At<#at>))
}

/// A path that begins where the type begins, and ends where it ends.
fn path(ty: &Type, rest: &TokenStream) -> TokenStream {
    let first = ty.span();
    let last = ty.to_token_stream().into_iter().last();
    let last = last.map_or(first, |token| token.span());
    let head = quote_spanned!(first=> <);
    let tail = quote_spanned!(last=> as ::nowire::Shared>);
    let rest = rest.clone().into_iter().map(|mut token| {
        token.set_span(last);
        token
    });
    quote!(#head #ty #tail #(#rest)*)
}
