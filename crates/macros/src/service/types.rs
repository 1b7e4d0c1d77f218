//! The user's types as generated code writes them.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Lifetime, Type, parse_quote};

use crate::paths;

use super::model::{Method, ParamKind, Returns};

/// `ty` with every lifetime that it names replaced by `lifetime`.
pub(super) fn within(ty: &Type, lifetime: &str) -> Type {
    struct Rename<'l>(&'l str);

    impl VisitMut for Rename<'_> {
        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            *lifetime = Lifetime::new(self.0, lifetime.span());
        }

        fn visit_type_reference_mut(&mut self, reference: &mut syn::TypeReference) {
            reference
                .lifetime
                .get_or_insert_with(|| Lifetime::new(self.0, Span::call_site()));
            visit_mut::visit_type_reference_mut(self, reference);
        }
    }

    let mut ty = ty.clone();
    Rename(lifetime).visit_type_mut(&mut ty);
    ty
}

/// `ty` where its lifetimes are inferred: in a function's parameters.
pub(super) fn inferred(ty: &Type) -> Type {
    within(ty, "'_")
}

/// `ty` as what is received is named: its own lifetime is given where it is read.
pub(super) fn received(ty: &Type) -> Type {
    within(ty, "'static")
}

/// Whether it goes ahead of a message, which only names it.
pub(super) fn is_carried(ty: &Type) -> bool {
    let Type::Path(path) = ty else {
        return false;
    };
    path.path.segments.last().is_some_and(|segment| {
        segment.arguments.is_none() && (segment.ident == "Ref" || segment.ident == "Blob")
    })
}

/// What of a type stands in a message's root, inside a function's body.
pub(super) fn rooted(ty: &Type) -> TokenStream {
    if is_carried(ty) {
        return quote_spanned!(ty.span()=> ::nowire::macro_support::Rooted<#ty>);
    }
    given(ty)
}

/// [`received`], inside a function's body.
pub(super) fn given(ty: &Type) -> TokenStream {
    if is_carried(ty) {
        return quote!(#ty);
    }
    paths::at(&received(ty), &parse_quote!('static))
}

/// The tuple of a call's arguments, inside a function's body.
pub(super) fn arguments(method: &Method) -> TokenStream {
    let types = method.arguments().map(|param| match &param.kind {
        ParamKind::Shared(ty) | ParamKind::Kept(ty) => {
            let inner = paths::at(&inferred(ty), &parse_quote!('_));
            quote_spanned!(ty.span()=> ::nowire::macro_support::Lent<'_, #inner>)
        }
        ParamKind::Value(ty) => given(ty),
        ParamKind::Carried(ty) => rooted(ty),
        _ => TokenStream::new(),
    });
    quote!((#(#types,)*))
}

/// What a good call answers.
pub(super) fn reply(returns: &Returns) -> Type {
    match returns {
        Returns::Value(ty) | Returns::Result { ok: Some(ty), .. } => received(ty),
        Returns::Unit | Returns::Result { ok: None, .. } => parse_quote!(()),
    }
}

/// What a call answers that the handler refuses.
pub(super) fn error(returns: &Returns) -> Type {
    match returns {
        Returns::Result { error, .. } => received(error),
        Returns::Unit | Returns::Value(_) => parse_quote!(::nowire::macro_support::Never),
    }
}

/// The items of the stream of requests, if there is one.
pub(super) fn requests(method: &Method) -> Option<Type> {
    method.params.iter().find_map(|param| match &param.kind {
        ParamKind::Requests(ty, _) => Some(received(ty)),
        _ => None,
    })
}

/// The items of the stream of replies, if there is one.
pub(super) fn replies(method: &Method) -> Option<Type> {
    method.params.iter().find_map(|param| match &param.kind {
        ParamKind::Replies(ty, _) => Some(received(ty)),
        _ => None,
    })
}
