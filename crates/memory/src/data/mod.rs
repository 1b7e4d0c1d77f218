//! Data that another process reads where it lies: pointers, slices, text and
//! maps in a [`Scope`], the check of what arrives, and the layouts two sides
//! compare before they trust each other's types.
//!
//! # The contract of [`Shared`]
//!
//! The derive writes it; nobody else should. A type may implement it when
//! - every field implements it, so the type has no `Drop`, no interior
//!   mutability and no pointer that is not Nowire's own;
//! - every combination of valid fields is a valid value;
//! - it has at most one lifetime parameter, the scope's, and `At<'a>` is the
//!   same type with `'a` in its place (and `P::At<'a>` in the place of each type
//!   parameter `P`);
//! - an enum is `repr(u8)` and has at least one variant; a struct is not packed.
//!
//! For a struct with the fields `f: F`, where `O` stands for `offset_of!(Self, f)`:
//! - `DENSE`: the sum of all `size_of::<F>()` is `size_of::<Self>()`, and each
//!   `F::DENSE` holds. `PLAIN`: each `F::PLAIN`. `POINTERS`: any `F::POINTERS`.
//! - `SAMPLE`: `MaybeUninit::new(Self { f: unsafe { F::SAMPLE.assume_init() }, .. })`
//! - `NICHES`: `Niches::NONE.with::<F>(O)..`, all fields.
//! - `check`: `unsafe { F::check(checker, &raw mut (*at).f) }?;` for each field.
//! - `write`: `unsafe { self.f.write(&raw mut (*into).f) };` for each field.
//! - `lies_in`: `self.f.lies_in(bounds) && ..`
//! - `describe`: [`Schema::structure`] with each field's name, type and offset;
//!   type parameters are passed as their `describe` functions.
//!
//! For an enum with `repr(u8)`, where the fields of a variant begin at
//! `const { field_offset::<F>(1) }`, and each following one at
//! `const { field_offset::<G>(field_offset::<F>(1) + size_of::<F>()) }`:
//! - `DENSE`: no variant has fields (or all bytes of each are fields). `PLAIN`:
//!   false. `POINTERS`: any of any variant's fields.
//! - `SAMPLE`: the simplest variant. `NICHES`: `Niches::whole(1)`.
//! - `check`: read the tag, `at.cast::<u8>().read()`, then check the variant's
//!   fields at `at.byte_add(offset).cast::<F>()`; an unknown tag is
//!   `Err(checker.no_variant::<Self>(at, tag))`.
//! - `write`: `match self`, write the tag to `into.cast::<u8>()`, then each field
//!   to `into.byte_add(offset).cast::<F>()`.
//! - `describe`: [`Schema::enumeration`].
//!
//! A type parameter `P` gets the bound `P: Shared`. The unit tests beside this
//! file hold one implementation of each kind, written by hand.
//!
//! # What a check promises
//!
//! What passed is a tree: each pointer leads to memory of its own, aligned, in
//! the scope, that holds what its type says, so the size of the scope bounds
//! what there is to read. No more than 1024 pointers, or as many as
//! [`CheckBuffers::with_depth`] says, lead one from the other, so that a reader
//! may call itself for each level. What is *not* checked is what only looks
//! wrong: keys of a [`Map`] out of order, a [`HashMap`] with wrong hashes. Lookups
//! in these miss; they end soon all the same.
//!
//! # Rules of the unsafe code in this folder
//!
//! 1. The memory of a scope stays mapped and writable while its keep lives, and
//!    each byte of it is given out once between two resets.
//! 2. A `Ptr`, `Slice` or `Str` is made in two places only: by a scope, of
//!    memory it just gave out and values just written there; and by the check,
//!    which claims the bytes, nobody having claimed them before, and checks them
//!    before anybody sees a reference.
//! 3. Who holds one therefore holds the only one: it may read while it lives,
//!    write if it is borrowed mutably, and move to where its values may move. A
//!    `Lent` is a shared borrow of a `Ptr`, or what is left of one given away.
//! 4. A value is written without its padding: whole if it has none, else field
//!    by field into zeroes. Nothing that was on a stack travels by accident.
//! 5. A sample is laid out and looked at while compiling; no pointer in it is
//!    followed.
//! 6. A check reads and writes nothing but the inline value and the region, and
//!    writes only where the region is said to be a private copy. Foreign memory
//!    is read in place only if its owner is trusted or cannot change it. A copy
//!    into a scope walks as a check does, over a value that is good: it reads what
//!    that points to, and writes to the scope.

