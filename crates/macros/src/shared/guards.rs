//! What the compiler is asked to refuse, because the text of a type alone does
//! not show it.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Generics, Lifetime, parse_quote};

use crate::paths;

use super::at::Scoped;
use super::model::Model;

pub(super) fn generate(model: &Model, scoped: &Scoped<'_>) -> TokenStream {
    let moves = fields_move(model, scoped);
    let drop = no_drop(model, scoped);
    quote!(#moves #drop)
}

/// A field that stays behind when its type moves to another scope would let a
/// reader hold on to what is no longer there.
fn fields_move(model: &Model, scoped: &Scoped<'_>) -> TokenStream {
    let at: Lifetime = parse_quote!('nowire_to);
    let mut generics: Generics = scoped.generics.clone();
    generics.params.insert(0, parse_quote!(#at));
    let (parameters, _, clause) = generics.split_for_impl();
    let moves = model.fields().enumerate().map(|(number, field)| {
        let function = format_ident!("field_{number}_moves_with_its_scope");
        let (given, moved) = (paths::at(&field.ty, &at), scoped.moved(&field.ty, &at));
        quote_spanned! {field.span=>
            fn #function #parameters (moved: #given) -> #moved #clause {
                moved
            }
        }
    });
    quote! {
        #(
            #[allow(dead_code, reason = "compiled, and never called")]
            #moves
        )*
    }
}

/// Whoever reads a value never drops it.
fn no_drop(model: &Model, scoped: &Scoped<'_>) -> TokenStream {
    let name = &model.name;
    if scoped.generics.params.len() > usize::from(model.scope.is_some()) {
        let (parameters, arguments, clause) = scoped.generics.split_for_impl();
        let refused = quote_spanned! {name.span()=>
            impl #parameters ASharedTypeMustNotImplementDrop for #name #arguments #clause {}
        };
        return quote! {
            trait ASharedTypeMustNotImplementDrop {}

            #[allow(drop_bounds, reason = "it is Drop itself that is refused")]
            impl<Any: ::core::ops::Drop> ASharedTypeMustNotImplementDrop for Any {}

            #refused
        };
    }
    let at: Lifetime = parse_quote!('static);
    let arguments = scoped.arguments(&at);
    let fields = model.fields().map(|field| scoped.moved(&field.ty, &at));
    let message = format!(
        "`{name}` implements Drop, but whoever reads a Shared value never drops it: remove \
         `impl Drop for {name}`"
    );
    quote_spanned! {name.span()=>
        const _: () = ::core::assert!(
            // What its fields need is said at the fields.
            !::core::mem::needs_drop::<#name #arguments>()
                #(|| ::core::mem::needs_drop::<#fields>())*,
            #message
        );
    }
}
