//! Reads a service's trait and refuses what cannot be called from another
//! process, at the place and with the way out.

mod param;
mod returns;

use syn::spanned::Spanned;
use syn::{
    Attribute, Error, FnArg, GenericParam, ItemTrait, Receiver, Result, Signature, TraitItem,
    TraitItemFn,
};

use crate::errors::Errors;

use param::param;
use returns::returns;

use super::model::{Hold, Method, Param, ParamKind, Returns, Runs, Service, Waits};

/// Methods that the generated client has already.
const CLIENT_METHODS: [&str; 6] = ["new", "channel", "scope", "scope_of", "timeout", "metadata"];

/// The most parameters that travel: as many as a tuple has fields.
const ARGUMENTS_LIMIT: usize = 8;

/// Reads `item`; every error it finds is reported, not just the first.
pub(crate) fn parse(item: ItemTrait) -> Result<Service> {
    let mut errors = Errors::default();
    errors.keep(check_trait(&item));
    let mut methods = Vec::new();
    for part in &item.items {
        match part {
            TraitItem::Fn(function) => methods.extend(errors.keep(method(function))),
            other => errors.push(Error::new(
                other.span(),
                "a service has methods only: what is no method cannot be called from another \
                 process",
            )),
        }
    }
    for (at, method) in methods.iter().enumerate() {
        errors.keep(check_name(method, &methods[..at]));
    }
    for method in &methods {
        errors.keep(check_later(method, &methods));
    }
    errors.finish(Service {
        visibility: item.vis.clone(),
        docs: docs(&item.attrs),
        name: item.ident.clone(),
        methods,
        item: super::item::for_handlers(item),
    })
}

fn check_trait(item: &ItemTrait) -> Result<()> {
    if let Some(generic) = item.generics.params.first() {
        return Err(Error::new(
            generic.span(),
            "a service cannot be generic, because its two sides are compiled apart: write a \
             trait for each type that it is to serve",
        ));
    }
    if let Some(unsafety) = &item.unsafety {
        return Err(Error::new(
            unsafety.span,
            "a service cannot be an unsafe trait: its caller is another process and can promise \
             nothing",
        ));
    }
    Ok(())
}

/// A method whose name the client needs for itself.
fn check_name(method: &Method, before: &[Method]) -> Result<()> {
    let name = method.name.to_string();
    if CLIENT_METHODS.contains(&name.as_str()) {
        return Err(Error::new(
            method.name.span(),
            format!("every client has a method `{name}` of its own: give this one another name"),
        ));
    }
    if before.iter().any(|other| other.name == method.name) {
        return Err(Error::new(
            method.name.span(),
            format!("there is a method `{name}` already: give this one another name"),
        ));
    }
    Ok(())
}

/// A method whose pipelined form has the name of another method.
fn check_later(method: &Method, all: &[Method]) -> Result<()> {
    let later = format!("{}_later", method.name);
    match all.iter().find(|other| other.name == later) {
        Some(other) => Err(Error::new(
            other.name.span(),
            format!(
                "`{later}` is the client's way to call `{}` without waiting: give this method \
                 another name",
                method.name
            ),
        )),
        None => Ok(()),
    }
}

fn method(function: &TraitItemFn) -> Result<Method> {
    let signature = &function.sig;
    let mut errors = Errors::default();
    errors.keep(check_attributes(&function.attrs));
    errors.keep(check_signature(signature));
    let pool = errors.keep(pool(&function.attrs)).flatten();
    let runs = match (pool, signature.asyncness) {
        (None, None) => Runs::Polling,
        (Some(_), None) => Runs::Pool,
        (None, Some(_)) => Runs::Task,
        (Some(span), Some(_)) => {
            errors.push(Error::new(
                span,
                "an async method runs as a tokio task, not in the worker pool: remove \
                 #[nowire(pool)] or `async`",
            ));
            Runs::Task
        }
    };
    let mut inputs = signature.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(receiver)) => {
            errors.keep(check_receiver(receiver));
        }
        _ => errors.push(Error::new(
            signature.ident.span(),
            "a service's method begins with `&self`, which many calls share",
        )),
    }
    let params: Vec<Param> = inputs
        .filter_map(|input| match input {
            FnArg::Typed(typed) => errors.keep(param(&typed.pat, &typed.ty)),
            FnArg::Receiver(_) => None,
        })
        .collect();
    let returns = errors.keep(returns(&signature.output));
    errors.keep(check_params(&params, runs));
    if let Some(returns) = &returns {
        errors.keep(check_stream(signature, &params, returns));
    }
    errors.finish(())?;
    Ok(Method {
        name: signature.ident.clone(),
        docs: docs(&function.attrs),
        runs,
        params,
        returns: returns.unwrap_or(Returns::Unit),
    })
}

fn docs(attributes: &[Attribute]) -> Vec<Attribute> {
    let docs = attributes.iter();
    docs.filter(|attribute| attribute.path().is_ident("doc"))
        .cloned()
        .collect()
}

fn check_attributes(attributes: &[Attribute]) -> Result<()> {
    for attribute in attributes {
        if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
            return Err(Error::new(
                attribute.span(),
                "a method that is there in some builds only would change the service's layout: \
                 put the condition on the whole trait",
            ));
        }
    }
    Ok(())
}

