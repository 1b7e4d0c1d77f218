//! Why a native call led to no reply.

use std::fmt;
use std::sync::Arc;

use nowire_memory::data::{Never, ScopeError};
use nowire_memory::heap::TakeError;
use nowire_memory::refs::RefError;

use super::client::Failed;
use crate::error::ConnectionError;

/// The kind of a failure, numbered as gRPC numbers its status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The caller gave up, or the handler did.
    Cancelled,
    /// The arguments are not what the method takes.
    InvalidArgument,
    /// The time the caller gave was up.
    DeadlineExceeded,
    /// The server has no memory left for this, or too many calls.
    ResourceExhausted,
    /// There is no such method, or it is laid out otherwise.
    Unimplemented,
    /// The handler panicked, or ended without a reply.
    Internal,
    /// The server is shutting down.
    Unavailable,
    /// A code this version does not know.
    Other(u16),
}

impl Code {
    /// The code for data that was not taken.
    pub(crate) fn of_taking(error: &TakeError) -> Self {
        match error {
            TakeError::NoMemory { .. } => Self::ResourceExhausted,
            _ => Self::InvalidArgument,
        }
    }

    pub(crate) fn to_wire(self) -> u16 {
        match self {
            Self::Cancelled => 1,
            Self::InvalidArgument => 3,
            Self::DeadlineExceeded => 4,
            Self::ResourceExhausted => 8,
            Self::Unimplemented => 12,
            Self::Internal => 13,
            Self::Unavailable => 14,
            Self::Other(code) => code,
        }
    }

    pub(crate) fn from_wire(code: u16) -> Self {
        match code {
            1 => Self::Cancelled,
            3 => Self::InvalidArgument,
            4 => Self::DeadlineExceeded,
            8 => Self::ResourceExhausted,
            12 => Self::Unimplemented,
            13 => Self::Internal,
            14 => Self::Unavailable,
            other => Self::Other(other),
        }
    }
}

/// Why a native call led to no reply. `E` is the error that the method itself
/// may return.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError<E = Never> {
    /// The handler returned this error.
    Returned(E),
    /// The server could not have the method run, or run to its end.
    Failed {
        /// What kind of failure.
        code: Code,
        /// What the server says.
        text: String,
        /// The server.
        peer: Arc<str>,
    },
    /// The time given was up. The call may have run.
    DeadlineExceeded {
        /// The server.
        peer: Arc<str>,
    },
    /// The connection is no more; it says whether the call may have run.
    Connection(ConnectionError),
    /// The two programs lay out the types of this method differently.
    Layout(Arc<Mismatch>),
    /// The arguments lie in different scopes: build them all in one.
    SeveralScopes,
    /// An argument lies in no scope of this channel: build it in one of
    /// `scope()`.
    OtherChannel,
    /// Arguments by value, or metadata, of more bytes than a message carries:
    /// build them in a scope.
    TooLarge {
        /// Bytes of the arguments and metadata.
        bytes: usize,
        /// Bytes a message carries.
        limit_bytes: usize,
    },
    /// Metadata that cannot be sent.
    Metadata(String),
    /// A scope had no room.
    Scope(ScopeError),
    /// A reference could not be passed, or the one that came cannot be used here.
    Reference(RefError),
    /// The server takes no references: its settings forbid them, or it is of a
    /// version without.
    NoReferences {
        /// The server.
        peer: Arc<str>,
    },
}

/// The types of a method are laid out differently in client and server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The server.
    pub peer: String,
    /// Service and method.
    pub method: String,
    /// The first difference.
    pub difference: String,
    /// How this side lays the types out.
    pub ours: String,
    /// How the server does; empty if it has no such method.
    pub theirs: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            peer,
            method,
            difference,
            ours,
            theirs,
        } = self;
        if theirs.is_empty() {
            return write!(f, "{peer} has no method {method}: {difference}");
        }
        write!(
            f,
            "{method} is laid out otherwise at {peer}: {difference}; build both from the same types\nhere:\n{ours}\nthere:\n{theirs}"
        )
    }
}

impl<E: fmt::Debug> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned(error) => write!(f, "{error:?}"),
            Self::Failed { code, text, peer } => write!(f, "{peer}: {code:?}: {text}"),
            Self::DeadlineExceeded { peer } => {
                write!(f, "{peer} did not reply in time; the call may have run")
            }
            Self::Connection(error) => error.fmt(f),
            Self::Layout(mismatch) => mismatch.fmt(f),
            Self::SeveralScopes => {
                write!(f, "the arguments lie in several scopes: build them in one")
            }
            Self::OtherChannel => write!(
                f,
                "an argument lies in no scope of this channel: build it in one that its scope() gave"
            ),
            Self::TooLarge { bytes, limit_bytes } => write!(
                f,
                "arguments by value and metadata of {bytes} bytes: at most {limit_bytes} go with a call; build them in a scope"
            ),
            Self::Metadata(reason) => write!(f, "metadata: {reason}"),
            Self::Scope(error) => error.fmt(f),
            Self::Reference(error) => error.fmt(f),
            Self::NoReferences { peer } => write!(f, "{peer} takes no references"),
        }
    }
}

impl<E: fmt::Debug> std::error::Error for CallError<E> {}

impl<E> From<ConnectionError> for CallError<E> {
    fn from(error: ConnectionError) -> Self {
        Self::Connection(error)
    }
}

impl<E> From<ScopeError> for CallError<E> {
    fn from(error: ScopeError) -> Self {
        Self::Scope(error)
    }
}

impl<E> From<RefError> for CallError<E> {
    fn from(error: RefError) -> Self {
        Self::Reference(error)
    }
}

impl<E> From<Arc<Mismatch>> for CallError<E> {
    fn from(mismatch: Arc<Mismatch>) -> Self {
        Self::Layout(mismatch)
    }
}

impl CallError<Never> {
    /// The same failure, of a method that may return `E`: for `map_err` in a
    /// function that calls both kinds of methods. (There can be no `From`: it
    /// would also convert an error to itself.)
    ///
    /// ```
    /// # use nowire::{CallError, Never};
    /// fn both(
    ///     first: Result<u64, CallError>,
    ///     second: Result<u64, CallError<u32>>,
    /// ) -> Result<u64, CallError<u32>> {
    ///     Ok(first.map_err(CallError::widen)? + second?)
    /// }
    /// assert_eq!(both(Ok(1), Ok(2)).unwrap(), 3);
    /// ```
    pub fn widen<E>(self) -> CallError<E> {
        match self {
            Self::Returned(never) => match never {},
            Self::Failed { code, text, peer } => CallError::Failed { code, text, peer },
            Self::DeadlineExceeded { peer } => CallError::DeadlineExceeded { peer },
            Self::Connection(error) => CallError::Connection(error),
            Self::Layout(mismatch) => CallError::Layout(mismatch),
            Self::SeveralScopes => CallError::SeveralScopes,
            Self::OtherChannel => CallError::OtherChannel,
            Self::TooLarge { bytes, limit_bytes } => CallError::TooLarge { bytes, limit_bytes },
            Self::Metadata(reason) => CallError::Metadata(reason),
            Self::Scope(error) => CallError::Scope(error),
            Self::Reference(error) => CallError::Reference(error),
            Self::NoReferences { peer } => CallError::NoReferences { peer },
        }
    }
}

impl<E> CallError<E> {
    pub(crate) fn of(failed: Failed, peer: impl FnOnce() -> Arc<str>) -> Self {
        match failed {
            Failed::Deadline => Self::DeadlineExceeded { peer: peer() },
            Failed::Over(error) => Self::Connection(error),
        }
    }
}
