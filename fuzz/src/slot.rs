use std::sync::atomic::Ordering;

use nowire_protocol::geometry::{Geometry, RING_OFFSET, SLOT_BYTES};
use nowire_protocol::memory::WriteMemory;

use crate::input::Input;

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
    let kind = u64::from(input.byte());
    let flags = u64::from(input.byte());
    let index = u64::from(input.byte());
    let call = u64::from(input.byte());
    let [offset, head, data, tail] = std::array::from_fn(|_| u64::from(input.length()));
    let at = RING_OFFSET + (sequence % slots) as usize * SLOT_BYTES;
    let words = [
        stamp | kind << 32 | flags << 40,
        index | call << 32,
        offset | head << 32,
        data | tail << 32,
    ];
    for (i, word) in words.into_iter().enumerate() {
        outbox.store(at + i * 8, word, Ordering::Relaxed);
    }
}