/// Where `#[nowire(pool)]` stands, if it does.
fn pool(attributes: &[Attribute]) -> Result<Option<proc_macro2::Span>> {
    let mut pool = None;
    for attribute in attributes {
        if attribute.path().is_ident("nowire") {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("pool") {
                    pool = Some(meta.path.span());
                    Ok(())
                } else {
                    Err(meta.error(
                        "the only word here is `pool`: #[nowire(pool)] runs the method in the \
                         worker pool. Without it a method runs on the polling thread; an `async \
                         fn` runs as a tokio task",
                    ))
                }
            })?;
        }
    }
    Ok(pool)
}

fn check_signature(signature: &Signature) -> Result<()> {
    if let Some(word) = &signature.constness {
        return Err(Error::new(
            word.span,
            "a call to another process cannot be const: remove `const`",
        ));
    }
    if let Some(word) = &signature.unsafety {
        return Err(Error::new(
            word.span,
            "the caller is another process and can promise nothing: remove `unsafe`",
        ));
    }
    if let Some(abi) = &signature.abi {
        return Err(Error::new(
            abi.span(),
            "a service's method is an ordinary Rust function: remove `extern`",
        ));
    }
    for generic in &signature.generics.params {
        if !matches!(generic, GenericParam::Lifetime(_)) {
            return Err(Error::new(
                generic.span(),
                "a service's method cannot be generic, because its two sides are compiled apart: \
                 write a method for each type, or an enum of them",
            ));
        }
    }
    Ok(())
}

fn check_receiver(receiver: &Receiver) -> Result<()> {
    if receiver.reference.is_none()
        || receiver.mutability.is_some()
        || receiver.colon_token.is_some()
    {
        return Err(Error::new(
            receiver.span(),
            "a service's method takes `&self`, because many calls use it at a time: put what \
             changes behind a lock or an atomic",
        ));
    }
    Ok(())
}

fn check_params(params: &[Param], runs: Runs) -> Result<()> {
    let mut errors = Errors::default();
    let single = [
        (
            "one context",
            ParamKind::is_context as fn(&ParamKind) -> bool,
        ),
        ("one scope for its reply", ParamKind::is_scope),
        ("one stream of replies", ParamKind::is_replies),
        ("one stream of requests", ParamKind::is_requests),
    ];
    for (what, is_it) in single {
        if let Some(second) = params.iter().filter(|param| is_it(&param.kind)).nth(1) {
            errors.push(Error::new(
                second.name.span(),
                format!("a call has {what}: remove this parameter"),
            ));
        }
    }
    for param in params {
        errors.keep(check_place(param, runs));
    }
    let mut arguments = params.iter().filter(|param| param.kind.is_argument());
    if let Some(surplus) = arguments.nth(ARGUMENTS_LIMIT) {
        errors.push(Error::new(
            surplus.name.span(),
            format!(
                "a call takes at most {ARGUMENTS_LIMIT} arguments: put some of them into a struct"
            ),
        ));
    }
    errors.finish(())
}

/// Whether a method that runs there can have such a parameter.
fn check_place(param: &Param, runs: Runs) -> Result<()> {
    let waits = match &param.kind {
        ParamKind::Replies(_, waits) | ParamKind::Requests(_, waits) => *waits,
        ParamKind::Scope(Hold::Shared) if runs == Runs::Task => {
            return Err(Error::new(
                param.name.span(),
                "a task moves between threads, and takes its scope along: write `&'r mut Scope`",
            ));
        }
        _ => return Ok(()),
    };
    let (blocking, awaiting) = match param.kind {
        ParamKind::Replies(..) => ("&mut Replies<T>", "&mut AsyncReplies<T>"),
        _ => ("Requests<T>", "AsyncRequests<T>"),
    };
    let refusal = match (runs, waits) {
        (Runs::Pool, Waits::Blocking) | (Runs::Task, Waits::Awaiting) => return Ok(()),
        (Runs::Polling, Waits::Blocking) => format!(
            "a stream makes its handler wait, and the polling thread serves every other call: \
             write #[nowire(pool)] above this method, or make it an `async fn` that takes \
             `{awaiting}`"
        ),
        (Runs::Task, Waits::Blocking) => {
            format!("this stream would block the runtime: write `{awaiting}` in an async method")
        }
        (Runs::Polling | Runs::Pool, Waits::Awaiting) => format!(
            "this stream is awaited: make the method an `async fn`, or write #[nowire(pool)] \
             above it, and `{blocking}`"
        ),
    };
    Err(Error::new(param.name.span(), refusal))
}

/// Streams of replies end with a status, not with a value.
fn check_stream(signature: &Signature, params: &[Param], returns: &Returns) -> Result<()> {
    let replies = params.iter().any(|param| param.kind.is_replies());
    match returns {
        Returns::Value(_) | Returns::Result { ok: Some(_), .. } if replies => Err(Error::new(
            signature.output.span(),
            "a stream of replies ends without a value: return `()` or `Result<(), E>`, and send \
             the value as the last item",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
