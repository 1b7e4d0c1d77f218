use crate::nobench::random::Random;
use crate::nobench::record::{Dynamic, Record};
use crate::nobench::text::{SPARSE_FIELDS, WORDS, encoded, word};

/// Longest list of words.
const MOST_WORDS: u32 = 7;
/// Fields of a cluster.
const CLUSTER: u32 = 10;
/// Values that a sparse field may have: a tenth of the hundredth of the documents
/// that have the field has the same.
pub(super) const SPARSE_VALUES: u32 = 10;
/// Documents that share a `str2`.
const SHARERS: u32 = 100;

/// So many documents, made from a seed. Each can be made by itself, and is the
/// same each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collection {
    seed: u64,
    documents: u32,
}

impl Collection {
    /// Describes it; nothing is made yet.
    ///
    /// # Panics
    /// If there are no documents.
    pub fn new(seed: u64, documents: u32) -> Self {
        assert!(documents > 0, "a collection has documents");
        Self { seed, documents }
    }

    /// How many documents it has.
    pub fn documents(&self) -> u32 {
        self.documents
    }

    /// One of its documents, chosen by a number at random: the same one for the
    /// same number.
    pub fn pick(&self, number: u32) -> u32 {
        Random::of(!self.seed, u64::from(number)).below(self.documents)
    }

    /// How many texts there may be in `str2`.
    pub(super) fn shared_texts(&self) -> u32 {
        self.documents.div_ceil(SHARERS)
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// What the documents in this range say; fewer if the collection ends before.
    pub fn records(self, range: std::ops::Range<u32>) -> impl Iterator<Item = Record> {
        let end = range.end.min(self.documents);
        (range.start..end).map(move |index| self.record(index))
    }

    /// What a document says.
    pub fn record(&self, index: u32) -> Record {
        let mut random = Random::of(self.seed, u64::from(index));
        let number = random.below(self.documents);
        let other = random.below(self.documents);
        let words = random.below(MOST_WORDS + 1);
        Record {
            own_text: encoded(index),
            shared_text: encoded(random.below(self.shared_texts())),
            number,
            flag: random.below(2) == 1,
            mostly_number: if random.below(20) == 0 {
                Dynamic::Text(encoded(number))
            } else {
                Dynamic::Number(number)
            },
            anything: match random.below(5) {
                0 => Dynamic::Null,
                1 => Dynamic::Bool(number % 2 == 1),
                2 => Dynamic::Number(number),
                3 => Dynamic::Text(encoded(number)),
                _ => Dynamic::Object(number),
            },
            words: (0..words).map(|_| word(random.below(WORDS))).collect(),
            nested_text: encoded(other),
            nested_number: other,
            cluster: random.below(SPARSE_FIELDS / CLUSTER),
            sparse: std::array::from_fn(|_| encoded(random.below(SPARSE_VALUES))),
        }
    }
}
