//! How a message knows, while it is encoded, whether references can go with it.
//!
//! A message is encoded by code that knows nothing of connections, so this is said
//! aside, on the thread that encodes: the transport says for which connection it
//! asks a body for data ([`Carried::collect`]), and the codec that what is encoded
//! now is that data ([`encoding`]). Whatever else is encoded meanwhile, to be
//! stored or to be sent elsewhere, holds plain bytes.

use std::cell::RefCell;

use nowire_memory::refs::{Ref, RefError};
use smallvec::SmallVec;

#[cfg(feature = "prost")]
use super::arrived::{TOKEN_BYTES, token};
use super::connection::{Carrier, Passings};
use crate::Sender;

thread_local! {
    static CARRYING: RefCell<Option<Carrying>> = const { RefCell::new(None) };
    static BROKEN: RefCell<Option<RefError>> = const { RefCell::new(None) };
}

#[derive(Debug)]
struct Carrying {
    carrier: Carrier,
    /// From how many bytes on data goes by reference in the message that is being
    /// encoded: decided once a message, whose length is asked for before its bytes.
    from_bytes: Option<usize>,
    /// How many more references may be carried.
    room: usize,
    /// Where the blobs lie that go by reference in this message: each is asked
    /// several times how it goes, and must say the same each time.
    referred: SmallVec<[usize; 2]>,
    carried: Carried,
}

/// The references of what was encoded, by the numbers in their tokens.
#[derive(Debug, Default)]
pub struct Carried {
    refs: SmallVec<[(u64, Ref); 1]>,
}

/// Puts back what was there, also when the body panics.
struct Restore(Option<Carrying>);

impl Drop for Restore {
    fn drop(&mut self) {
        CARRYING.set(self.0.take());
    }
}

impl Carried {
    /// Runs `produce`, which may encode messages for the peer of `carrier`, and
    /// gathers the references in them.
    pub fn collect<R>(carrier: &Carrier, produce: impl FnOnce() -> R) -> (R, Self) {
        let carrying = Carrying {
            carrier: carrier.clone(),
            from_bytes: None,
            room: carrier.0.room(),
            referred: SmallVec::new(),
            carried: Self::default(),
        };
        let _restore = Restore(CARRYING.replace(Some(carrying)));
        let produced = produce();
        let carried = CARRYING.take().map(|carrying| carrying.carried);
        (produced, carried.unwrap_or_default())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.refs.is_empty()
    }

    /// Makes them ready to be sent, in the order of their numbers, by `sender`.
    ///
    /// # Errors
    /// If a part of a segment would have to be copied, or a segment to be sealed,
    /// and cannot be.
    pub fn pass(self, sender: &Sender) -> Result<Passings, RefError> {
        let Some(Carrier(references)) = sender.carrier() else {
            return Ok(Passings::new());
        };
        // From here on they count, so that others do not take the same room.
        sender.will_send(&references, self.refs.len());
        let pass = |(number, reference)| references.pass(number, &reference);
        self.refs.into_iter().map(pass).collect()
    }
}

/// Runs `encode`, which encodes the next message of a body. A codec calls this
/// around the encoder of messages with [`Blob`](super::Blob)s in them.
///
/// # Errors
/// If a blob in the message did not arrive here, or cannot be read: the message
/// must not be sent.
pub fn encoding<R>(encode: impl FnOnce() -> R) -> Result<R, RefError> {
    struct Done;
    impl Drop for Done {
        fn drop(&mut self) {
            set(false);
        }
    }
    fn set(encoding: bool) {
        CARRYING.with_borrow_mut(|carrying| {
            if let Some(carrying) = carrying {
                let Carrier(references) = &carrying.carrier;
                carrying.from_bytes = encoding.then(|| references.reference_from_bytes());
                carrying.referred.clear();
            }
        });
    }
    set(true);
    BROKEN.set(None);
    let _done = Done;
    let encoded = encode();
    BROKEN.take().map_or(Ok(encoded), Err)
}

/// Notes that the message being encoded has a blob that cannot be sent.
#[cfg(feature = "prost")]
pub(super) fn broken(error: RefError) {
    BROKEN.set(Some(error));
}

/// From how many bytes on data goes by reference in the message that is being
/// encoded on this thread; none if it goes by value.
#[cfg(feature = "prost")]
pub(super) fn reference_from_bytes() -> Option<usize> {
    CARRYING.with_borrow(|carrying| carrying.as_ref()?.from_bytes)
}

/// Whether the blob that lies there, which is long enough, may go by reference in
/// the message being encoded: the peer takes only so many.
#[cfg(feature = "prost")]
pub(super) fn may_refer(address: usize) -> bool {
    CARRYING.with_borrow_mut(|carrying| {
        let Some(carrying) = carrying else {
            return false;
        };
        if carrying.referred.contains(&address) {
            return true;
        }
        let Some(room) = carrying.room.checked_sub(1) else {
            return false;
        };
        carrying.room = room;
        carrying.referred.push(address);
        true
    })
}

/// The pool for what goes by reference in the message being encoded.
#[cfg(feature = "prost")]
pub(super) fn pool() -> Option<nowire_memory::refs::Pool> {
    CARRYING.with_borrow(|carrying| {
        let Carrier(references) = &carrying.as_ref()?.carrier;
        Some(references.pool().clone())
    })
}

/// Has a reference go along; returns its token.
#[cfg(feature = "prost")]
pub(super) fn carry(reference: &Ref) -> Option<[u8; TOKEN_BYTES]> {
    CARRYING.with_borrow_mut(|carrying| {
        let carrying = carrying.as_mut()?;
        let Carrier(references) = &carrying.carrier;
        let number = references.number();
        carrying.carried.refs.push((number, reference.clone()));
        Some(token(references.peer_key(), number))
    })
}
