//! The steps, cheapest first, so that the common mistake is seen soonest.

mod deny;
mod docs;
mod format;
mod fuzz;
mod lint;
mod loom;
mod programs;
mod test;

use crate::step::Step;

/// Every step, in the order it runs.
pub(crate) const ALL: &[Step] = &[
    format::STEP,
    deny::STEP,
    lint::STEP,
    docs::STEP,
    test::STEP,
    docs::EXAMPLES,
    loom::STEP,
    programs::DEMO,
    programs::INTEROP,
    fuzz::STEP,
];

/// The names of all steps.
pub(crate) fn names() -> Vec<&'static str> {
    ALL.iter().map(|step| step.name).collect()
}
