//! Metadata that the server sends back.

use tonic::{Response, Status, metadata::MetadataMap};

use super::door::Trailers;
use crate::{
    cases::{ECHO_INITIAL, ECHO_TRAILING},
    compression::Wishes,
};

/// The metadata of one call that has to come back, first and last.
#[derive(Clone, Debug, Default)]
pub(super) struct Echo {
    initial: MetadataMap,
    trailing: MetadataMap,
}

impl Echo {
    pub(super) fn of(request: &MetadataMap) -> Self {
        let mut echo = Self::default();
        for value in request.get_all(ECHO_INITIAL) {
            echo.initial.append(ECHO_INITIAL, value.clone());
        }
        for value in request.get_all_bin(ECHO_TRAILING) {
            echo.trailing.append_bin(ECHO_TRAILING, value.clone());
        }
        echo
    }

    /// More metadata to end the call with.
    pub(super) fn trailing_mut(&mut self) -> &mut MetadataMap {
        &mut self.trailing
    }

    /// A successful response with what has to come back.
    pub(super) fn response<T>(self, message: T, wishes: Option<Wishes>) -> Response<T> {
        let mut response = Response::from_parts(self.initial, message, Default::default());
        response.extensions_mut().insert(Trailers(self.trailing));
        if let Some(wishes) = wishes {
            response.extensions_mut().insert(wishes);
        }
        response
    }

    /// A failure with what has to come back.
    pub(super) fn status(&self, mut status: Status) -> Status {
        for value in self.trailing.get_all_bin(ECHO_TRAILING) {
            status
                .metadata_mut()
                .append_bin(ECHO_TRAILING, value.clone());
        }
        status
    }
}
