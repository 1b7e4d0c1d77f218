//! The first three messages on a control socket: hello, and welcome or refusal.
//!
//! The client sends a [`Hello`] with the descriptor of its outbox; the server
//! answers with a [`Welcome`] and the descriptor of its own, or with a
//! [`Refusal`] and closes. Each message is a header and a body; all numbers are
//! little-endian.
//!
//! ```text
//! message   offset  bytes  what
//! header    0       8      magic: 89 "NOWIRE" 0A
//!           8       2      kind: 1 hello, 2 welcome, 3 refusal
//!           10      2      zero, not looked at
//!           12      4      length of the body, at most 4080
//! hello     0       4      oldest protocol version the client speaks
//!           4       4      newest
//!           8       8      features it has, one bit each
//!           16      4      slots of its ring          (geometry of its outbox)
//!           20      4      bytes of its data area
//!           24      4      streams it wants to have open at once, from 1
//!           28      4      window it grants each stream at first, in bytes
//!           32      2      length of the authority
//!           34      2      length of the user agent
//!           36      2      length of the target
//!           38      2      zero, not looked at
//!           40             authority, user agent, target: UTF-8, one after another
//!                          then, with the feature NATIVE, the heap; then, with
//!                          the feature REFERENCES, how it takes references
//!                          anything after that is not looked at
//! welcome   0       4      protocol version chosen
//!           4       4      zero, not looked at
//!           8       8      features both have
//!           16      4      slots of its ring          (geometry of its outbox)
//!           20      4      bytes of its data area
//!           24      4      streams the client may have open at once
//!           28      4      window it grants each stream at first, in bytes
//!           32             with the feature NATIVE, the heap; with the feature
//!                          REFERENCES, how it takes references
//!                          anything after that is not looked at
//! heap      0       4      1 if the side makes native calls; 0 if not, when the
//!                          rest is zero and not looked at
//!           4       8      bytes of its window
//!           12      8      its address
//!           20      4      scopes of at least so many bytes are to be sealed
//!           24      4      zero, not looked at
//! references 0      16     key of the tokens of references to this side; zeros if
//!                          it takes none
//!           16      4      segments of at least so many bytes are to be sealed
//!           20      4      descriptors of references it keeps at a time
//! refusal   0       2      code
//!           2       2      length of the reason
//!           4              reason: UTF-8; anything after it is not looked at
//! ```
//! The header and the first eight bytes of a hello are the same in every version
//! there will be, so that two versions can always tell each other apart. New
//! fields go where older readers do not look.

mod error;
mod fields;
mod header;
mod heap;
mod hello;
mod limits;
mod message;
mod references;
mod refusal;
#[cfg(test)]
mod samples;
mod welcome;

use std::ops::RangeInclusive;

use crate::stream::CREDIT_LIMIT;

pub use error::HandshakeError;
pub use header::{Header, Kind};
pub use heap::HeapOffer;
pub use hello::Hello;
pub use references::ReferenceOffer;
pub use refusal::{Refusal, RefusalCode};
pub use welcome::Welcome;

/// The protocol version this crate speaks.
pub const VERSION: u32 = 1;
/// The versions a peer may choose from.
pub const VERSIONS: RangeInclusive<u32> = VERSION..=VERSION;
/// Feature: hello and welcome say whether the side makes native calls, and where
/// it has its heap.
pub const NATIVE: u64 = 1;
/// Feature: hello and welcome say how the side takes references.
pub const REFERENCES: u64 = 2;
/// The features this crate has.
pub const FEATURES: u64 = NATIVE | REFERENCES;
/// What every message begins with. The first byte is no text, so that nothing
/// that speaks HTTP takes one for the other.
pub const MAGIC: [u8; 8] = *b"\x89NOWIRE\n";
/// Size of the header in bytes.
pub const HEADER_BYTES: usize = 16;
/// Most bytes a message has, header included.
pub const MESSAGE_LIMIT_BYTES: usize = 4096;
/// Most bytes each string of a message has.
pub const TEXT_LIMIT_BYTES: usize = 1024;
/// Numbers of streams that may be open at once.
pub const STREAMS: RangeInclusive<u32> = 1..=65_536;
/// Windows that may be granted to a stream at first, in bytes.
pub const WINDOW_BYTES: RangeInclusive<u32> = 1..=(CREDIT_LIMIT - 1) as u32;

