//! `#[derive(Shared)]`: a type that other processes can read where it lies.

mod at;
mod body;
mod enums;
mod guards;
mod model;
mod parse;
mod structs;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Result, parse_quote};

use at::Scoped;
use body::Body;
use model::Shape;

/// The implementation of `Shared` for the type in `input`.
pub(crate) fn expand(input: DeriveInput) -> Result<TokenStream> {
    let model = parse::parse(input)?;
    let scoped = Scoped::of(&model);
    let (tags, body) = match &model.shape {
        Shape::Struct(fields) => (TokenStream::new(), structs::body(&model, fields)),
        Shape::Enum(variants) => (enums::tags(variants), enums::body(&model, variants)),
    };
    let Body {
        dense,
        plain,
        pointers,
        sample,
        niches,
        check,
        write,
        lies_in,
        describe,
    } = body;
    let name = &model.name;
    let at = parse_quote!('nowire_to);
    let moved = scoped.arguments(&at);
    let (parameters, arguments, clause) = scoped.generics.split_for_impl();
    let guards = guards::generate(&model, &scoped);
    Ok(quote! {
        #[allow(clippy::all, reason = "the derive writes what its rules ask for")]
        const _: () = {
            #tags

            #[automatically_derived]
            unsafe impl #parameters ::nowire::Shared for #name #arguments #clause {
                type At<#at> = #name #moved;

                const DENSE: bool = #dense;
                const PLAIN: bool = #plain;
                const POINTERS: bool = #pointers;
                const SAMPLE: ::core::mem::MaybeUninit<Self> = #sample;
                const NICHES: ::nowire::macro_support::Niches = #niches;

                #[inline]
                unsafe fn check(
                    checker: &mut ::nowire::macro_support::Checker<'_>,
                    at: *mut Self,
                ) -> ::core::result::Result<(), ::nowire::macro_support::Refused> {
                    #check
                }

                #[inline]
                unsafe fn write(&self, into: *mut Self) {
                    #write
                }

                #[inline]
                fn lies_in(&self, bounds: &::nowire::macro_support::Bounds) -> bool {
                    #lies_in
                }

                fn describe(
                    schema: &mut ::nowire::macro_support::Schema,
                ) -> ::std::string::String {
                    #describe
                }
            }

            #guards
        };
    })
}
