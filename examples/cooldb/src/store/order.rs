use crate::document::Document;
use crate::path::Path;

/// Finds documents by the number at a path.
///
/// Every batch makes a sorted run; a run that is not much longer than the one
/// after it is merged with it, so that there are few runs, each number has been
/// moved a few times, and looking needs no preparation.
pub(crate) struct OrderIndex {
    path: String,
    runs: Vec<Vec<Entry>>,
}

type Entry = (f64, u32);

impl OrderIndex {
    pub(crate) fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            runs: Vec::new(),
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn len(&self) -> usize {
        self.runs.iter().map(Vec::len).sum()
    }

    /// Adds documents whose ids begin with `first`.
    pub(crate) fn add<D: Document>(&mut self, first: u32, documents: &[D]) {
        let mut run = Vec::with_capacity(documents.len());
        let path = Path::new(&self.path);
        for (id, document) in (first..).zip(documents) {
            let number = path.find(document).and_then(|value| value.view().number());
            // No range has what is not a number in it.
            if let Some(number) = number.filter(|number| !number.is_nan()) {
                run.push((without_sign_of_zero(number), id));
            }
        }
        if run.is_empty() {
            return;
        }
        run.sort_unstable_by(by_number);
        while let Some(mut last) = self.runs.pop_if(|last| last.len() < 2 * run.len()) {
            last.append(&mut run);
            // A stable sort finds the two sorted halves and only merges them.
            last.sort_by(by_number);
            run = last;
        }
        self.runs.push(run);
    }

    /// Ids of the documents with a number in this range, ascending.
    pub(crate) fn between(&self, low: f64, high: f64) -> Vec<u32> {
        let mut ids = Vec::new();
        for run in &self.runs {
            let from = run.partition_point(|entry| entry.0 < low);
            let found = run.iter().skip(from).take_while(|entry| entry.0 <= high);
            ids.extend(found.map(|entry| entry.1));
        }
        ids.sort_unstable();
        ids
    }
}

fn by_number(a: &Entry, b: &Entry) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0)
}

/// Ranges take -0 and 0 for the same, the total order does not.
fn without_sign_of_zero(number: f64) -> f64 {
    number + 0.0
}
