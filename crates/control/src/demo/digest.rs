//! A fingerprint of answers, so that carriers can be compared.

use std::fmt;

use serde::{Deserialize, Serialize};

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// Fingerprint of the answers to a set of calls.
///
/// The order in which calls finish does not matter, the order of the messages
/// within a call does. It finds mistakes, not forgeries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Messages received.
    pub messages: u64,
    sum: u64,
}

impl Digest {
    /// Adds the encoded `messages` that answered the call numbered `index`.
    pub fn add(&mut self, index: usize, messages: impl IntoIterator<Item = Vec<u8>>) {
        let mut hash = absorb(FNV_OFFSET, &(index as u64).to_le_bytes());
        for message in messages {
            hash = absorb(hash, &(message.len() as u64).to_le_bytes());
            hash = absorb(hash, &message);
            self.messages += 1;
        }
        self.sum = self.sum.wrapping_add(hash);
    }

    /// Adds all that `other` holds.
    pub fn merge(&mut self, other: Self) {
        self.messages += other.messages;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.sum)
    }
}

fn absorb(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
    })
}
