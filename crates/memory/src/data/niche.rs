use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;

use super::Shared;

/// The most [`Niches`] remembered of one type.
const NICHES: usize = 32;

/// A leaf field that does not use all its bit patterns, so that an `Option`
/// around it may use one of them for `None`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Niche {
    pub(super) offset: usize,
    pub(super) bytes: usize,
}

/// Where the compiler may have put the `None` of an `Option` of a type.
#[derive(Debug, Clone, Copy)]
pub struct Niches {
    pub(super) count: usize,
    pub(super) list: [Niche; NICHES],
}

impl Niches {
    /// A type of which every bit pattern is a value.
    pub const NONE: Self = Self {
        count: 0,
        list: [Niche {
            offset: 0,
            bytes: 0,
        }; NICHES],
    };

    /// A type that itself is one field of `bytes` with unused bit patterns.
    #[must_use]
    pub const fn whole(bytes: usize) -> Self {
        Self::NONE.and(Niche { offset: 0, bytes })
    }

    /// These, and those of a field of type `F` at `offset`.
    #[must_use]
    pub const fn with<F: Shared>(mut self, offset: usize) -> Self {
        let niches = F::NICHES;
        let mut index = 0;
        while index < niches.count {
            let niche = niches.list[index];
            self = self.and(Niche {
                offset: offset + niche.offset,
                bytes: niche.bytes,
            });
            index += 1;
        }
        self
    }

    // The compiler takes the widest niche: when the list is full, a wider one
    // takes the place of a narrower.
    const fn and(mut self, niche: Niche) -> Self {
        if self.count < NICHES {
            self.list[self.count] = niche;
            self.count += 1;
            return self;
        }
        let mut narrowest = 0;
        let mut index = 1;
        while index < NICHES {
            if self.list[index].bytes < self.list[narrowest].bytes {
                narrowest = index;
            }
            index += 1;
        }
        if self.list[narrowest].bytes < niche.bytes {
            self.list[narrowest] = niche;
        }
        self
    }
}

/// How the compiler lays out an `Option`.
#[derive(Debug, Clone, Copy)]
pub(super) enum OptionShape {
    /// The bytes before the value are, as a little-endian number, 0 for `None`
    /// and 1 for `Some`.
    Tagged {
        /// Where the value begins.
        value: usize,
    },
    /// The value begins at byte 0, and a field of it has a certain bit pattern
    /// in `None`.
    Niche {
        /// Where the field is.
        offset: usize,
        /// How long it is; at most 16.
        bytes: usize,
        /// What it is in `None`, little-endian.
        none: u128,
    },
}

/// Finds the [`OptionShape`] of `Option<T>` while compiling, by asking the
/// compiler what it takes certain bytes for.
pub(super) struct ShapeOf<T>(PhantomData<T>);

impl<T: Shared> ShapeOf<T> {
    pub(super) const SHAPE: OptionShape = Self::find();

    const NO_SHAPE: &'static str = "the layout of this Option is unknown to Nowire: give the inner type fewer fields that leave bit patterns unused";

    const fn find() -> OptionShape {
        let shape = if size_of::<Option<T>>() == size_of::<T>() {
            assert!(Self::value_offset() == 0, "{}", Self::NO_SHAPE);
            Self::find_niche()
        } else {
            // An option of a type without size holds nothing but its tag.
            let value = if size_of::<T>() == 0 {
                size_of::<Option<T>>()
            } else {
                Self::value_offset()
            };
            OptionShape::Tagged { value }
        };
        assert!(Self::is_as_said(shape), "{}", Self::NO_SHAPE);
        shape
    }

    const fn some() -> MaybeUninit<Option<T>> {
        // SAFETY: rule 5: the sample is a value of T, and only laid out here.
        MaybeUninit::new(Some(unsafe { T::SAMPLE.assume_init() }))
    }