const HELLO_BYTES: usize = 40;
const WELCOME_BYTES: usize = 32;
const REFUSAL_BYTES: usize = 4;
const HEAP_BYTES: usize = 28;
const REFERENCES_BYTES: usize = 24;

const _: () = assert!(MAGIC.len() + 2 + 2 + 4 == HEADER_BYTES);
const _: () = assert!(
    HEADER_BYTES + HELLO_BYTES + 3 * TEXT_LIMIT_BYTES + HEAP_BYTES + REFERENCES_BYTES
        <= MESSAGE_LIMIT_BYTES
);
const _: () =
    assert!(HEADER_BYTES + WELCOME_BYTES + HEAP_BYTES + REFERENCES_BYTES <= MESSAGE_LIMIT_BYTES);
const _: () = assert!(HEADER_BYTES + REFUSAL_BYTES + TEXT_LIMIT_BYTES <= MESSAGE_LIMIT_BYTES);
const _: () = assert!(CREDIT_LIMIT - 1 <= u32::MAX as u64);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::samples::hello;
    use super::*;
    use crate::geometry::Geometry;

    #[test]
    fn the_fixed_parts_have_the_sizes_of_the_table() {
        let empty = Hello {
            features: 0,
            authority: String::new(),
            user_agent: String::new(),
            target: String::new(),
            heap: None,
            references: None,
            ..hello()
        };
        assert_eq!(
            empty.encode().map(|m| m.len()),
            Ok(HEADER_BYTES + HELLO_BYTES)
        );
        let welcome = Welcome {
            version: VERSION,
            features: 0,
            outbox: Geometry::SMALLEST,
            streams: 1,
            window_bytes: 1,
            heap: None,
            references: None,
        };
        assert_eq!(
            welcome.encode().map(|m| m.len()),
            Ok(HEADER_BYTES + WELCOME_BYTES)
        );
        let native = Hello {
            features: NATIVE,
            ..empty.clone()
        };
        assert_eq!(
            native.encode().map(|m| m.len()),
            Ok(HEADER_BYTES + HELLO_BYTES + HEAP_BYTES)
        );
        let with_references = Hello {
            features: REFERENCES,
            ..empty
        };
        assert_eq!(
            with_references.encode().map(|m| m.len()),
            Ok(HEADER_BYTES + HELLO_BYTES + REFERENCES_BYTES)
        );
        let native = Welcome {
            features: NATIVE,
            ..welcome
        };
        assert_eq!(
            native.encode().map(|m| m.len()),
            Ok(HEADER_BYTES + WELCOME_BYTES + HEAP_BYTES)
        );
        let refusal = Refusal {
            code: RefusalCode::Version,
            reason: String::new(),
        };
        assert_eq!(refusal.encode().len(), HEADER_BYTES + REFUSAL_BYTES);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(
            header: [u8; HEADER_BYTES],
            mut body in proptest::collection::vec(any::<u8>(), 0..200),
            ours: bool,
        ) {
            let mut header = header;
            if ours {
                header[..8].copy_from_slice(&MAGIC);
                header[9] = 0;
                if let Some(versions) = body.get_mut(..8) {
                    versions.copy_from_slice(b"\x01\0\0\0\x01\0\0\0");
                }
            }
            let _ = Header::decode(&header);
            let _ = Hello::decode(&body);
            let _ = Welcome::decode(&body, &hello());
            let _ = Refusal::decode(&body);
        }
    }
}
