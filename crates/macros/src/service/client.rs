//! The clients: what calls a service in another process.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Type, parse_quote};

use super::model::{Method, ParamKind, Returns, Service};
use super::{table, types};

/// `PricingClient`, which blocks, and `PricingAsyncClient`, which awaits.
pub(super) fn generate(service: &Service) -> TokenStream {
    let blocking = blocking(service);
    let waiting = waiting(service);
    quote!(#blocking #waiting)
}

fn blocking(service: &Service) -> TokenStream {
    let client = format_ident!("{}Client", service.name);
    let docs = format!(
        " Calls a [`{}`] in another process, and blocks until it has answered.",
        service.name
    );
    let frame = frame(service, &client, &docs);
    let table = table::methods(service);
    let methods = service.methods.iter().zip(0u16..).map(|(method, number)| {
        if streams(method) {
            return exchange(method, number);
        }
        let call = call(method, number);
        let start = start(method, number);
        quote!(#call #start)
    });
    quote! {
        #frame

        #[allow(clippy::all, reason = "the signatures follow those of the trait")]
        impl #client {
            const METHODS: &'static [::nowire::macro_support::Method] = #table;

            #(#methods)*
        }
    }
}

fn waiting(service: &Service) -> TokenStream {
    let client = format_ident!("{}AsyncClient", service.name);
    let docs = format!(
        " Calls a [`{}`] in another process, and awaits its answer.",
        service.name
    );
    let frame = frame(service, &client, &docs);
    let methods = service.methods.iter().zip(0u16..).map(|(method, number)| {
        if streams(method) {
            return exchange_async(method, number);
        }
        call_async(method, number)
    });
    quote! {
        #frame

        #[allow(clippy::all, reason = "the signatures follow those of the trait")]
        impl #client {
            #(#methods)*
        }
    }
}

/// The struct, and what every client can do.
fn frame(service: &Service, client: &Ident, docs: &str) -> TokenStream {
    let visibility = &service.visibility;
    let blocking = format_ident!("{}Client", service.name);
    let name = table::name(service);
    let trait_docs = &service.docs;
    quote! {
        #[doc = #docs]
        ///
        #(#trait_docs)*
        #[derive(Clone, Debug)]
        #visibility struct #client {
            bound: ::nowire::macro_support::Bound,
        }

        impl #client {
            /// Calls the service that is reached by `channel`.
            pub fn new(channel: ::nowire::Channel) -> Self {
                Self {
                    bound: ::nowire::macro_support::Bound::new(
                        channel,
                        #name,
                        #blocking::METHODS,
                    ),
                }
            }

            /// The channel that calls go through.
            pub fn channel(&self) -> &::nowire::Channel {
                self.bound.channel()
            }

            /// A scope to build arguments in, of the channel's usual size.
            ///
            /// # Errors
            /// If the channel is closed, or its heap has reached its quota.
            pub fn scope(
                &self,
            ) -> ::core::result::Result<::nowire::Scope, ::nowire::ScopeUnavailable> {
                self.bound.scope()
            }

            /// A scope for at least `bytes` bytes of arguments.
            ///
            /// # Errors
            /// If the channel is closed, or its heap has reached its quota.
            pub fn scope_of(
                &self,
                bytes: usize,
            ) -> ::core::result::Result<::nowire::Scope, ::nowire::ScopeUnavailable> {
                self.bound.scope_of(bytes)
            }

            /// The same client, whose calls fail unless they are answered in time.
            #[must_use]
            pub fn timeout(mut self, limit: ::core::time::Duration) -> Self {
                self.bound.set_timeout(limit);
                self
            }

            /// The same client, whose calls carry one more entry of metadata.
            #[must_use]
            pub fn metadata(mut self, name: &str, value: &str) -> Self {
                self.bound.set_metadata(name, value);
                self
            }
        }
    }
}

/// A method that blocks until it is answered.
fn call(method: &Method, number: u16) -> TokenStream {
    let (name, docs) = (&method.name, &method.docs);
    let params = params(method, None);
    let output = answer(&method.returns);
    let made = made(method, quote!(call), number);
    let unit = dropped(&method.returns);
    quote! {
        #(#docs)*
        pub fn #name(&self, #(#params),*) -> #output {
            #made #unit
        }
    }
}

/// A method that is awaited; no `async fn`, whose parameters may not leave a
/// lifetime out.
fn call_async(method: &Method, number: u16) -> TokenStream {
    let (name, docs) = (&method.name, &method.docs);
    let params = params(method, None);
    let output = answer(&method.returns);
    let made = made(method, quote!(call_async), number);
    let unit = dropped(&method.returns);
    quote! {
        #(#docs)*
        pub fn #name(
            &self,
            #(#params),*
        ) -> impl ::core::future::Future<Output = #output> {
            async move { #made .await #unit }
        }
    }
}

