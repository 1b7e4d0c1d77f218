//! What can be measured: a case, on a carrier, at a size.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The kind of exchange a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Case {
    /// Unary calls, back to back, one or more in flight.
    Unary,
    /// One bidirectional stream on which a message waits for the last one's answer.
    Stream,
    /// Unary calls with a pause before each, so that both sides are asleep.
    Parked,
    /// From an endpoint to a channel that can be called.
    Connect,
    /// Many connections on which nothing happens.
    Idle,
}

/// What lies between the client's stub and the server's handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Carrier {
    /// No gRPC at all: cache lines moved between two cores.
    Floor,
    /// tonic's client calling tonic's routes in one process.
    Inprocess,
    /// Nowire's shared memory.
    Nowire,
    /// tonic's HTTP/2 over a Unix socket.
    Unix,
    /// tonic's HTTP/2 over TCP loopback.
    Tcp,
}

/// How a side waits for its peer, where the carrier lets one choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Wait {
    /// The carrier knows no such choice.
    #[value(name = "-")]
    #[serde(rename = "-")]
    Fixed,
    #[serde(rename = "adaptive")]
    Adaptive,
    #[serde(rename = "park")]
    Park,
}

impl Wait {
    /// The policy as Nowire names it.
    pub(crate) fn policy(self) -> nowire_grpc::Wait {
        match self {
            Self::Fixed => nowire_grpc::Wait::default(),
            Self::Adaptive => nowire_grpc::Wait::Adaptive,
            Self::Park => nowire_grpc::Wait::Park,
        }
    }
}

/// A client and its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Party {
    pub(crate) carrier: Carrier,
    pub(crate) wait: Wait,
}

/// Calls of one case, size and number in flight, on whatever carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) case: Case,
    pub(crate) bytes: usize,
    pub(crate) in_flight: usize,
}

macro_rules! shown_as_on_the_command_line {
    ($($type:ty)*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let value = self.to_possible_value();
                f.pad(value.as_ref().map_or("?", |value| value.get_name()))
            }
        }
    )*};
}

shown_as_on_the_command_line!(Case Carrier Wait);

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wait {
            Wait::Fixed => write!(f, "{}", self.carrier),
            wait => write!(f, "{} ({wait})", self.carrier),
        }
    }
}
