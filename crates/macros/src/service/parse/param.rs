//! The parameters of a method, known by their types.

use syn::spanned::Spanned;
use syn::{Error, GenericArgument, Pat, PathArguments, PathSegment, Result, Type, TypeReference};

use crate::service::model::{Hold, Param, ParamKind, Waits};
use crate::service::types;

/// One parameter after `&self`.
pub(super) fn param(pattern: &Pat, ty: &Type) -> Result<Param> {
    let name = match pattern {
        Pat::Ident(ident) if ident.by_ref.is_none() && ident.subpat.is_none() => {
            ident.ident.clone()
        }
        other => {
            return Err(Error::new(
                other.span(),
                "a parameter of a service's method has a plain name, which the client's method \
                 shows to its callers",
            ));
        }
    };
    Ok(Param {
        name,
        kind: param_kind(ty)?,
    })
}

fn param_kind(ty: &Type) -> Result<ParamKind> {
    match ty {
        Type::Reference(reference) => reference_kind(reference),
        Type::Paren(inner) => param_kind(&inner.elem),
        Type::Group(inner) => param_kind(&inner.elem),
        Type::Path(path) => {
            let Some(segment) = path.path.segments.last() else {
                return Ok(ParamKind::Value(ty.clone()));
            };
            match segment.ident.to_string().as_str() {
                "Kept" => Ok(ParamKind::Kept(only_type(segment)?)),
                "Requests" => Ok(ParamKind::Requests(only_type(segment)?, Waits::Blocking)),
                "AsyncRequests" => Ok(ParamKind::Requests(only_type(segment)?, Waits::Awaiting)),
                word @ ("Replies" | "AsyncReplies") => Err(Error::new(
                    ty.span(),
                    format!("a stream of replies is lent to the handler: write `&mut {word}<T>`"),
                )),
                "Scope" => Err(Error::new(
                    ty.span(),
                    "the scope for the reply is lent to the handler: write `&'r Scope`, or \
                     `&'r mut Scope` in an async method, and 'r in the type that is returned",
                )),
                "Context" => Err(Error::new(
                    ty.span(),
                    "the context of a call is lent to the handler: write `&Context`",
                )),
                _ if types::is_carried(ty) => Ok(ParamKind::Carried(ty.clone())),
                _ => Ok(ParamKind::Value(ty.clone())),
            }
        }
        Type::ImplTrait(_) => Err(Error::new(
            ty.span(),
            "a service's method cannot be generic, because its two sides are compiled apart: \
             write the type, or an enum of the types",
        )),
        Type::Ptr(_) => Err(Error::new(
            ty.span(),
            "a raw pointer means nothing to another process: write `&T`, which is read where the \
             caller built it",
        )),
        Type::BareFn(_) | Type::TraitObject(_) => Err(Error::new(
            ty.span(),
            "another process cannot call this one's code: write an enum that names what is to be \
             done",
        )),
        _ => Ok(ParamKind::Value(ty.clone())),
    }
}

fn reference_kind(reference: &TypeReference) -> Result<ParamKind> {
    let target = match &*reference.elem {
        Type::Path(path) => path.path.segments.last(),
        Type::Slice(_) => {
            return Err(Error::new(
                reference.span(),
                "a slice of private memory cannot be passed: write `&Slice<'_, T>`, built by \
                 `scope.slice(..)`",
            ));
        }
        Type::TraitObject(_) => {
            return Err(Error::new(
                reference.span(),
                "another process cannot call this one's code: write an enum that names what is \
                 to be done",
            ));
        }
        Type::Reference(_) => {
            return Err(Error::new(
                reference.span(),
                "a reference to a reference cannot be passed: one `&` is enough",
            ));
        }
        _ => None,
    };
    let word = target.map(|segment| segment.ident.to_string());
    let word = word.as_deref();
    if reference.mutability.is_some() {
        return match (word, target) {
            (Some("Scope"), _) => Ok(ParamKind::Scope(Hold::Alone)),
            (Some("Replies"), Some(segment)) => {
                Ok(ParamKind::Replies(only_type(segment)?, Waits::Blocking))
            }
            (Some("AsyncReplies"), Some(segment)) => {
                Ok(ParamKind::Replies(only_type(segment)?, Waits::Awaiting))
            }
            (Some(word @ ("Requests" | "AsyncRequests")), _) => {
                Err(owned_requests(reference, word))
            }
            _ => Err(Error::new(
                reference.span(),
                "a handler cannot change what belongs to its caller: write `&T`, and return what \
                 changed",
            )),
        };
    }
    match (word, target) {
        (Some("Context"), _) => Ok(ParamKind::Context),
        (Some("Scope"), _) => Ok(ParamKind::Scope(Hold::Shared)),
        (Some(word @ ("Replies" | "AsyncReplies")), _) => Err(Error::new(
            reference.span(),
            format!("sending a reply changes the stream: write `&mut {word}<T>`"),
        )),
        (Some(word @ ("Requests" | "AsyncRequests")), _) => Err(owned_requests(reference, word)),
        (Some("Kept"), _) => Err(Error::new(
            reference.span(),
            "what is kept belongs to the handler: write `Kept<T>`, or `&T` if it is not kept",
        )),
        (Some("str"), _) => Err(Error::new(
            reference.span(),
            "text in private memory cannot be passed: write `&Str<'_>`, built by `scope.str(..)`",
        )),
        (Some(word), _) if types::is_carried(&reference.elem) => Err(Error::new(
            reference.span(),
            format!("what is passed by reference belongs to its handler: write `{word}`"),
        )),
        _ => Ok(ParamKind::Shared((*reference.elem).clone())),
    }
}

fn owned_requests(reference: &TypeReference, word: &str) -> Error {
    Error::new(
        reference.span(),
        format!("a stream of requests belongs to its handler: write `{word}<T>`"),
    )
}

/// The one type between a segment's angle brackets.
fn only_type(segment: &PathSegment) -> Result<Type> {
    let found = between(segment);
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        _ => Err(Error::new(
            segment.span(),
            format!("write the type that travels: `{}<T>`", segment.ident),
        )),
    }
}

/// The types between a segment's angle brackets.
pub(super) fn between(segment: &PathSegment) -> Vec<&Type> {
    match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => arguments
            .args
            .iter()
            .filter_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}
