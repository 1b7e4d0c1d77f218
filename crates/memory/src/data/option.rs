//! Options, laid out as the compiler does it.
use std::any;
use std::mem::MaybeUninit;

use super::check::Checker;
use super::flaw::{Flaw, Refused};
use super::layout::Schema;
use super::niche::{Niches, OptionShape, ShapeOf};
use super::{Bounds, Shared};

// SAFETY: the shape was proven while compiling.
unsafe impl<T: Shared> Shared for Option<T> {
    type At<'a> = Option<T::At<'a>>;

    // Without a tag, and if `None` writes every byte.
    const DENSE: bool = match ShapeOf::<T>::SHAPE {
        OptionShape::Niche { bytes, .. } => T::DENSE && bytes == size_of::<T>(),
        OptionShape::Tagged { .. } => false,
    };
    const PLAIN: bool = false;
    const POINTERS: bool = T::POINTERS;
    const SAMPLE: MaybeUninit<Self> = MaybeUninit::new(None);
    const NICHES: Niches = match ShapeOf::<T>::SHAPE {
        OptionShape::Niche { .. } => T::NICHES,
        // The compiler makes no tag longer than 8 bytes.
        OptionShape::Tagged { value } if value < 8 => Niches::whole(value),
        OptionShape::Tagged { .. } => Niches::whole(8),
    };

    #[inline]
    unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
        match ShapeOf::<T>::SHAPE {
            OptionShape::Niche {
                offset,
                bytes,
                none,
            } => {
                // SAFETY: the niche lies within the option.
                let niche = unsafe { at.byte_add(offset) };
                // SAFETY: as the caller says.
                if unsafe { read_niche(niche.cast(), bytes) } == none {
                    return Ok(());
                }
                // SAFETY: the value begins where the option does.
                unsafe { T::check(checker, at.cast()) }
            }
            OptionShape::Tagged { value } => {
                // SAFETY: all before the value is the tag.
                match unsafe { read_tag(at.cast(), value) } {
                    0 => Ok(()),
                    1 => {
                        // SAFETY: the value lies within the option.
                        let place = unsafe { at.byte_add(value) };
                        // SAFETY: as the caller says.
                        unsafe { T::check(checker, place.cast()) }
                    }
                    _ => {
                        let type_name = any::type_name::<Self>();
                        let place = checker.place(at);
                        Err(checker.refuse(Flaw::Option { type_name, place }))
                    }
                }
            }
        }
    }

    #[inline]
    unsafe fn write(&self, into: *mut Self) {
        match (ShapeOf::<T>::SHAPE, self) {
            (OptionShape::Niche { .. }, Some(value)) => {
                // SAFETY: the value begins where the option does.
                unsafe { value.write(into.cast()) };
            }
            (
                OptionShape::Niche {
                    offset,
                    bytes,
                    none,
                },
                None,
            ) => {
                for (index, byte) in none.to_le_bytes().into_iter().take(bytes).enumerate() {
                    // SAFETY: the niche lies within the option.
                    let place = unsafe { into.cast::<u8>().add(offset + index) };
                    // SAFETY: as the caller says.
                    unsafe { place.write(byte) };
                }
            }
            (OptionShape::Tagged { value }, Some(inner)) => {
                // SAFETY: as the caller says; the rest of the tag is zero already.
                unsafe { into.cast::<u8>().write(1) };
                // SAFETY: the value lies within the option.
                let place = unsafe { into.byte_add(value) };
                // SAFETY: as the caller says.
                unsafe { inner.write(place.cast()) };
            }
            (OptionShape::Tagged { .. }, None) => {}
        }
    }

    #[inline]
    fn lies_in(&self, bounds: &Bounds) -> bool {
        self.as_ref().is_none_or(|value| value.lies_in(bounds))
    }

    fn describe(schema: &mut Schema) -> String {
        let shape = match ShapeOf::<T>::SHAPE {
            OptionShape::Niche {
                offset,
                bytes,
                none,
            } => format!("None is {none:#x} in {bytes} bytes at {offset}"),
            OptionShape::Tagged { value } => format!("value at {value}"),
        };
        schema.wrapper::<Self>("Option", &[T::describe], &shape)
    }
}

/// Reads a niche of at most 16 bytes.
///
/// # Safety
/// So many bytes are readable at `at`.
#[inline]
pub(super) unsafe fn read_niche(at: *const u8, bytes: usize) -> u128 {
    if bytes == 16 {
        // SAFETY: as the caller says.
        return unsafe { at.cast::<u128>().read_unaligned() }.to_le();
    }
    // SAFETY: as the caller says; no other niche is longer.
    unsafe { read_number(at, bytes) }.into()
}

/// Reads a tag; one that is too large for a number is `u64::MAX`.
///
/// # Safety
/// So many bytes are readable at `at`.
#[inline]
pub(super) unsafe fn read_tag(at: *const u8, bytes: usize) -> u64 {
    // SAFETY: as the caller says.
    let tag = unsafe { read_number(at, bytes.min(8)) };
    for index in 8..bytes {
        // SAFETY: as the caller says.
        let place = unsafe { at.add(index) };
        // SAFETY: as the caller says.
        if unsafe { place.read() } != 0 {
            return u64::MAX;
        }
    }
    tag
}

/// Reads at most 8 bytes, little-endian.
///
/// # Safety
/// So many bytes are readable at `at`.
#[inline]
unsafe fn read_number(at: *const u8, bytes: usize) -> u64 {
    match bytes {
        // SAFETY: as the caller says.
        1 => unsafe { at.read() }.into(),
        // SAFETY: as the caller says.
        2 => unsafe { at.cast::<u16>().read_unaligned() }.to_le().into(),
        // SAFETY: as the caller says.
        4 => unsafe { at.cast::<u32>().read_unaligned() }.to_le().into(),
        // SAFETY: as the caller says.
        8 => unsafe { at.cast::<u64>().read_unaligned() }.to_le(),
        _ => {
            let mut number = [0; 8];
            for (index, byte) in number.iter_mut().enumerate().take(bytes) {
                // SAFETY: as the caller says.
                let place = unsafe { at.add(index) };
                // SAFETY: as the caller says.
                *byte = unsafe { place.read() };
            }
            u64::from_le_bytes(number)
        }
    }
}
