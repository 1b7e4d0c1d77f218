//! The type without values.
use std::fmt;
use std::mem::MaybeUninit;

use super::check::Checker;
use super::flaw::Refused;
use super::layout::Schema;
use super::niche::Niches;
use super::{Bounds, Shared};

/// The error of a method that returns none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Never {}

impl fmt::Debug for Never {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl fmt::Display for Never {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl std::error::Error for Never {}

// SAFETY: no value of it passes the check.
unsafe impl Shared for Never {
    type At<'a> = Self;

    const DENSE: bool = true;
    const PLAIN: bool = false;
    const POINTERS: bool = false;
    const SAMPLE: MaybeUninit<Self> = MaybeUninit::uninit();
    const NICHES: Niches = Niches::NONE;

    unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
        Err(checker.no_variant::<Self>(at, 0))
    }

    unsafe fn write(&self, _into: *mut Self) {
        match *self {}
    }

    fn lies_in(&self, _bounds: &Bounds) -> bool {
        match *self {}
    }

    fn describe(_schema: &mut Schema) -> String {
        "!".to_owned()
    }
}
