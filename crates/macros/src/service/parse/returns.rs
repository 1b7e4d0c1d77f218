//! What a method returns.

use syn::spanned::Spanned;
use syn::{Error, Result, ReturnType, Type};

use crate::service::model::Returns;

use super::param::between;

/// What stands after the arrow.
pub(super) fn returns(output: &ReturnType) -> Result<Returns> {
    let ReturnType::Type(_, ty) = output else {
        return Ok(Returns::Unit);
    };
    if is_unit(ty) {
        return Ok(Returns::Unit);
    }
    match &**ty {
        Type::Reference(_) => Err(Error::new(
            ty.span(),
            "a reply cannot point into the server's private memory: take `out: &'r Scope`, build \
             the reply in it, and return a type that names 'r",
        )),
        Type::ImplTrait(_) => Err(Error::new(
            ty.span(),
            "a reply has a named type; a method that waits is an `async fn`",
        )),
        Type::Never(_) => Err(Error::new(
            ty.span(),
            "a call that never returns never answers: return `()`",
        )),
        Type::Path(path) => match path.path.segments.last() {
            Some(segment) if segment.ident == "Result" => match between(segment).as_slice() {
                [ok, error] => Ok(Returns::Result {
                    ok: (!is_unit(ok)).then(|| Box::new((*ok).clone())),
                    error: Box::new((*error).clone()),
                }),
                _ => Err(Error::new(
                    ty.span(),
                    "name both types, `Result<T, E>`: the error travels too, and must be Shared",
                )),
            },
            _ => Ok(Returns::Value(ty.clone())),
        },
        _ => Ok(Returns::Value(ty.clone())),
    }
}

fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())
}
