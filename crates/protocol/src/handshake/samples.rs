//! Messages and parts of them, for the tests.

use proptest::prelude::*;

use super::{HandshakeError, Header, HeapOffer, Hello, ReferenceOffer, VERSIONS};
use crate::geometry::Geometry;

pub(super) fn hello() -> Hello {
    Hello {
        versions: VERSIONS,
        features: 0b101,
        outbox: Geometry::DEFAULT,
        streams: 100,
        window_bytes: 65_536,
        authority: "inventory".into(),
        user_agent: "tests/1".into(),
        target: "nowire:inventory".into(),
        heap: Some(HeapOffer {
            base: 0x1000_0000_0000,
            window_bytes: 1 << 30,
            seal_from_bytes: 65_536,
        }),
        references: None,
    }
}

/// Every heap that can be.
pub(super) fn heap() -> impl Strategy<Value = HeapOffer> {
    (20_u32..=40, any::<u64>(), any::<u32>()).prop_map(|(log, place, seal_from_bytes)| {
        let window_bytes = 1 << log;
        let places = HeapOffer::ADDRESS_LIMIT / window_bytes;
        HeapOffer {
            base: (place % (places - 2) + 1) * window_bytes,
            window_bytes,
            seal_from_bytes,
        }
    })
}

/// Every way to take references.
pub(super) fn references() -> impl Strategy<Value = ReferenceOffer> {
    let numbers = any::<(u32, u32)>();
    (any::<[u8; 15]>(), 1_u8.., numbers).prop_map(|(rest, last, (seal_from_bytes, held_limit))| {
        let mut key = [last; 16];
        key[..15].copy_from_slice(&rest);
        ReferenceOffer {
            key,
            seal_from_bytes,
            held_limit,
        }
    })
}

pub(super) fn split(message: &[u8]) -> (Result<Header, HandshakeError>, &[u8]) {
    let (header, body) = message.split_first_chunk().expect("a whole header");
    (Header::decode(header), body)
}

pub(super) fn geometry() -> impl Strategy<Value = Geometry> {
    (3_u32..=16, 64_u32..=1 << 24)
        .prop_map(|(log, lines)| Geometry::new(1 << log, lines * 64).expect("both are in range"))
}

pub(super) fn text() -> impl Strategy<Value = String> {
    "[^\\pC]{0,80}"
}
