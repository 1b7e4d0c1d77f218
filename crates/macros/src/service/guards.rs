//! What the compiler is asked to refuse, because the text of a trait alone does
//! not show it.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned;

use crate::paths;

use super::model::{Method, ParamKind, Returns, Runs, Service};
use super::types;

/// Values that travel by themselves, and so must not point.
pub(super) fn generate(service: &Service) -> TokenStream {
    let guards = service.methods.iter().flat_map(of_method);
    quote!(#(#guards)*)
}

fn of_method(method: &Method) -> Vec<TokenStream> {
    let mut guards = Vec::new();
    for param in &method.params {
        if let ParamKind::Value(ty) = &param.kind {
            guards.push(no_pointers(
                ty,
                "an argument that points cannot be passed by value: write `&T`, which is read \
                 where the caller built it",
            ));
        }
    }
    if !method.has(ParamKind::is_scope)
        && let Returns::Value(ty) | Returns::Result { ok: Some(ty), .. } = &method.returns
        && !types::is_carried(ty)
    {
        guards.push(no_pointers(
            ty,
            match method.runs {
                Runs::Task => {
                    "a reply that points is built in a scope: take `out: &'r mut Scope`, and \
                     return a type that names 'r"
                }
                Runs::Polling | Runs::Pool => {
                    "a reply that points is built in a scope: take `out: &'r Scope`, and return \
                     a type that names 'r"
                }
            },
        ));
    }
    if let Returns::Result { error, .. } = &method.returns {
        guards.push(no_pointers(
            error,
            "an error that points cannot travel: make it plain data, such as a code",
        ));
    }
    guards
}

fn no_pointers(ty: &Type, message: &str) -> TokenStream {
    let shared = paths::shared(&types::received(ty));
    quote_spanned! {ty.span()=>
        const _: () = ::core::assert!(!#shared::POINTERS, #message);
    }
}
