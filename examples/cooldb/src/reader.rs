//! Two ways to look at answers.

use std::fmt;
use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use crate::client::Reader;
use crate::document::Document;
use crate::plain::Json;

/// Reads every byte of an answer, and ends up with a number that is the same for
/// the same answer, however it travelled.
#[derive(Clone)]
pub struct Digest {
    hasher: <FixedState as BuildHasher>::Hasher,
    rows: u64,
}

impl Digest {
    /// Of nothing, so far.
    pub fn new() -> Self {
        Self {
            hasher: FixedState::with_seed(0).build_hasher(),
            rows: 0,
        }
    }

    /// How many rows and groups were read.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The number for all that was read.
    pub fn value(&self) -> u64 {
        self.hasher.finish()
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digest")
            .field("rows", &self.rows)
            .field("value", &self.value())
            .finish()
    }
}

impl Reader for Digest {
    fn row<'a, D: Document + 'a>(&mut self, id: u32, columns: impl Iterator<Item = Option<&'a D>>) {
        self.rows += 1;
        self.hasher.write_u32(id);
        for column in columns {
            match column {
                Some(value) => value.digest(&mut self.hasher),
                None => self.hasher.write_u8(u8::MAX),
            }
        }
    }

    fn group<D: Document>(&mut self, value: &D, documents: u64) {
        self.rows += 1;
        value.digest(&mut self.hasher);
        self.hasher.write_u64(documents);
    }
}

/// Keeps a copy of the whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Copied {
    /// Ids and columns of the rows.
    pub rows: Vec<(u32, Vec<Option<Json>>)>,
    /// Values and counts of the groups.
    pub groups: Vec<(Json, u64)>,
}

impl Reader for Copied {
    fn row<'a, D: Document + 'a>(&mut self, id: u32, columns: impl Iterator<Item = Option<&'a D>>) {
        let columns = columns.map(|value| value.map(Json::of)).collect();
        self.rows.push((id, columns));
    }

    fn group<D: Document>(&mut self, value: &D, documents: u64) {
        self.groups.push((Json::of(value), documents));
    }
}
