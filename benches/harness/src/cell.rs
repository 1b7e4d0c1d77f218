//! What can be measured: a case, on a carrier, at a size.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The kind of exchange a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Case {
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
    /// Calls that do nothing: a number there, a number back.
    Noop,
    /// A tree that is already built goes there, the sum over it comes back.
    Tree,
    /// The same with the tree built before each call, which counts.
    Grow,
    /// The server builds a tree for each call, and the client sums it.
    Fetch,
    /// The bytes lie ready; the server is called with them and reads none.
    Pass,
    /// The caller writes the bytes, the server reads them all.
    Write,
    /// A connection is made and destroyed again.
    Channel,
    /// Pages are made unchangeable and checked by who is to read them.
    Seal,
    /// The bytes go through a chain of services, the last of which sums them.
    Nested,
    /// The same through two lengths of chains, for what a service between adds.
    Hop,
    /// The bytes go through a balancer to one of two services, which sums them.
    Balance,
    /// The owner of written memory gives up writing and gets what can be passed.
    Share,
    /// The callee changes a part of the bytes it was sent.
    Change,
    /// The steps by which a stranger is sure that bytes do not change.
    Stranger,
    /// An image goes through all tiers of the image service.
    Image,
}

/// What lies between the client's stub and the server's handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// No call at all: cache lines moved between two cores.
    Floor,
    /// tonic's client calling tonic's routes in one process.
    Inprocess,
    /// gRPC over Nowire's shared memory.
    Nowire,
    /// tonic's HTTP/2 over a Unix socket.
    Unix,
    /// tonic's HTTP/2 over TCP loopback.
    Tcp,
    /// Native calls to a server that reads arguments where they lie.
    Trust,
    /// Native calls to a server that copies arguments before it checks them.
    Copy,
    /// Native calls to a server that reads sealed arguments where they lie.
    Sealed,
    /// iceoryx2's request-response, both sides polling.
    Iceoryx2,
    /// One process that copies, for comparison.
    Memcpy,
    /// gRPC over Nowire's shared memory, large data in a field of bytes as prost
    /// decodes it.
    Plain,
    /// gRPC over Nowire's shared memory, large data by reference from a pool
    /// that uses its segments again.
    Refs,
    /// The same from a pool whose segments are used once.
    Fresh,
    /// Ray's object store and actors.
    Ray,
}

impl Carrier {
    /// Whether this is a native call, by whatever tier.
    pub fn is_native(self) -> bool {
        matches!(self, Self::Trust | Self::Copy | Self::Sealed)
    }
}

/// How a side waits for its peer, where the carrier lets one choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
pub enum Wait {
    /// The carrier knows no such choice.
    #[value(name = "-")]
    #[serde(rename = "-")]
    Fixed,
    /// Spins while that pays off.
    #[serde(rename = "adaptive")]
    Adaptive,
    /// Spins for long.
    #[serde(rename = "spin")]
    Spin,
    /// Sleeps at once.
    #[serde(rename = "park")]
    Park,
}

/// A client and its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Party {
    /// What lies between them.
    pub carrier: Carrier,
    /// How they wait for each other.
    pub wait: Wait,
}

/// Calls of one case, size and number in flight, on whatever carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// What a call is.
    pub case: Case,
    /// Payload of a call.
    pub bytes: usize,
    /// Calls at a time.
    pub in_flight: usize,
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
