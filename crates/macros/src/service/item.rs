//! The trait as handlers see it.

use quote::quote;
use syn::{ItemTrait, ReturnType, TraitItem, parse_quote};

/// `item` without Nowire's attributes, able to serve many threads, and with
/// futures that a multi-threaded runtime can run.
pub(crate) fn for_handlers(mut item: ItemTrait) -> ItemTrait {
    item.colon_token.get_or_insert_with(Default::default);
    item.supertraits.push(parse_quote!(::core::marker::Send));
    item.supertraits.push(parse_quote!(::core::marker::Sync));
    item.supertraits.push(parse_quote!('static));
    for part in &mut item.items {
        let TraitItem::Fn(function) = part else {
            continue;
        };
        function
            .attrs
            .retain(|attribute| !attribute.path().is_ident("nowire"));
        if function.sig.asyncness.take().is_some() {
            let output = match &function.sig.output {
                ReturnType::Default => quote!(()),
                ReturnType::Type(_, ty) => quote!(#ty),
            };
            function.sig.output = parse_quote! {
                -> impl ::core::future::Future<Output = #output> + ::core::marker::Send
            };
            if let Some(body) = &function.default {
                function.default = Some(parse_quote!({ async move #body }));
            }
        }
    }
    item
}
