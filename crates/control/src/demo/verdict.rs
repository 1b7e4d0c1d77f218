//! Whether all carriers brought the same answers.

use thiserror::Error;

use super::digest::Digest;
use super::kind::Kind;
use super::message::Findings;
use super::transport::Carrier;

/// A carrier brought other answers than the service gives. That is a defect of
/// the carrier: no figure of that run means anything.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "WRONG ANSWERS: {} over {carrier} brought {} messages with digest {brought}, \
     the service gives {} with digest {right}",
    kind.method(), brought.messages, right.messages
)]
pub struct WrongAnswers {
    /// The kind of call.
    pub kind: Kind,
    /// The carrier to blame.
    pub carrier: Carrier,
    /// What it brought.
    pub brought: Digest,
    /// What it should have brought.
    pub right: Digest,
}

/// Compares the answers over each carrier with those of the service itself.
///
/// # Errors
/// Names the first carrier that brought other answers.
pub fn require_equal_answers(findings: &Findings) -> Result<(), WrongAnswers> {
    for measurement in &findings.measurements {
        let right = findings
            .reference
            .iter()
            .find(|(kind, _)| *kind == measurement.kind)
            .map(|(_, digest)| *digest)
            .unwrap_or_default();
        if measurement.answers != right {
            return Err(WrongAnswers {
                kind: measurement.kind,
                carrier: measurement.carrier,
                brought: measurement.answers,
                right,
            });
        }
    }
    Ok(())
}
