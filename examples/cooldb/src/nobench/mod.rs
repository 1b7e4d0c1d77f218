//! The documents and queries of NoBench, a benchmark of JSON stores (Chasseur, Li
//! and Patel: Enabling JSON Document Stores in Relational Systems, 2013), made
//! from a seed.
//!
//! Each document has a text of its own, `str1`, and one that it shares with
//! others, `str2`; a number, `num`, of which `thousandth` is the remainder by
//! 1000; a `bool`; two fields, `dyn1` and `dyn2`, whose type changes from document
//! to document; a list of words, `nested_arr`; an object, `nested_obj`, whose
//! `str` is the `str1` of some document; and one cluster of ten of the thousand
//! fields `sparse_000` to `sparse_999`.

mod collection;
mod question;
mod random;
mod record;
mod text;

pub use self::collection::Collection;
pub use self::question::Question;
pub use self::record::{Dynamic, Record};

use crate::store::Indexes;

/// What a store of these documents has indexes for.
pub const INDEXES: Indexes<'static> = Indexes {
    equality: &["str1"],
    order: &["num"],
};
