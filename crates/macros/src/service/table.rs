//! The methods of a service, as both sides compare them when they meet.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Type;
use syn::ext::IdentExt;

use super::model::{Method, ParamKind, Returns, Runs, Service};
use super::types;

/// An expression: a slice of all methods, in the order of their numbers.
pub(super) fn methods(service: &Service) -> TokenStream {
    let methods = service.methods.iter().map(entry);
    quote!(&[#(#methods),*])
}

/// The name by which a client asks for the service.
pub(super) fn name(service: &Service) -> String {
    service.name.unraw().to_string()
}

fn entry(method: &Method) -> TokenStream {
    let name = method.name.unraw().to_string();
    let runs = match method.runs {
        Runs::Polling => quote!(Here),
        Runs::Pool => quote!(Pool),
        Runs::Task => quote!(Task),
    };
    let arguments = layout(types::arguments(method));
    let reply = layout(types::rooted(&types::reply(&method.returns)));
    let error = optional(match &method.returns {
        Returns::Result { .. } => Some(types::error(&method.returns)),
        Returns::Unit | Returns::Value(_) => None,
    });
    let requests = optional(types::requests(method));
    let replies = optional(types::replies(method));
    let keeps = method
        .params
        .iter()
        .any(|param| matches!(param.kind, ParamKind::Kept(_)));
    quote! {
        ::nowire::macro_support::Method {
            name: #name,
            runs: ::nowire::macro_support::Runs::#runs,
            args: #arguments,
            reply: #reply,
            error: #error,
            requests: #requests,
            replies: #replies,
            keeps: #keeps,
        }
    }
}

/// A closure, in which the lifetimes of `ty` are inferred.
fn layout(ty: TokenStream) -> TokenStream {
    quote!(|| ::nowire::Layout::of::<#ty>())
}

fn optional(ty: Option<Type>) -> TokenStream {
    match ty {
        Some(ty) => {
            let layout = layout(types::rooted(&ty));
            quote!(::core::option::Option::Some(#layout))
        }
        None => quote!(::core::option::Option::None),
    }
}
