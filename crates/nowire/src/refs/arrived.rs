//! References that have come and that nobody has taken yet.
//!
//! Messages are decoded far from the connection they came on, so a token names the
//! connection: by a random key that only its two sides know.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use nowire_memory::refs::{Ref, RefError};
use nowire_protocol::frame::StreamId;

use super::arriving::Arrival;
use crate::crash::crash_point;

/// The key of one side of a connection.
pub(crate) type Key = [u8; 16];

/// Length of a token in bytes.
pub(crate) const TOKEN_BYTES: usize = 24;

static CONNECTIONS: LazyLock<Mutex<Numbered<u128, Arc<Arrived>>>> = LazyLock::new(Mutex::default);

/// A map whose keys are as good as hashes: random, or counted up.
type Numbered<K, V> = HashMap<K, V, BuildHasherDefault<Number>>;

/// The low half of a number. A peer can choose the numbers of its references so
/// that they collide, and wait longer for its own.
#[derive(Default)]
struct Number(u64);

impl Hasher for Number {
    fn finish(&self) -> u64 {
        // The map takes the places from the low bits and tells apart by the high ones.
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn write_u128(&mut self, number: u128) {
        self.0 = number as u64;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Waiting {
    stream: StreamId,
    reference: Arrival,
}

/// What has come on one connection.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    waiting: Mutex<Numbered<u64, Waiting>>,
}

impl Arrived {
    /// Keeps a reference until it is taken or its call is over; false if there is
    /// one of this number.
    pub(crate) fn keep(&self, stream: StreamId, number: u64, reference: Arrival) -> bool {
        let waiting = Waiting { stream, reference };
        // What was there goes down with the connection.
        lock(&self.waiting).insert(number, waiting).is_none()
    }

    /// Lets go of what nobody took of a call that is over.
    pub(crate) fn forget(&self, stream: StreamId) {
        let over: Vec<Waiting> = {
            let mut waiting = lock(&self.waiting);
            if waiting.is_empty() {
                return;
            }
            let over = waiting.extract_if(|_, waiting| waiting.stream == stream);
            over.map(|(_, waiting)| waiting).collect()
        };
        if !over.is_empty() {
            drop(over);
            crash_point!("refs.forgotten");
        }
    }
}

/// A connection's place among those whose tokens are known.
#[derive(Debug)]
pub(crate) struct Registered {
    key: Key,
    arrived: Arc<Arrived>,
}

impl Registered {
    pub(crate) fn new(key: Key) -> Self {
        let arrived = Arc::new(Arrived::default());
        lock(&CONNECTIONS).insert(u128::from_le_bytes(key), Arc::clone(&arrived));
        Self { key, arrived }
    }

    pub(crate) fn arrived(&self) -> &Arc<Arrived> {
        &self.arrived
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock(&CONNECTIONS).remove(&u128::from_le_bytes(self.key));
    }
}

/// The token of a reference to the side with this key.
pub(crate) fn token(key: &Key, number: u64) -> [u8; TOKEN_BYTES] {
    let mut token = [0; TOKEN_BYTES];
    token[..16].copy_from_slice(key);
    token[16..].copy_from_slice(&number.to_le_bytes());
    token
}

/// Takes what a token stands for; it can be taken once.
pub(crate) fn take(token: &[u8]) -> Result<Ref, RefError> {
    let expired = || RefError::Expired {
        peer: "its sender".into(),
    };
    let (key, number) = token.split_first_chunk::<16>().ok_or_else(expired)?;
    let number = number.try_into().map_err(|_| expired())?;
    let arrived = lock(&CONNECTIONS)
        .get(&u128::from_le_bytes(*key))
        .cloned()
        .ok_or_else(expired)?;
    let waiting = lock(&arrived.waiting).remove(&u64::from_le_bytes(number));
    crash_point!("refs.taken-by-message");
    waiting
        .ok_or_else(expired)?
        .reference
        .map_err(|error| *error)
}
