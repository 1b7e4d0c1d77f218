use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::document::Document;
use crate::path::Path;

/// Finds documents by the text at a path. It holds hashes, not texts: who asks
/// looks at the documents themselves.
pub(crate) struct EqualityIndex {
    path: String,
    hasher: RandomState,
    entries: HashTable<Entry>,
}

struct Entry {
    hash: u64,
    id: u32,
}

impl EqualityIndex {
    pub(crate) fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            hasher: RandomState::default(),
            entries: HashTable::new(),
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds documents whose ids begin with `first`.
    pub(crate) fn add<D: Document>(&mut self, first: u32, documents: &[D]) {
        let path = Path::new(&self.path);
        for (id, document) in (first..).zip(documents) {
            if let Some(text) = path.find(document).and_then(|value| value.view().text()) {
                let hash = self.hasher.hash_one(text);
                self.entries
                    .insert_unique(hash, Entry { hash, id }, |entry| entry.hash);
            }
        }
    }

    /// Ids of the documents that may have this text, in no order. All that have it
    /// are among them.
    pub(crate) fn candidates(&self, text: &str) -> impl Iterator<Item = u32> {
        let hash = self.hasher.hash_one(text);
        self.entries
            .iter_hash(hash)
            .filter(move |entry| entry.hash == hash)
            .map(|entry| entry.id)
    }
}
