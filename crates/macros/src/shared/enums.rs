//! What `Shared` says of an enum with `repr(u8)`: a byte of tag, then the fields
//! of the variant, in order, each at the next place that its alignment allows.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::Ident;

use super::body::{self, Body};
use super::model::{Field, Model, Variant};

pub(super) fn body(model: &Model, variants: &[Variant]) -> Body {
    let fields = variants.iter().flat_map(|variant| &variant.fields.list);
    let dense = variants.iter().map(|variant| {
        let dense = body::is_dense(&quote!(1), &variant.fields.list);
        quote!(&& #dense)
    });
    let simplest = variants
        .iter()
        .min_by_key(|variant| variant.fields.list.len())
        .map(|variant| {
            let name = &variant.name;
            body::sample(&quote!(Self::#name), &variant.fields.list)
        });
    let checks = variants.iter().enumerate().map(check);
    let writes = variants.iter().enumerate().map(write);
    let lies_in = variants.iter().map(lies_in);
    let (name, parameters) = (body::text(&model.name), body::parameters(model));
    let described = variants.iter().enumerate().map(described);
    Body {
        dense: quote!(true #(#dense)*),
        plain: quote!(false),
        pointers: body::has_pointers(fields),
        sample: quote!(#simplest),
        niches: quote!(::nowire::macro_support::Niches::whole(1)),
        check: quote! {
            let tag = unsafe { at.cast::<u8>().read() };
            match tag {
                #(#checks)*
                _ => {
                    return ::core::result::Result::Err(checker.no_variant::<Self>(at, tag));
                }
            }
            ::core::result::Result::Ok(())
        },
        write: quote!(match self { #(#writes)* }),
        lies_in: quote!(match self { #(#lies_in)* }),
        describe: quote! {
            schema.enumeration::<Self>(#name, #parameters, |variants| { #(#described)* })
        },
    }
}

/// Constants: the tag of each variant, as the language numbers them.
pub(super) fn tags(variants: &[Variant]) -> TokenStream {
    let tags = variants.iter().enumerate().map(|(at, variant)| {
        let name = tag(at);
        let value = match (&variant.discriminant, at) {
            (Some(value), _) => quote!(#value),
            (None, 0) => quote!(0),
            (None, _) => {
                let before = tag(at - 1);
                quote!(#before + 1)
            }
        };
        quote!(const #name: u8 = #value;)
    });
    quote!(#(#tags)*)
}

fn tag(at: usize) -> Ident {
    format_ident!("NOWIRE_TAG_{at}")
}

fn check((at, variant): (usize, &Variant)) -> TokenStream {
    let tag = tag(at);
    let checks = places(variant).map(|(field, offset)| {
        let (shared, ty) = (body::shared(field), &field.ty);
        quote!(unsafe { #shared::check(checker, at.byte_add(#offset).cast::<#ty>()) }?;)
    });
    quote!(#tag => { #(#checks)* })
}

fn write((at, variant): (usize, &Variant)) -> TokenStream {
    let tag = tag(at);
    let name = &variant.name;
    let members = variant.fields.list.iter().map(|field| &field.member);
    let bindings = bindings(variant);
    let writes = places(variant)
        .zip(&bindings)
        .map(|((field, offset), binding)| {
            let (shared, ty) = (body::shared(field), &field.ty);
            quote!(unsafe { #shared::write(#binding, into.byte_add(#offset).cast::<#ty>()) };)
        });
    quote! {
        Self::#name { #(#members: #bindings),* } => {
            unsafe { into.cast::<u8>().write(#tag) };
            #(#writes)*
        }
    }
}

fn lies_in(variant: &Variant) -> TokenStream {
    let name = &variant.name;
    let members = variant.fields.list.iter().map(|field| &field.member);
    let bindings = bindings(variant);
    let lie = variant
        .fields
        .list
        .iter()
        .zip(&bindings)
        .map(|(field, binding)| {
            let shared = body::shared(field);
            quote!(&& #shared::lies_in(#binding, bounds))
        });
    quote!(Self::#name { #(#members: #bindings),* } => true #(#lie)*,)
}

fn described((at, variant): (usize, &Variant)) -> TokenStream {
    let (tag, name) = (tag(at), body::text(&variant.name));
    let fields = places(variant).map(|(field, offset)| body::described(field, &offset));
    quote!(variants.variant(#name, #tag, |fields| { #(#fields)* });)
}

fn bindings(variant: &Variant) -> Vec<Ident> {
    (0..variant.fields.list.len())
        .map(|at| format_ident!("nowire_field_{at}"))
        .collect()
}

/// Each field with the constant that says where it begins.
fn places(variant: &Variant) -> impl Iterator<Item = (&Field, TokenStream)> {
    let mut end = quote!(1);
    variant.fields.list.iter().map(move |field| {
        let ty = &field.ty;
        let start = quote!(::nowire::macro_support::field_offset::<#ty>(#end));
        end = quote!(#start + ::core::mem::size_of::<#ty>());
        (field, quote!(const { #start }))
    })
}
