//! What `Shared` says of a struct.

use proc_macro2::TokenStream;
use quote::quote;

use super::body::{self, Body};
use super::model::{Field, Fields, Model};

pub(super) fn body(model: &Model, fields: &Fields) -> Body {
    let list = &fields.list;
    let plain = list.iter().map(|field| {
        let shared = body::shared(field);
        quote!(&& #shared::PLAIN)
    });
    let niches = list.iter().map(|field| {
        let (ty, offset) = (body::given(field), offset(field));
        quote!(.with::<#ty>(#offset))
    });
    let checks = list.iter().map(|field| {
        let (shared, member) = (body::shared(field), &field.member);
        quote!(unsafe { #shared::check(checker, &raw mut (*at).#member) }?;)
    });
    let writes = list.iter().map(|field| {
        let (shared, member) = (body::shared(field), &field.member);
        quote!(unsafe { #shared::write(&self.#member, &raw mut (*into).#member) };)
    });
    let lies_in = list.iter().map(|field| {
        let (shared, member) = (body::shared(field), &field.member);
        quote!(&& #shared::lies_in(&self.#member, bounds))
    });
    let (name, parameters) = (body::text(&model.name), body::parameters(model));
    let described = list
        .iter()
        .map(|field| body::described(field, &offset(field)));
    Body {
        dense: body::is_dense(&quote!(0), list),
        plain: quote!(true #(#plain)*),
        pointers: body::has_pointers(list),
        sample: body::sample(&quote!(Self), list),
        niches: quote!(::nowire::macro_support::Niches::NONE #(#niches)*),
        check: quote!(#(#checks)* ::core::result::Result::Ok(())),
        write: quote!(#(#writes)*),
        lies_in: quote!(true #(#lies_in)*),
        describe: quote! {
            schema.structure::<Self>(#name, #parameters, |fields| { #(#described)* })
        },
    }
}

fn offset(field: &Field) -> TokenStream {
    let member = &field.member;
    quote!(::core::mem::offset_of!(Self, #member))
}