/// A method that does not wait: several calls can be under way.
fn start(method: &Method, number: u16) -> TokenStream {
    let name = format_ident!("{}_later", method.name);
    let docs = format!(
        " Calls [`{0}`](Self::{0}) without waiting for its answer.",
        method.name
    );
    let params = params(method, Some(quote!('call)));
    let (reply, error) = (types::reply(&method.returns), types::error(&method.returns));
    let made = made(method, quote!(start), number);
    quote! {
        #[doc = #docs]
        pub fn #name<'call>(&'call self, #(#params),*) -> ::core::result::Result<
            ::nowire::Pending<'call, #reply, #error>,
            ::nowire::CallError<#error>,
        > {
            #made
        }
    }
}

/// A method with streams.
fn exchange(method: &Method, number: u16) -> TokenStream {
    let (name, docs) = (&method.name, &method.docs);
    let params = params(method, Some(quote!('call)));
    let output = exchanged(method, quote!(Exchange));
    let made = opened(method, quote!(exchange), number);
    quote! {
        #(#docs)*
        pub fn #name<'call>(&'call self, #(#params),*) -> #output {
            #made
        }
    }
}

/// A method with streams that are awaited.
fn exchange_async(method: &Method, number: u16) -> TokenStream {
    let (name, docs) = (&method.name, &method.docs);
    let params = params(method, Some(quote!('call)));
    let output = exchanged(method, quote!(AsyncExchange));
    let made = opened(method, quote!(exchange_async), number);
    quote! {
        #(#docs)*
        pub fn #name<'call>(
            &'call self,
            #(#params),*
        ) -> impl ::core::future::Future<Output = #output> {
            async move { #made.await }
        }
    }
}

/// What a method with streams gives its caller.
fn exchanged(method: &Method, exchange: TokenStream) -> TokenStream {
    let (reply, error) = (types::reply(&method.returns), types::error(&method.returns));
    let requests = types::requests(method).unwrap_or_else(unit);
    let replies = types::replies(method).unwrap_or_else(unit);
    quote! {
        ::core::result::Result<
            ::nowire::#exchange<'call, #requests, #replies, #reply, #error>,
            ::nowire::CallError<#error>,
        >
    }
}

/// Begins a call with streams, one way or the other.
fn opened(method: &Method, how: TokenStream, number: u16) -> TokenStream {
    let (reply, error) = (types::reply(&method.returns), types::error(&method.returns));
    let requests = types::requests(method).unwrap_or_else(unit);
    let replies = types::replies(method).unwrap_or_else(unit);
    let given = [&requests, &replies, &reply, &error].map(types::given);
    let (types, arguments) = lent(method);
    quote!(self.bound.#how::<#types, #(#given),*>(#number, #arguments))
}

/// Calls one of the functions of the channel that differ in how they wait.
fn made(method: &Method, how: TokenStream, number: u16) -> TokenStream {
    let reply = types::given(&types::reply(&method.returns));
    let error = types::given(&types::error(&method.returns));
    let (types, arguments) = lent(method);
    quote!(self.bound.#how::<#types, #reply, #error>(#number, #arguments))
}

/// The client's parameters; those that are borrowed live as long as `lifetime`.
fn params(method: &Method, lifetime: Option<TokenStream>) -> Vec<TokenStream> {
    method
        .arguments()
        .map(|param| {
            let name = &param.name;
            match &param.kind {
                ParamKind::Shared(ty) => {
                    let ty = types::inferred(ty);
                    quote!(#name: &#lifetime ::nowire::Ptr<'_, #ty>)
                }
                ParamKind::Kept(ty) => {
                    let lifetime = lifetime.clone().unwrap_or_else(|| quote!('_));
                    let ty = types::within(ty, &lifetime.to_string());
                    quote!(#name: ::nowire::Ptr<#lifetime, #ty>)
                }
                ParamKind::Value(ty) => {
                    let ty = types::received(ty);
                    quote!(#name: #ty)
                }
                ParamKind::Carried(ty) => quote!(#name: #ty),
                _ => TokenStream::new(),
            }
        })
        .collect()
}

/// The tuple of the arguments: its type, and itself.
fn lent(method: &Method) -> (TokenStream, TokenStream) {
    let types = types::arguments(method);
    let carries = method.has(ParamKind::is_carried);
    // No parameter can have this name.
    let attaching = Ident::new("attaching", Span::mixed_site());
    let arguments = method.arguments().map(|param| {
        let name = &param.name;
        match &param.kind {
            ParamKind::Value(_) => name.to_token_stream(),
            ParamKind::Carried(ty) => {
                quote!(::nowire::macro_support::put::<#ty>(#name, &mut #attaching))
            }
            ParamKind::Kept(_) => quote!(#name.give()),
            _ => quote!(#name.lend()),
        }
    });
    let arguments = quote!((#(#arguments,)*));
    if !carries {
        return (types, arguments);
    }
    (
        quote!(::nowire::macro_support::With<#types>),
        quote!({
            let mut #attaching = self.bound.attaching();
            let arguments = #arguments;
            ::nowire::macro_support::With(arguments, #attaching)
        }),
    )
}

fn answer(returns: &Returns) -> TokenStream {
    let error = match returns {
        Returns::Result { .. } => {
            let error = types::error(returns);
            quote!(::nowire::CallError<#error>)
        }
        Returns::Unit | Returns::Value(_) => quote!(::nowire::CallError),
    };
    if is_unit(returns) {
        return quote!(::core::result::Result<(), #error>);
    }
    let reply = types::reply(returns);
    let reply = if types::is_carried(&reply) {
        quote!(#reply)
    } else {
        quote_spanned!(reply.span()=> ::nowire::Reply<#reply>)
    };
    quote!(::core::result::Result<#reply, #error>)
}

/// What makes nothing of a reply that holds nothing.
fn dropped(returns: &Returns) -> TokenStream {
    if is_unit(returns) {
        quote!(.map(::core::mem::drop))
    } else {
        quote!()
    }
}

fn is_unit(returns: &Returns) -> bool {
    matches!(returns, Returns::Unit | Returns::Result { ok: None, .. })
}

fn unit() -> Type {
    parse_quote!(())
}

fn streams(method: &Method) -> bool {
    method.has(ParamKind::is_replies) || method.has(ParamKind::is_requests)
}
