use std::ops::RangeInclusive;

use super::fields::Fields;
use super::message::Message;
use super::{HandshakeError, NATIVE};

/// Where a side that makes native calls has its heap, and how it wants to be
/// handed large scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapOffer {
    /// Address of the heap in its owner, to which pointers in it refer; a
    /// multiple of `window_bytes`.
    pub base: u64,
    /// Addresses kept for the heap, in bytes: a power of two in
    /// [`WINDOW_BYTES`](Self::WINDOW_BYTES). The heap itself may be smaller.
    pub window_bytes: u64,
    /// Scopes of at least so many bytes are to be sealed by whoever sends them to
    /// this side; `u32::MAX` for none.
    pub seal_from_bytes: u32,
}

impl HeapOffer {
    /// Sizes in bytes that the window of a heap may have; a power of two.
    pub const WINDOW_BYTES: RangeInclusive<u64> = 1 << 20..=1 << 40;
    /// Where addresses end that any process may have on any machine of this kind.
    pub const ADDRESS_LIMIT: u64 = 1 << 47;

    /// Checks the numbers of an offer.
    ///
    /// # Errors
    /// [`HandshakeError::Heap`] if no heap can be there.
    pub fn check(self) -> Result<Self, HandshakeError> {
        let refuse = |what| {
            Err(HandshakeError::Heap {
                base: self.base,
                window_bytes: self.window_bytes,
                what,
            })
        };
        if !Self::WINDOW_BYTES.contains(&self.window_bytes) || !self.window_bytes.is_power_of_two()
        {
            return refuse("the window must be a power of two from 1 MiB to 1 TiB");
        }
        if self.base == 0 || !self.base.is_multiple_of(self.window_bytes) {
            return refuse("the address must be a multiple of the window and not 0");
        }
        // Both are multiples of the window, so the end does not overflow here.
        if self.base >= Self::ADDRESS_LIMIT || self.base + self.window_bytes >= Self::ADDRESS_LIMIT
        {
            return refuse("the window must end before address 2^47");
        }
        Ok(self)
    }
}

/// Writes the fields of native calls, which only a message with the feature has.
pub(super) fn write(
    message: &mut Message,
    features: u64,
    heap: Option<HeapOffer>,
) -> Result<(), HandshakeError> {
    if features & NATIVE == 0 {
        return match heap {
            None => Ok(()),
            Some(_) => Err(HandshakeError::HeapUnasked),
        };
    }
    let offer = heap.map(HeapOffer::check).transpose()?;
    message.u32(offer.is_some().into());
    message.u64(offer.map_or(0, |offer| offer.window_bytes));
    message.u64(offer.map_or(0, |offer| offer.base));
    message.u32(offer.map_or(0, |offer| offer.seal_from_bytes));
    message.u32(0);
    Ok(())
}

/// Reads the fields of native calls: none if the feature is not there, as in
/// the messages of peers that do not know it.
pub(super) fn read(
    fields: &mut Fields<'_>,
    features: u64,
) -> Result<Option<HeapOffer>, HandshakeError> {
    if features & NATIVE == 0 {
        return Ok(None);
    }
    let there = fields.u32()?;
    let window_bytes = fields.u64()?;
    let base = fields.u64()?;
    let seal_from_bytes = fields.u32()?;
    fields.u32()?;
    match there {
        0 => Ok(None),
        1 => HeapOffer {
            base,
            window_bytes,
            seal_from_bytes,
        }
        .check()
        .map(Some),
        other => Err(HandshakeError::Native(other)),
    }
}
