//! Why a case did not pass.

use std::{fmt::Debug, time::Duration};

use tonic::{Code, Status};

/// Why a case did not pass: what was expected and what came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Something else came than the case demands.
    #[error("{what}: expected {expected}, got {got}")]
    Mismatch {
        /// What was looked at.
        what: String,
        /// What the description demands.
        expected: String,
        /// What came.
        got: String,
    },
    /// A call that must succeed did not.
    #[error("{call}: expected success, got {code:?}: {message:?}", code = .status.code(), message = .status.message())]
    Refused {
        /// The call.
        call: &'static str,
        /// What it ended with.
        status: Box<Status>,
    },
    /// A call that must fail succeeded.
    #[error("{call}: expected {expected:?}, got success")]
    Succeeded {
        /// The call.
        call: &'static str,
        /// The status it had to end with.
        expected: Code,
    },
    /// A call neither answered nor ended.
    #[error("{call}: expected an answer, got none in {waited:?}")]
    Silent {
        /// The call.
        call: &'static str,
        /// How long the case waited.
        waited: Duration,
    },
    /// No channel to the server.
    #[error("no channel to the server: {0}")]
    Connect(#[source] tonic::codegen::StdError),
    /// A soak saw more failures than it may, or ran out of time.
    #[error(
        "soak: {failed} of {done} calls failed ({allowed} may) and {done} of {wanted} ran before the time was up; last failure: {last}"
    )]
    Soak {
        /// Calls that ran.
        done: usize,
        /// Calls that had to run.
        wanted: usize,
        /// Calls that failed or took too long.
        failed: usize,
        /// Calls that may fail.
        allowed: usize,
        /// The last failure, in words.
        last: String,
    },
    /// A task of the case panicked.
    #[error("a task of the case panicked: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

/// Compares, and says what differs.
pub(crate) fn expect_eq<T: PartialEq + Debug>(
    what: impl Into<String>,
    expected: T,
    got: T,
) -> Result<(), Failure> {
    if expected == got {
        return Ok(());
    }
    Err(Failure::Mismatch {
        what: what.into(),
        expected: format!("{expected:?}"),
        got: format!("{got:?}"),
    })
}

/// The value of a call that must succeed.
pub(crate) fn expect_ok<T>(call: &'static str, result: Result<T, Status>) -> Result<T, Failure> {
    result.map_err(|status| Failure::Refused {
        call,
        status: Box::new(status),
    })
}

/// The status of a call that must fail with `code`.
pub(crate) fn expect_code<T>(
    call: &'static str,
    code: Code,
    result: Result<T, Status>,
) -> Result<Status, Failure> {
    match result {
        Ok(_) => Err(Failure::Succeeded {
            call,
            expected: code,
        }),
        Err(status) if status.code() == code => Ok(status),
        Err(status) => Err(Failure::Mismatch {
            what: call.into(),
            expected: format!("{code:?}"),
            got: format!("{:?}: {:?}", status.code(), status.message()),
        }),
    }
}
