//! Processes that are killed at named points.

use crate::child::Setup;

pub(crate) fn arm(_setup: &Setup) {}

pub(crate) fn call(_setup: &Setup, _announce: impl Fn(&str)) {}