mod check;
mod compound;
mod entry;
mod flaw;
mod hash;
mod hash_map;
mod layout;
mod map;
mod never;
mod niche;
mod option;
mod plain;
mod pointer;
mod private;
mod result;
mod scope;

pub use check::{CheckBuffers, Checked, Checker, check_copy, plain_root};
pub(crate) use check::{Region, Root, check};
pub use entry::Entries;
pub use flaw::{Flaw, Place, Refused};
pub use hash_map::HashMap;
pub use layout::{Describe, Fields, Layout, Schema, Variants};
pub use map::Map;
pub use never::Never;
pub use niche::Niches;
pub use pointer::{Lent, Ptr, Slice, Str};
pub use scope::{
    Bounds, Scope, ScopeError, first_address, inline, points_into, root_words, write_root,
};
pub(crate) use scope::{HEADER_BYTES, SETTLED_OFFSET, USED_OFFSET};

use std::mem::{self, MaybeUninit};

/// A type whose values another process can read where they lie.
///
/// `#[derive(Shared)]` implements it.
///
/// # Safety
/// As the documentation of this module says: wrong constants or a check that
/// lets an invalid value pass make safe code read what is not there.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot lie in memory that another process reads",
    label = "not `Shared`",
    note = "numbers, `bool`, `char`, arrays, tuples, `Option` and types with `#[derive(Shared)]` can, and what points into a scope: `Ptr<'s, T>` where a `Box<T>` or `&T` would be, `Str<'s>` for a `String`, `Slice<'s, T>` for a `Vec<T>`, and the `Map` and `HashMap` of nowire"
)]
pub unsafe trait Shared: Sized {
    /// The same type with another lifetime; `Self` for types without one.
    type At<'a>: Shared;

    /// The type has no padding: every byte is written when a value is.
    const DENSE: bool;

    /// The type holds no pointers, and every bit pattern of its bytes is a
    /// value: there is nothing to check.
    const PLAIN: bool;

    /// The type holds Nowire's pointers.
    const POINTERS: bool;

    /// Any value, to find out how the compiler lays out an `Option` of it.
    const SAMPLE: MaybeUninit<Self>;

    /// The fields that leave bit patterns unused.
    const NICHES: Niches;

    /// Checks that a value of this type stands at `at`.
    ///
    /// # Errors
    /// The checker keeps the [`Flaw`] found.
    ///
    /// # Safety
    /// `at` is aligned for `Self` and `size_of::<Self>()` bytes are initialised
    /// there, in the inline value or the region of `checker`, claimed, and
    /// writable if the region is.
    unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused>;

    /// Writes the fields of this value to `into`, and no padding.
    ///
    /// # Safety
    /// `into` is aligned for `Self`, and `size_of::<Self>()` bytes there are
    /// zero and the caller's to write.
    unsafe fn write(&self, into: *mut Self);

    /// Whether the pointers in this value, themselves not followed, lead into
    /// the scope.
    fn lies_in(&self, bounds: &Bounds) -> bool;

    /// Tells `schema` how this type is laid out, and returns its name there.
    fn describe(schema: &mut Schema) -> String;
}

/// Where the next field of a variant of a `repr(u8)` enum begins, when the
/// fields before it, and the tag, end at `end`. For the derive.
#[doc(hidden)]
#[must_use]
pub const fn field_offset<F>(end: usize) -> usize {
    end.next_multiple_of(align_of::<F>())
}

/// Writes a value, without its padding.
///
/// # Safety
/// `into` is aligned for a `T`, and the caller's to write.
#[inline]
unsafe fn put<T: Shared>(value: T, into: *mut T) {
    const { assert!(!mem::needs_drop::<T>(), "a Shared type has a destructor") };
    if T::DENSE {
        // SAFETY: as the caller says.
        unsafe { into.write(value) };
    } else {
        // SAFETY: as the caller says.
        unsafe { into.write_bytes(0, 1) };
        // SAFETY: as the caller says, and it is zeroed.
        unsafe { value.write(into) };
        mem::forget(value);
    }
}

#[cfg(test)]
mod tests;
