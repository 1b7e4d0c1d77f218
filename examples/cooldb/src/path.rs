//! Finding the same field in one document after the other.

use std::cell::Cell;

use smallvec::SmallVec;

use crate::document::Document;

/// Names of fields, each in the one before, as they are written with dots between
/// them. It remembers where among its object's fields each one was: documents
/// that came together are mostly alike.
#[derive(Clone, Debug)]
pub(crate) struct Path<'q> {
    steps: SmallVec<[Step<'q>; 2]>,
}

#[derive(Clone, Debug)]
struct Step<'q> {
    name: &'q str,
    place: Cell<usize>,
}

impl<'q> Path<'q> {
    pub(crate) fn new(path: &'q str) -> Self {
        let steps = path.split('.').map(|name| Step {
            name,
            place: Cell::new(0),
        });
        Self {
            steps: steps.collect(),
        }
    }

    /// What this document has there.
    #[inline]
    pub(crate) fn find<'d, D: Document>(&self, document: &'d D) -> Option<&'d D> {
        self.steps.iter().try_fold(document, |value, step| {
            value.field_near(step.name, &step.place)
        })
    }
}
