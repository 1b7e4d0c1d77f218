use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;

use nowire_protocol::frame::{KIND_CALL, KIND_EXTENT, KIND_RELEASE};
use nowire_protocol::geometry::{Geometry, RING_OFFSET, SLOT_BYTES};
use nowire_protocol::memory::WriteMemory;

use crate::input::Input;

/// Kinds whose frames may fill the whole slot.
const NATIVE: RangeInclusive<u8> = KIND_CALL..=KIND_RELEASE;

/// Offset in the outbox of the slot for frame number `sequence`.
pub(crate) fn offset_of(geometry: Geometry, sequence: u64) -> usize {
    let slots = u64::from(geometry.ring_slots());
    RING_OFFSET + (sequence % slots) as usize * SLOT_BYTES
}

/// Writes the slot for frame number `sequence` as the input says, and stamps it
/// as an honest producer would, so that what lies behind the stamp is looked at.
pub(crate) fn write(
    outbox: &impl WriteMemory,
    geometry: Geometry,
    sequence: u64,
    input: &mut Input<'_>,
) {
    let slots = u64::from(geometry.ring_slots());
    let stamp = u64::from((sequence / slots) as u32).wrapping_add(1);
    let kind = input.byte();
    let flags = u64::from(input.byte());
    let index = u64::from(input.byte());
    let call = u64::from(input.byte());
    let [offset, head, data, tail] = std::array::from_fn(|_| u64::from(input.length()));
    let at = offset_of(geometry, sequence);
    let mut words = [
        stamp | u64::from(kind) << 32 | flags << 40,
        index | call << 32,
        offset | head << 32,
        data | tail << 32,
        0,
        0,
        0,
        0,
    ];
    let mut written = 4;
    if NATIVE.contains(&kind) {
        words[0] |= u64::from(input.short()) << 48;
        words[4..].fill_with(|| input.long());
        written = words.len();
    } else if kind == KIND_EXTENT {
        words[0] |= u64::from(input.short()) << 48;
        [words[2], words[3], words[4], words[5]] = [offset, head, data, tail];
        words[7] = u64::from(input.byte() == u8::MAX);
        written = words.len();
    }
    for (i, word) in words.into_iter().take(written).enumerate() {
        outbox.store(at + i * 8, word, Ordering::Relaxed);
    }
}
