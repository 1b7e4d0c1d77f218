//! Which of the two ways a type travels in a native call.

use std::marker::PhantomData;

use super::Ref;
use crate::data::Shared;

/// A type that native calls take and give, alone or as items of a stream.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel in a native call",
    label = "neither `Shared`, nor a `Ref` or `Blob`"
)]
pub trait Travel {
    /// How it travels.
    type As;
}

/// Travels as its bytes, and what it points to in a scope.
#[doc(hidden)]
#[derive(Debug)]
pub struct ByValue<T>(PhantomData<fn() -> T>);

/// Travels as a reference that goes ahead of its call.
#[doc(hidden)]
#[derive(Debug)]
pub struct ByReference(());

// Only here, where both are at home, does the compiler know that a `Ref` is not
// `Shared`.
impl<T: Shared> Travel for T {
    type As = ByValue<T>;
}

impl Travel for Ref {
    type As = ByReference;
}
