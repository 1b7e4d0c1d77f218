//! The check of what arrived, for types of every shape.

mod changing;
mod raw;
pub(crate) mod seeds;
mod shapes;

use nowire::Shared;
use nowire::macro_support::check_copy;

pub use changing::checked_while_changing;
use raw::{Raw, Walk};
use shapes::{Enum, Maps, Options, Plain, Slices, Tree};

/// Where the sender says its scope is.
pub(crate) const BASE: usize = 0x2345_6000;

/// Bytes of a root in an input.
const ROOT_BYTES: usize = 32;

/// Splits an input into the root and the scope it points into.
fn split(input: &[u8]) -> Option<([u64; 4], &[u8])> {
    let (root, scope) = input.split_first_chunk::<ROOT_BYTES>()?;
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(root.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    Some((words, scope))
}

/// Checks a root and a scope as somebody may have sent them. What is accepted is,
/// seen from the bytes that were sent, a value of the type: every pointer leads
/// to what the sender had there, nothing is pointed to twice, and no byte stands
/// where it may not.
fn checked<T: Shared>(input: &[u8])
where
    for<'a> T::At<'a>: Walk,
{
    let Some((root, scope)) = split(input) else {
        return;
    };
    if let Ok(checked) = check_copy::<T>(scope, BASE, root) {
        let mut raw = Raw::new(root, scope, BASE, checked.get());
        checked.get().walk(&mut raw);
        raw.finish();
    }
}

/// Structures of plain data.
pub fn checked_struct(input: &[u8]) {
    checked::<nowire::Ptr<'static, Plain>>(input);
}

/// Enums with data.
pub fn checked_enum(input: &[u8]) {
    checked::<nowire::Slice<'static, Enum<'static>>>(input);
}

/// Slices and text within each other.
pub fn checked_slices(input: &[u8]) {
    checked::<Slices<'static>>(input);
}

/// Trees.
pub fn checked_tree(input: &[u8]) {
    checked::<nowire::Ptr<'static, Tree<'static>>>(input);
}

/// Options with and without a tag.
pub fn checked_options(input: &[u8]) {
    checked::<nowire::Ptr<'static, Options<'static>>>(input);
}

/// Maps.
pub fn checked_maps(input: &[u8]) {
    checked::<nowire::Ptr<'static, Maps<'static>>>(input);
}
