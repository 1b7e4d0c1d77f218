//! What lies where in an outbox.
//!
//! ```text
//! offset              bytes      what                          read by the peer
//! 0                   64         reserved, zero
//! 64                  8          cursor: slots taken off the   when it runs out of room
//!                                peer's ring so far
//! 128                 8          sleeping: odd while the       after it published
//!                                owner waits for a doorbell
//! 192                 8          wants room: odd while the     after it moved its cursor
//!                                owner waits for room
//! 4096                64 x slots ring of frames                always
//! 4096 + 64 x slots   data       payloads                      where a slot says so
//! ```
//! Each word has a cache line of its own, as each is written for another reason.

/// Size of a cache line and of a ring slot in bytes.
pub const SLOT_BYTES: usize = 64;
/// Offset of the owner's cursor into the peer's ring.
pub const CURSOR_OFFSET: usize = 64;
/// Offset of the word that is odd while the owner sleeps.
pub const SLEEPING_OFFSET: usize = 128;
/// Offset of the word that is odd while the owner waits for room in its own ring.
pub const WANTS_ROOM_OFFSET: usize = 192;
/// Offset of the ring.
#[cfg(not(loom))]
pub const RING_OFFSET: usize = 4096;
/// Offset of the ring; near, because a model pays for every word of memory.
#[cfg(loom)]
pub const RING_OFFSET: usize = 256;

const PAGE_BYTES: usize = 4096;

const _: () = assert!(CURSOR_OFFSET.is_multiple_of(SLOT_BYTES));
const _: () =
    assert!(SLEEPING_OFFSET.is_multiple_of(SLOT_BYTES) && SLEEPING_OFFSET > CURSOR_OFFSET);
const _: () =
    assert!(WANTS_ROOM_OFFSET.is_multiple_of(SLOT_BYTES) && WANTS_ROOM_OFFSET > SLEEPING_OFFSET);
const _: () = assert!(WANTS_ROOM_OFFSET + SLOT_BYTES <= RING_OFFSET);
const _: () = assert!(cfg!(loom) || RING_OFFSET.is_multiple_of(PAGE_BYTES));

/// The shape of one outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    ring_slots: u32,
    data_bytes: u32,
}

/// A geometry that no outbox can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// The number of slots is not a power of two in [`Geometry::RING_SLOTS`].
    #[error("ring of {0} slots: must be a power of two from 8 to 65536")]
    RingSlots(u32),
    /// The data area is not a multiple of 64 bytes in [`Geometry::DATA_BYTES`].
    #[error("data area of {0} bytes: must be a multiple of 64 from 4096 to 1 GiB")]
    DataBytes(u32),
}

impl Geometry {
    /// Numbers of slots a ring may have; a power of two.
    pub const RING_SLOTS: std::ops::RangeInclusive<u32> = 8..=65_536;
    /// Sizes in bytes a data area may have; a multiple of 64.
    pub const DATA_BYTES: std::ops::RangeInclusive<u32> = 4096..=1 << 30;
    /// 256 slots and 100 KiB of data: an outbox of 120 KiB, so that both of a
    /// connection, and what it needs besides, stay below 256 KiB.
    pub const DEFAULT: Self = Self {
        ring_slots: 256,
        data_bytes: 102_400,
    };
    /// The smallest outbox: 8 slots and 4 KiB of data.
    pub const SMALLEST: Self = Self {
        ring_slots: 8,
        data_bytes: 4096,
    };

    /// Checks and makes a geometry.
    ///
    /// # Errors
    /// When a number is outside its range or not a multiple of what it must be.
    pub fn new(ring_slots: u32, data_bytes: u32) -> Result<Self, GeometryError> {
        if !Self::RING_SLOTS.contains(&ring_slots) || !ring_slots.is_power_of_two() {
            return Err(GeometryError::RingSlots(ring_slots));
        }
        if !Self::DATA_BYTES.contains(&data_bytes)
            || !(data_bytes as usize).is_multiple_of(SLOT_BYTES)
        {
            return Err(GeometryError::DataBytes(data_bytes));
        }
        Ok(Self {
            ring_slots,
            data_bytes,
        })
    }

    /// A shape too small to be useful, so that a model can exhaust it.
    #[cfg(loom)]
    pub fn for_model(ring_slots: u32, data_bytes: u32) -> Self {
        Self {
            ring_slots,
            data_bytes,
        }
    }

    /// Number of slots in the ring, a power of two.
    #[inline]
    pub fn ring_slots(self) -> u32 {
        self.ring_slots
    }

    /// Size of the data area in bytes.
    #[inline]
    pub fn data_bytes(self) -> u32 {
        self.data_bytes
    }

    /// The largest payload one frame may carry, in bytes: a quarter of the data
    /// area, so that producer and consumer always overlap, and at most 32 KiB,
    /// so that a small call never waits behind more than that.
    pub fn piece_bytes(self) -> usize {
        (self.data_bytes as usize / 4 / SLOT_BYTES * SLOT_BYTES).min(32 * 1024)
    }

    /// Offset of the data area in the outbox.
    pub fn data_offset(self) -> usize {
        RING_OFFSET + self.ring_slots as usize * SLOT_BYTES
    }

    /// Size of the whole outbox in bytes, whole pages.
    pub fn outbox_bytes(self) -> usize {
        let bytes = self.data_offset() + self.data_bytes as usize;
        if cfg!(loom) {
            bytes
        } else {
            bytes.next_multiple_of(PAGE_BYTES)
        }
    }

    /// Offset of the slot that holds frame number `sequence`.
    #[inline]
    pub(crate) fn slot_offset(self, sequence: u64) -> usize {
        RING_OFFSET + self.slot_index(sequence) * SLOT_BYTES
    }

    /// The index of the slot that holds frame number `sequence`.
    #[inline]
    pub(crate) fn slot_index(self, sequence: u64) -> usize {
        // The number of slots is a power of two, which no compiler knows: a
        // division would cost as much as all the rest of a frame.
        (sequence & u64::from(self.ring_slots - 1)) as usize
    }

    /// The stamp that marks frame number `sequence` as written: the number of
    /// the ring's turn, from 1.
    #[inline]
    pub(crate) fn stamp(self, sequence: u64) -> u32 {
        (sequence >> self.ring_slots.trailing_zeros()).wrapping_add(1) as u32
    }
}

impl Default for Geometry {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_outbox_is_120_kib() {
        assert_eq!(Geometry::DEFAULT.outbox_bytes(), 120 * 1024);
        assert_eq!(Geometry::new(256, 102_400), Ok(Geometry::DEFAULT));
    }

    #[test]
    fn odd_shapes_are_refused() {
        assert_eq!(Geometry::new(7, 4096), Err(GeometryError::RingSlots(7)));
        assert_eq!(Geometry::new(24, 4096), Err(GeometryError::RingSlots(24)));
        assert_eq!(Geometry::new(8, 4097), Err(GeometryError::DataBytes(4097)));
        assert_eq!(Geometry::new(8, 0), Err(GeometryError::DataBytes(0)));
        assert_eq!(
            Geometry::new(1 << 17, 4096),
            Err(GeometryError::RingSlots(1 << 17))
        );
    }
}
