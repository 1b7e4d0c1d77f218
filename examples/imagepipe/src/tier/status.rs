//! What callers are told.

use tokio::task::JoinError;
use tonic::Status;

use crate::work::WorkError;

impl From<WorkError> for Status {
    fn from(error: WorkError) -> Self {
        let message = error.to_string();
        match error {
            WorkError::Unreadable(_) | WorkError::Quality(_) => Self::invalid_argument(message),
            WorkError::TooLarge(_) => Self::resource_exhausted(message),
            WorkError::Unwritable(_) => Self::internal(message),
        }
    }
}

/// A status as the tier before passes it on: the same, with the name of who said it.
pub(super) fn said_by(name: &str, status: &Status) -> Status {
    Status::with_metadata(
        status.code(),
        format!("{name}: {}", status.message()),
        status.metadata().clone(),
    )
}

pub(super) fn missing_image() -> Status {
    Status::invalid_argument("the message has no image")
}

pub(super) fn unfinished(error: &JoinError) -> Status {
    Status::internal(format!("the work was not finished: {error}"))
}