    const fn value_offset() -> usize {
        let some = Self::some();
        // SAFETY: `some` was just made of a value.
        let Some(value) = (unsafe { some.assume_init_ref() }) else {
            panic!("{}", Self::NO_SHAPE)
        };
        // SAFETY: a value lies within its option.
        let offset = unsafe { ptr::from_ref(value).byte_offset_from(some.as_ptr()) };
        offset.cast_unsigned()
    }

    const fn find_niche() -> OptionShape {
        let none = MaybeUninit::new(None::<T>);
        let mut index = 0;
        while index < T::NICHES.count {
            let Niche { offset, bytes } = T::NICHES.list[index];
            index += 1;
            // With the bytes of the niche, and no others, `Some` becomes `None`.
            let mut image = Self::some();
            // SAFETY: a niche lies within its type, which is as long as its option.
            let from = unsafe { none.as_ptr().byte_add(offset) };
            // SAFETY: as above.
            let into = unsafe { image.as_mut_ptr().byte_add(offset) };
            // SAFETY: both have `bytes` bytes, initialised or not.
            unsafe {
                ptr::copy_nonoverlapping(
                    from.cast::<MaybeUninit<u8>>(),
                    into.cast::<MaybeUninit<u8>>(),
                    bytes,
                );
            }
            if Self::is_none(&image) {
                // SAFETY: these are the bytes that make it `None`.
                let none = unsafe { read_number(from.cast(), bytes) };
                return OptionShape::Niche {
                    offset,
                    bytes,
                    none,
                };
            }
        }
        panic!("{}", Self::NO_SHAPE)
    }

    /// What the compiler takes the image for: nothing but what tells `None`
    /// from `Some` is read.
    #[allow(
        clippy::redundant_pattern_matching,
        reason = "a method would make a reference to what may be no value"
    )]
    const fn is_none(image: &MaybeUninit<Option<T>>) -> bool {
        let option = image.as_ptr();
        // SAFETY: the callers initialised the bytes that tell the variants apart.
        unsafe { matches!(*option, None) }
    }

    /// Whether the bytes the shape prescribes are what the compiler takes for
    /// `None` and `Some`.
    const fn is_as_said(shape: OptionShape) -> bool {
        let mut some = Self::some();
        let mut none = Self::some();
        match shape {
            OptionShape::Tagged { value } => {
                // SAFETY: the value begins within the image, or at its end.
                unsafe { write_number(some.as_mut_ptr().cast(), value, 1) };
                // SAFETY: as above.
                unsafe { write_number(none.as_mut_ptr().cast(), value, 0) };
            }
            OptionShape::Niche {
                offset,
                bytes,
                none: number,
            } => {
                assert!(bytes <= 16);
                // SAFETY: a niche lies within its type.
                let into = unsafe { none.as_mut_ptr().byte_add(offset) };
                // SAFETY: as above.
                unsafe { write_number(into.cast(), bytes, number) };
            }
        }
        Self::is_none(&none) && !Self::is_none(&some)
    }
}

/// Reads `bytes` initialised bytes, at most 16, little-endian.
///
/// # Safety
/// They are there.
pub(super) const unsafe fn read_number(from: *const u8, bytes: usize) -> u128 {
    assert!(bytes <= 16);
    let mut number = 0;
    let mut index = 0;
    while index < bytes {
        // SAFETY: as the caller says.
        let place = unsafe { from.add(index) };
        // SAFETY: as the caller says.
        let byte = unsafe { place.read() };
        number |= (byte as u128) << (8 * index);
        index += 1;
    }
    number
}

/// Writes `bytes` bytes, little-endian.
///
/// # Safety
/// They are there, and the caller's to write.
pub(super) const unsafe fn write_number(into: *mut u8, bytes: usize, number: u128) {
    let mut index = 0;
    while index < bytes {
        let byte = if index < 16 {
            (number >> (8 * index)) as u8
        } else {
            0
        };
        // SAFETY: as the caller says.
        let place = unsafe { into.add(index) };
        // SAFETY: as the caller says.
        unsafe { place.write(byte) };
        index += 1;
    }
}
