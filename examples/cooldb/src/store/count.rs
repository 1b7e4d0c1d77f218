use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::document::{Document, View};

/// Documents by the value they have somewhere, while they are counted.
pub(crate) struct Count<'a, D> {
    groups: HashMap<GroupKey<'a>, Group<'a, D>, RandomState>,
}

/// One value, and how many documents have it.
#[derive(Debug)]
pub struct Group<'a, D> {
    /// The value, where it lies in one of them.
    pub value: &'a D,
    /// How many.
    pub documents: u64,
}

/// A value as groups are told apart and ordered by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum GroupKey<'a> {
    Null,
    Bool(bool),
    Number(u64),
    Text(&'a str),
}

impl<'a, D: Document> Count<'a, D> {
    pub(crate) fn new() -> Self {
        Self {
            groups: HashMap::default(),
        }
    }

    /// Counts one more document with this value.
    pub(crate) fn add(&mut self, value: &'a D) {
        let key = match value.view() {
            View::Null => GroupKey::Null,
            View::Bool(value) => GroupKey::Bool(value),
            View::Number(number) => GroupKey::Number(ordered_bits(number + 0.0)),
            View::Text(text) => GroupKey::Text(text),
            View::List(_) | View::Object => return,
        };
        let group = self.groups.entry(key).or_insert(Group {
            value,
            documents: 0,
        });
        group.documents += 1;
    }

    /// The groups in the order of their values.
    pub(crate) fn groups(self) -> Vec<Group<'a, D>> {
        let mut groups: Vec<_> = self.groups.into_iter().collect();
        groups.sort_unstable_by_key(|(key, _)| *key);
        groups.into_iter().map(|(_, group)| group).collect()
    }
}

/// Bits that are ordered as the numbers are.
fn ordered_bits(number: f64) -> u64 {
    let bits = number.to_bits();
    if number.is_sign_negative() {
        !bits
    } else {
        bits | (1 << 63)
    }
}
