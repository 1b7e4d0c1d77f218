//! One thing a machine has or lacks.

use serde::Serialize;

/// What a thing means to Nowire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is here and Nowire uses it.
    Used,
    /// It is here; Nowire does not use it yet.
    Unused,
    /// It is not here, and Nowire does not need it.
    Absent,
    /// It is not here, or too small, and Nowire cannot work well without.
    Missing,
}

/// One line of the doctor's table.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Name for programs; stays the same between versions.
    pub id: &'static str,
    /// Name for people.
    pub what: &'static str,
    /// What it means to Nowire.
    pub status: Status,
    /// What was found.
    pub here: String,
    /// What Nowire does with it today.
    pub today: String,
}

impl Finding {
    /// A finding about something Nowire can do without.
    pub(super) fn offer(
        id: &'static str,
        what: &'static str,
        here: Option<String>,
        today: &str,
    ) -> Self {
        let (status, here) = match here {
            Some(here) => (Status::Unused, here),
            None => (Status::Absent, "none".to_owned()),
        };
        Self {
            id,
            what,
            status,
            here,
            today: today.to_owned(),
        }
    }

    /// A finding about something Nowire needs: what was found, or what is wrong.
    pub(super) fn need(
        id: &'static str,
        what: &'static str,
        here: Result<String, String>,
        today: &str,
    ) -> Self {
        let (status, here) = match here {
            Ok(here) => (Status::Used, here),
            Err(lack) => (Status::Missing, lack),
        };
        Self {
            id,
            what,
            status,
            here,
            today: today.to_owned(),
        }
    }
}
