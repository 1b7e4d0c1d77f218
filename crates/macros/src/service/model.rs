//! What the attribute knows of a service once its trait was read.

use syn::{Attribute, Ident, ItemTrait, Type, Visibility};

/// A service: a trait whose methods can be called from another process.
pub(crate) struct Service {
    /// The trait as the user's handlers see it: without Nowire's attributes, and
    /// with futures that may move between threads.
    pub(crate) item: ItemTrait,
    pub(crate) visibility: Visibility,
    /// The comments above the trait.
    pub(crate) docs: Vec<Attribute>,
    pub(crate) name: Ident,
    pub(crate) methods: Vec<Method>,
}

pub(crate) struct Method {
    pub(crate) name: Ident,
    /// The comments above the method, which its callers read too.
    pub(crate) docs: Vec<Attribute>,
    pub(crate) runs: Runs,
    /// Parameters after `&self`, in the user's order.
    pub(crate) params: Vec<Param>,
    pub(crate) returns: Returns,
}

/// Where a handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runs {
    /// On the thread that polls the ring: the default, for short handlers.
    Polling,
    /// On a thread of the worker pool: `#[nowire(pool)]`.
    Pool,
    /// As a tokio task: `async fn`.
    Task,
}

pub(crate) struct Param {
    pub(crate) name: Ident,
    pub(crate) kind: ParamKind,
}

pub(crate) enum ParamKind {
    /// `&Context`: what the server knows of the call.
    Context,
    /// `&'r Scope`, or `&'r mut Scope`: where the reply is built.
    Scope(Hold),
    /// `&T`: read where the caller built it.
    Shared(Type),
    /// `Kept<T>`: the same, and may be held after the call.
    Kept(Type),
    /// `T`: a plain value.
    Value(Type),
    /// `Ref` or `Blob`: goes ahead of the call, which only names it.
    Carried(Type),
    /// `&mut Replies<T>`, or `&mut AsyncReplies<T>`: a stream of replies.
    Replies(Type, Waits),
    /// `Requests<T>`, or `AsyncRequests<T>`: a stream of requests.
    Requests(Type, Waits),
}

/// How a handler has its scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// On one thread.
    Shared,
    /// To itself, so that it may take it to another thread.
    Alone,
}

/// How a handler waits for its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// Its thread does.
    Blocking,
    /// Its task does.
    Awaiting,
}

pub(crate) enum Returns {
    Unit,
    Value(Box<Type>),
    /// `Result<T, E>`; `ok` is `None` for `Result<(), E>`.
    Result {
        ok: Option<Box<Type>>,
        error: Box<Type>,
    },
}

impl ParamKind {
    /// Whether the caller passes it in the call's frame.
    pub(crate) fn is_argument(&self) -> bool {
        matches!(
            self,
            Self::Shared(_) | Self::Kept(_) | Self::Value(_) | Self::Carried(_)
        )
    }

    pub(crate) fn is_context(&self) -> bool {
        matches!(self, Self::Context)
    }

    pub(crate) fn is_carried(&self) -> bool {
        matches!(self, Self::Carried(_))
    }

    pub(crate) fn is_scope(&self) -> bool {
        matches!(self, Self::Scope(_))
    }

    pub(crate) fn is_replies(&self) -> bool {
        matches!(self, Self::Replies(..))
    }

    pub(crate) fn is_requests(&self) -> bool {
        matches!(self, Self::Requests(..))
    }
}

impl Method {
    pub(crate) fn has(&self, kind: fn(&ParamKind) -> bool) -> bool {
        self.params.iter().any(|param| kind(&param.kind))
    }

    /// The parameters that the caller passes in the frame of the call.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Param> {
        self.params.iter().filter(|param| param.kind.is_argument())
    }
}
