//! How a message knows, while it is encoded, whether references can go with it.
//!
//! A message is encoded by code that knows nothing of connections, so this is said
//! aside, on the thread that encodes: the transport says for which connection it
//! asks a body for data ([`Carried::collect`]), and the codec that what is encoded
//! now is that data ([`encoding`]). Whatever else is encoded meanwhile, to be
//! stored or to be sent elsewhere, holds plain bytes.

use std::cell::RefCell;
use std::mem;

use nowire_memory::refs::{Ref, RefError};

#[cfg(feature = "prost")]
use super::arrived::{TOKEN_BYTES, token};
use super::connection::{Carrier, Passings};
use crate::Sender;

thread_local! {
    static CARRYING: RefCell<Carrying> = const { RefCell::new(Carrying::NOTHING) };
    static BROKEN: RefCell<Option<RefError>> = const { RefCell::new(None) };
}

/// What is asked for on this thread; without a carrier the rest is empty.
#[derive(Debug)]
struct Carrying {
    carrier: Option<Carrier>,
    /// From how many bytes on data goes by reference in the message that is being
    /// encoded: decided once a message, whose length is asked for before its bytes.
    from_bytes: Option<usize>,
    /// How many more references may be carried, once there was a message.
    room: Option<usize>,
    /// Where the blobs lie that go by reference in this message: each is asked
    /// several times how it goes, and must say the same each time.
    referred: Vec<usize>,
    carried: Carried,
}

impl Carrying {
    const NOTHING: Self = Self {
        carrier: None,
        from_bytes: None,
        room: None,
        referred: Vec::new(),
        carried: Carried {
            passings: Passings::new_const(),
        },
    };
}

/// The references of what was encoded, ready to be sent.
#[derive(Debug, Default)]
pub struct Carried {
    passings: Passings,
}

/// Puts back what was there, also when the body panics.
struct Restore<'a> {
    carrier: &'a mut Option<Carrier>,
    carried: &'a mut Option<Carried>,
    outer: Option<Carrying>,
}

impl<'a> Restore<'a> {
    fn new(carrier: &'a mut Option<Carrier>, carried: &'a mut Option<Carried>) -> Self {
        let outer = CARRYING.with_borrow_mut(|carrying| {
            let is_amid = carrying.carrier.is_some();
            let outer = is_amid.then(|| mem::replace(carrying, Carrying::NOTHING));
            carrying.carrier = carrier.take();
            outer
        });
        Self {
            carrier,
            carried,
            outer,
        }
    }
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        CARRYING.with_borrow_mut(|carrying| {
            *self.carrier = carrying.carrier.take();
            carrying.room = None;
            if !carrying.carried.passings.is_empty() {
                *self.carried = Some(mem::take(&mut carrying.carried));
            }
            if let Some(outer) = self.outer.take() {
                *carrying = outer;
            }
        });
    }
}

impl Carried {
    /// Runs `produce`, which may encode messages for the peer of `carrier`, and
    /// gathers the references in them, if there are some. Meanwhile the carrier is
    /// not in its place.
    pub fn collect<R>(
        carrier: &mut Option<Carrier>,
        produce: impl FnOnce() -> R,
    ) -> (R, Option<Self>) {
        let mut carried = None;
        let restore = Restore::new(carrier, &mut carried);
        let produced = produce();
        drop(restore);
        (produced, carried)
    }

    /// Puts them behind those that `sender` is going to send.
    pub fn append_to(self, going: &mut Passings, sender: &Sender) {
        // From here on they count, so that others do not take the same room.
        sender.will_send(self.passings.len());
        if going.is_empty() {
            *going = self.passings;
        } else {
            going.extend(self.passings);
        }
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
            if let Some(Carrier(references)) = &carrying.carrier {
                carrying.from_bytes = encoding.then(|| references.reference_from_bytes());
                carrying.room.get_or_insert_with(|| references.room());
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

/// Whether the blob of `bytes` bytes that lies there may go by reference in the
/// message that is being encoded on this thread: the peer takes only so many. If so,
/// from how many bytes on data does.
#[cfg(feature = "prost")]
pub(super) fn may_refer(address: usize, bytes: usize) -> Option<usize> {
    CARRYING.with_borrow_mut(|carrying| {
        let from_bytes = carrying.from_bytes.filter(|&from| bytes >= from)?;
        if !carrying.referred.contains(&address) {
            carrying.room = Some(carrying.room?.checked_sub(1)?);
            carrying.referred.push(address);
        }
        Some(from_bytes)
    })
}

/// The pool for what goes by reference in the message being encoded.
#[cfg(feature = "prost")]
pub(super) fn pool() -> Option<nowire_memory::refs::Pool> {
    CARRYING.with_borrow(|carrying| {
        let Carrier(references) = carrying.carrier.as_ref()?;
        Some(references.pool().clone())
    })
}

/// Has a reference go along; returns its token.
///
/// # Errors
/// If a part of a segment would have to be copied, or a segment to be sealed, and
/// cannot be.
#[cfg(feature = "prost")]
pub(super) fn carry(reference: &Ref) -> Result<Option<[u8; TOKEN_BYTES]>, RefError> {
    let carrier = CARRYING.with_borrow(|carrying| carrying.carrier.clone());
    let Some(Carrier(references)) = carrier else {
        return Ok(None);
    };
    let number = references.number();
    let passing = references.pass(number, reference)?;
    CARRYING.with_borrow_mut(|carrying| carrying.carried.passings.push(passing));
    Ok(Some(token(references.peer_key(), number)))
}
