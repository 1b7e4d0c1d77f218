use std::fmt;

/// Where in an arrived message something stands, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In the few bytes that travelled in the message itself.
    Inline(usize),
    /// In the sender's scope, counted from its start.
    Scope(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(offset) => write!(f, "byte {offset} of the inline value"),
            Self::Scope(offset) => write!(f, "byte {offset} of the scope"),
        }
    }
}

/// What makes arrived data unfit to be read as the type it should have.
///
/// The sender built it wrongly or lies; the receiver reads none of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// A pointer leads out of the scope.
    #[error(
        "{place}: the pointer {address:#x} to {bytes} bytes of {type_name} leads out of the scope"
    )]
    Outside {
        /// What should lie there.
        type_name: &'static str,
        /// Where the pointer stands.
        place: Place,
        /// The pointer, as the sender wrote it.
        address: usize,
        /// Size of what it points to.
        bytes: usize,
    },
    /// A pointer that must not be null is null.
    #[error("{place}: the pointer to {type_name} is null")]
    Null {
        /// What it should point to.
        type_name: &'static str,
        /// Where the pointer stands.
        place: Place,
    },
    /// A pointer is not a multiple of the alignment needed.
    #[error("{place}: the pointer {address:#x} to {type_name} is not aligned to {align} bytes")]
    Unaligned {
        /// What should lie there.
        type_name: &'static str,
        /// Where the pointer stands.
        place: Place,
        /// The pointer, as the sender wrote it.
        address: usize,
        /// The alignment needed, in bytes.
        align: usize,
    },
    /// A pointer leads to bytes that another one leads to already: they are
    /// shared, overlap, or form a cycle.
    #[error(
        "{place}: the pointer {address:#x} to {bytes} bytes of {type_name} leads to memory that is pointed to already"
    )]
    Overlap {
        /// What should lie there.
        type_name: &'static str,
        /// Where the pointer stands.
        place: Place,
        /// The pointer, as the sender wrote it.
        address: usize,
        /// Size of what it points to.
        bytes: usize,
    },
    /// A slice claims more elements than fit into the scope.
    #[error(
        "{place}: {count} elements of {type_name} do not fit into {scope_bytes} bytes of scope"
    )]
    TooLong {
        /// The type of the elements.
        type_name: &'static str,
        /// Where the slice stands.
        place: Place,
        /// The number of elements claimed.
        count: usize,
        /// Size of the scope.
        scope_bytes: usize,
    },
    /// Pointers lead to pointers too many times: reading it might need more
    /// stack than there is.
    #[error("{place}: more than {limit} pointers lead here, one from the other")]
    TooDeep {
        /// Where the last one leads.
        place: Place,
        /// How many there may be.
        limit: u32,
    },
    /// Text is not UTF-8.
    #[error("{place}: the text is not UTF-8 after {valid_bytes} bytes")]
    Utf8 {
        /// Where the text begins.
        place: Place,
        /// How much of it is valid.
        valid_bytes: usize,
    },
    /// A `bool` is neither 0 nor 1.
    #[error("{place}: {found} is no bool")]
    Bool {
        /// Where it stands.
        place: Place,
        /// What stands there.
        found: u8,
    },
    /// A `char` is no Unicode scalar value.
    #[error("{place}: {found:#x} is no char")]
    Char {
        /// Where it stands.
        place: Place,
        /// What stands there.
        found: u32,
    },
    /// A number that must not be zero is.
    #[error("{place}: {type_name} is zero")]
    Zero {
        /// The type of the number.
        type_name: &'static str,
        /// Where it stands.
        place: Place,
    },
    /// An enum has no such variant.
    #[error("{place}: {type_name} has no variant {found}")]
    Variant {
        /// The enum.
        type_name: &'static str,
        /// Where it stands.
        place: Place,
        /// The tag that stands there.
        found: u8,
    },
    /// A `Result` is neither `Ok` nor `Err`.
    #[error("{place}: the tag of {type_name} says neither Ok nor Err")]
    Result {
        /// The result.
        type_name: &'static str,
        /// Where it stands.
        place: Place,
    },
    /// An `Option` is neither `None` nor `Some`.
    #[error("{place}: the tag of {type_name} says neither None nor Some")]
    Option {
        /// The option.
        type_name: &'static str,
        /// Where it stands.
        place: Place,
    },
}

/// Says that the [`Checker`](super::Checker) has found a [`Flaw`] and keeps it.
///
/// Only the checker makes one, so a check cannot fail without a reason.
#[derive(Debug)]
pub struct Refused(pub(super) ());
