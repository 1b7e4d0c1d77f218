//! The server's side: what takes arguments, calls the handler and replies.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Index};

use super::model::{Hold, Method, Param, ParamKind, Returns, Runs, Service, Waits};
use super::{table, types};

/// `PricingServer<T>`, which serves any `T: Pricing`.
pub(super) fn generate(service: &Service) -> TokenStream {
    let trait_name = &service.name;
    let server = format_ident!("{trait_name}Server");
    let client = format_ident!("{trait_name}Client");
    let visibility = &service.visibility;
    let name = table::name(service);
    let docs = format!(" Serves a [`{trait_name}`] to other processes.");
    let calls = arms(service, |runs| runs != Runs::Task);
    let tasks = arms(service, |runs| runs == Runs::Task);
    let by_value = quote! {
        #[allow(dead_code, reason = "methods may have no such argument")]
        fn by_value<Value: ::core::marker::Copy>(value: &Value) -> Value {
            *value
        }
    };
    let trait_docs = &service.docs;
    quote! {
        #[doc = #docs]
        ///
        #(#trait_docs)*
        #[derive(Debug)]
        #visibility struct #server<T> {
            service: T,
        }

        impl<T: #trait_name> #server<T> {
            /// Serves `service`; give it to a [`nowire::Server`].
            pub fn new(service: T) -> Self {
                Self { service }
            }
        }

        #[allow(clippy::all, reason = "the calls follow the signatures of the trait")]
        impl<T: #trait_name> ::nowire::macro_support::Service for #server<T> {
            fn name(&self) -> &'static str {
                #name
            }

            fn methods(&self) -> &'static [::nowire::macro_support::Method] {
                #client::METHODS
            }

            fn call(&self, method: u16, mut call: ::nowire::macro_support::Call) {
                #by_value
                match method {
                    #(#calls)*
                    _ => {}
                }
            }

            fn task(
                self: ::std::sync::Arc<Self>,
                method: u16,
                mut call: ::nowire::macro_support::Call,
            ) -> ::nowire::macro_support::Task {
                #by_value
                match method {
                    #(#tasks)*
                    _ => ::std::boxed::Box::pin(async {}),
                }
            }
        }
    }
}

/// A match arm for each method that runs as `wanted`.
fn arms(service: &Service, wanted: impl Fn(Runs) -> bool) -> Vec<TokenStream> {
    service
        .methods
        .iter()
        .zip(0u16..)
        .filter(|(method, _)| wanted(method.runs))
        .map(|(method, number)| {
            let body = body(service, method);
            match method.runs {
                Runs::Task => quote! {
                    #number => ::std::boxed::Box::pin(async move { #body }),
                },
                Runs::Polling | Runs::Pool => quote!(#number => { #body }),
            }
        })
        .collect()
}

fn body(service: &Service, method: &Method) -> TokenStream {
    let trait_name = &service.name;
    let name = &method.name;
    let arguments = types::arguments(method);
    let binds = method.arguments().enumerate();
    let binds: Vec<Ident> = binds.map(|(at, param)| bound(param, at)).collect();
    let mut before = TokenStream::new();
    let mut passed = Vec::new();
    let mut at = 0;
    for param in &method.params {
        let (ready, pass) = prepare(param, at);
        before.extend(ready);
        passed.push(pass);
        at += usize::from(param.kind.is_argument());
    }
    let awaited = (method.runs == Runs::Task).then(|| quote!(.await));
    // The stream ends before its call does.
    let after = method
        .has(ParamKind::is_replies)
        .then(|| quote!(::core::mem::drop(replies);));
    // Once its call is answered, the caller may give the memory of the arguments
    // back to the system; here, on the polling thread, that is noticed later.
    let done = (method.runs != Runs::Polling).then(|| quote!(::core::mem::drop(args);));
    let reply = reply(method);
    // The handler's name keeps its own span, so that an error about a parameter
    // points at the method.
    let call = quote_spanned!(name.span()=> <T as #trait_name>::#name);
    quote! {
        let ::core::option::Option::Some(args) = call.take::<#arguments>() else {
            return;
        };
        #before
        let (#(#binds,)*) = args.get();
        let value = #call(&self.service, #(#passed),*) #awaited;
        #after
        #done
        #reply
    }
}

/// What comes before the handler for one parameter, and what it is given.
fn prepare(param: &Param, at: usize) -> (TokenStream, TokenStream) {
    let bound = bound(param, at);
    match &param.kind {
        ParamKind::Context => (quote!(), quote!(call.context())),
        ParamKind::Scope(hold) => {
            let (bind, pass) = match hold {
                Hold::Shared => (quote!(out), quote!(&out)),
                Hold::Alone => (quote!(mut out), quote!(&mut out)),
            };
            (
                quote! {
                    let ::core::option::Option::Some(#bind) = call.scope() else {
                        return;
                    };
                },
                pass,
            )
        }
        ParamKind::Shared(_) => (quote!(), quote!(#bound)),
        // The error of a type that is not `Copy` points at the type.
        ParamKind::Value(ty) => (quote!(), quote_spanned!(ty.span()=> by_value(#bound))),
        ParamKind::Carried(ty) => {
            let carried = Ident::new(&format!("nowire_carried_{at}"), Span::mixed_site());
            let index = Index::from(at);
            (
                quote! {
                    let ::core::option::Option::Some(#carried) =
                        call.attached::<#ty>(args.get().#index)
                    else {
                        return;
                    };
                },
                quote!(#carried),
            )
        }
        ParamKind::Kept(ty) => {
            let ty = types::given(ty);
            let kept = Ident::new(&format!("nowire_kept_{at}"), Span::mixed_site());
            let index = Index::from(at);
            (
                quote!(let #kept = call.kept::<_, #ty>(&args, |args| &args.#index);),
                quote!(#kept),
            )
        }
        ParamKind::Replies(ty, waits) => {
            let ty = types::given(ty);
            let made = match waits {
                Waits::Blocking => quote!(replies),
                Waits::Awaiting => quote!(async_replies),
            };
            (
                quote!(let mut replies = call.#made::<#ty>();),
                quote!(&mut replies),
            )
        }
        ParamKind::Requests(ty, waits) => {
            let ty = types::given(ty);
            let made = match waits {
                Waits::Blocking => quote!(requests),
                Waits::Awaiting => quote!(async_requests),
            };
            (
                quote!(let requests = call.#made::<#ty>();),
                quote!(requests),
            )
        }
    }
}

fn reply(method: &Method) -> TokenStream {
    let good = match &method.returns {
        Returns::Value(ty) | Returns::Result { ok: Some(ty), .. } if types::is_carried(ty) => {
            quote!(call.reply_attached::<#ty>(value))
        }
        _ if method.has(ParamKind::is_scope) => quote!(call.reply_in(value)),
        _ => quote!(call.reply(value)),
    };
    match &method.returns {
        Returns::Unit | Returns::Value(_) => quote!(#good;),
        Returns::Result { .. } => quote! {
            match value {
                ::core::result::Result::Ok(value) => #good,
                ::core::result::Result::Err(error) => call.reply_error(error),
            }
        },
    }
}

/// The name of the argument at this place.
fn bound(param: &Param, at: usize) -> Ident {
    let span = match &param.kind {
        ParamKind::Value(ty) => ty.span(),
        _ => Span::mixed_site(),
    };
    Ident::new(&format!("nowire_argument_{at}"), span)
}
