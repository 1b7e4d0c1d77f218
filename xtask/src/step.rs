//! One step of the check and what can come of it.

use crate::context::Context;

/// A part of the check with a name of its own.
pub(crate) struct Step {
    /// What `--only` and `--skip` call it.
    pub(crate) name: &'static str,
    /// What it makes sure of, in one line.
    pub(crate) what: &'static str,
    /// Does it.
    pub(crate) run: fn(&Context) -> Result<Done, Failure>,
}

/// A step that found nothing wrong.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// A word on what was done: a count, a version.
    pub(crate) note: Option<String>,
    /// Each part that was not looked at, with the reason.
    pub(crate) left_out: Vec<String>,
}

impl Done {
    /// With a word on what was done.
    pub(crate) fn noting(note: impl Into<String>) -> Done {
        Done {
            note: Some(note.into()),
            left_out: Vec::new(),
        }
    }

    /// With one more part that was not looked at.
    pub(crate) fn but_not(mut self, part_and_reason: impl Into<String>) -> Done {
        self.left_out.push(part_and_reason.into());
        self
    }
}

/// What is wrong with the tree, or with the machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) String);

impl Failure {
    /// In these words.
    pub(crate) fn wrong(why: impl Into<String>) -> Failure {
        Failure(why.into())
    }
}
