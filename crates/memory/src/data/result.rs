//! Results, laid out as the compiler does it.
use std::any;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;

use super::check::Checker;
use super::flaw::{Flaw, Refused};
use super::layout::Schema;
use super::niche::{Niches, read_number, write_number};
use super::option::{read_niche, read_tag};
use super::{Bounds, Shared};

/// How the compiler lays out a `Result`.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// Where the value of `Ok` begins.
    ok: usize,
    /// Where the value of `Err` begins.
    err: usize,
    told_by: ToldBy,
}

/// What tells `Ok` from `Err`.
#[derive(Debug, Clone, Copy)]
enum ToldBy {
    /// The first so many bytes are, as a little-endian number, 0 for `Ok` and 1
    /// for `Err`.
    Tag { bytes: usize },
    /// A field of the one value has a certain bit pattern, at most 16 bytes long,
    /// when the other is there.
    Niche {
        offset: usize,
        bytes: usize,
        other: u128,
        /// The field is in the value of `Ok`.
        in_ok: bool,
    },
}

/// Finds the [`Shape`] of `Result<T, E>` while compiling, by asking the compiler
/// what it takes certain bytes for.
struct ShapeOf<T, E>(PhantomData<(T, E)>);

type Image<T, E> = MaybeUninit<Result<T, E>>;

impl<T: Shared, E: Shared> ShapeOf<T, E> {
    const SHAPE: Shape = Self::find();

    const NO_SHAPE: &'static str =
        "the layout of this Result is unknown to Nowire: take an enum with repr(u8)";

    const fn find() -> Shape {
        let shape = Self::guess();
        assert!(Self::is_as_said(shape), "{}", Self::NO_SHAPE);
        shape
    }

    const fn ok() -> Image<T, E> {
        // SAFETY: rule 5: the sample is a value of T, and only laid out here.
        MaybeUninit::new(Ok(unsafe { T::SAMPLE.assume_init() }))
    }

    const fn err() -> Image<T, E> {
        // SAFETY: rule 5: the sample is a value of E, and only laid out here.
        MaybeUninit::new(Err(unsafe { E::SAMPLE.assume_init() }))
    }

    /// Where the value of an image begins.
    const fn offset(image: &Image<T, E>) -> usize {
        // SAFETY: the callers just made it of a value.
        let value = match unsafe { image.assume_init_ref() } {
            Ok(value) => ptr::from_ref(value).cast::<u8>(),
            Err(error) => ptr::from_ref(error).cast::<u8>(),
        };
        // SAFETY: a value lies within its result.
        let offset = unsafe { value.byte_offset_from(image.as_ptr()) };
        offset.cast_unsigned()
    }

    const fn guess() -> Shape {
        let (ok, err) = (Self::offset(&Self::ok()), Self::offset(&Self::err()));
        let mut bytes = size_of::<Result<T, E>>();
        if size_of::<T>() > 0 && ok < bytes {
            bytes = ok;
        }
        if size_of::<E>() > 0 && err < bytes {
            bytes = err;
        }
        let told_by = if bytes > 0 {
            ToldBy::Tag { bytes }
        } else if ok == 0 && (err > 0 || size_of::<T>() >= size_of::<E>()) {
            Self::find_niche(T::NICHES, Self::ok(), Self::err(), true)
        } else {
            Self::find_niche(E::NICHES, Self::err(), Self::ok(), false)
        };
        Shape { ok, err, told_by }
    }

    const fn find_niche(
        niches: Niches,
        with_niche: Image<T, E>,
        other: Image<T, E>,
        in_ok: bool,
    ) -> ToldBy {
        let mut index = 0;
        while index < niches.count {
            let (offset, bytes) = (niches.list[index].offset, niches.list[index].bytes);
            index += 1;
            // With the bytes of the niche, and no others, the one becomes the other.
            let mut image = MaybeUninit::uninit();
            // SAFETY: both are as large.
            unsafe { ptr::copy_nonoverlapping(&raw const with_niche, &raw mut image, 1) };
            // SAFETY: a niche lies within its type, which is not larger.
            let from = unsafe { other.as_ptr().byte_add(offset) };
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
            if Self::is_ok(&image) != in_ok {
                // SAFETY: these are the bytes that make it the other.
                let other = unsafe { read_number(from.cast(), bytes) };
                return ToldBy::Niche {
                    offset,
                    bytes,
                    other,
                    in_ok,
                };
            }
        }
        panic!("{}", Self::NO_SHAPE)
    }

    /// What the compiler takes the image for: nothing but what tells `Ok` from
    /// `Err` is read.
    #[allow(
        clippy::redundant_pattern_matching,
        reason = "a method would make a reference to what may be no value"
    )]
    const fn is_ok(image: &Image<T, E>) -> bool {
        let result = image.as_ptr();
        // SAFETY: the callers initialised the bytes that tell the variants apart.
        unsafe { matches!(*result, Ok(_)) }
    }

    /// Whether the bytes the shape prescribes are what the compiler takes for
    /// `Ok` and `Err`.
    const fn is_as_said(shape: Shape) -> bool {
        let Shape { ok, err, told_by } = shape;
        match told_by {
            ToldBy::Tag { bytes } => {
                Self::is_ok_with(Self::ok(), 0, bytes, 0)
                    && Self::is_ok_with(Self::err(), 0, bytes, 0)
                    && !Self::is_ok_with(Self::ok(), 0, bytes, 1)
                    && !Self::is_ok_with(Self::err(), 0, bytes, 1)
            }
            ToldBy::Niche {
                offset,
                bytes,
                other,
                in_ok,
            } => {
                let (with_niche, other_offset, other_bytes) = if in_ok {
                    (ok, err, size_of::<E>())
                } else {
                    (err, ok, size_of::<T>())
                };
                let apart = offset + bytes <= other_offset
                    || other_offset + other_bytes <= offset
                    || other_bytes == 0;
                assert!(bytes <= 16);
                apart
                    && with_niche == 0
                    && Self::is_ok(&Self::ok())
                    && !Self::is_ok(&Self::err())
                    && Self::is_ok_with(Self::ok(), offset, bytes, other) != in_ok
                    && Self::is_ok_with(Self::err(), offset, bytes, other) != in_ok
            }
        }
    }

    const fn is_ok_with(mut image: Image<T, E>, offset: usize, bytes: usize, number: u128) -> bool {
        // SAFETY: the callers name bytes of the result.
        let into = unsafe { image.as_mut_ptr().byte_add(offset) };
        // SAFETY: as above.
        unsafe { write_number(into.cast(), bytes, number) };
        Self::is_ok(&image)
    }
}

// SAFETY: the shape was proven while compiling.
unsafe impl<T: Shared, E: Shared> Shared for Result<T, E> {
    type At<'a> = Result<T::At<'a>, E::At<'a>>;

    const DENSE: bool = false;
    const PLAIN: bool = false;
    const POINTERS: bool = T::POINTERS || E::POINTERS;
    const SAMPLE: MaybeUninit<Self> = ShapeOf::<T, E>::ok();
    const NICHES: Niches = match ShapeOf::<T, E>::SHAPE.told_by {
        ToldBy::Niche { in_ok: true, .. } => T::NICHES,
        ToldBy::Niche { in_ok: false, .. } => E::NICHES,
        // The compiler makes no tag longer than 8 bytes.
        ToldBy::Tag { bytes } if bytes < 8 => Niches::whole(bytes),
        ToldBy::Tag { .. } => Niches::whole(8),
    };

    #[inline]
    unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
        let Shape { ok, err, told_by } = const { ShapeOf::<T, E>::SHAPE };
        let is_ok = match told_by {
            // SAFETY: the tag is at the beginning.
            ToldBy::Tag { bytes } => match unsafe { read_tag(at.cast(), bytes) } {
                0 => true,
                1 => false,
                _ => {
                    let type_name = any::type_name::<Self>();
                    let place = checker.place(at);
                    return Err(checker.refuse(Flaw::Result { type_name, place }));
                }
            },
            ToldBy::Niche {
                offset,
                bytes,
                other,
                in_ok,
            } => {
                // SAFETY: the niche lies within the result.
                let niche = unsafe { at.byte_add(offset) };
                // SAFETY: as the caller says.
                (unsafe { read_niche(niche.cast(), bytes) } == other) != in_ok
            }
        };
        if is_ok {
            // SAFETY: the value lies within the result.
            let value = unsafe { at.byte_add(ok) };
            // SAFETY: as the caller says.
            unsafe { T::check(checker, value.cast()) }
        } else {
            // SAFETY: the value lies within the result.
            let error = unsafe { at.byte_add(err) };
            // SAFETY: as the caller says.
            unsafe { E::check(checker, error.cast()) }
        }
    }

    #[inline]
    unsafe fn write(&self, into: *mut Self) {
        let Shape { ok, err, told_by } = const { ShapeOf::<T, E>::SHAPE };
        match self {
            Ok(value) => {
                // SAFETY: the value lies within the result.
                let place = unsafe { into.byte_add(ok) };
                // SAFETY: as the caller says.
                unsafe { value.write(place.cast()) };
            }
            Err(error) => {
                // SAFETY: the value lies within the result.
                let place = unsafe { into.byte_add(err) };
                // SAFETY: as the caller says.
                unsafe { error.write(place.cast()) };
            }
        }
        let (offset, bytes, number) = match told_by {
            ToldBy::Tag { bytes } => (0, bytes, u128::from(self.is_err())),
            ToldBy::Niche {
                offset,
                bytes,
                other,
                in_ok,
            } if self.is_ok() != in_ok => (offset, bytes, other),
            ToldBy::Niche { .. } => return,
        };
        // SAFETY: what tells the variants apart lies within the result, and within
        // neither value that is there.
        let place = unsafe { into.byte_add(offset) };
        // SAFETY: as the caller says.
        unsafe { write_number(place.cast(), bytes, number) };
    }

    #[inline]
    fn lies_in(&self, bounds: &Bounds) -> bool {
        match self {
            Ok(value) => value.lies_in(bounds),
            Err(error) => error.lies_in(bounds),
        }
    }

    fn describe(schema: &mut Schema) -> String {
        let Shape { ok, err, told_by } = ShapeOf::<T, E>::SHAPE;
        let told_by = match told_by {
            ToldBy::Tag { bytes } => format!("tag of {bytes} bytes"),
            ToldBy::Niche {
                offset,
                bytes,
                other,
                in_ok: true,
            } => format!("Err is {other:#x} in {bytes} bytes at {offset}"),
            ToldBy::Niche {
                offset,
                bytes,
                other,
                in_ok: false,
            } => format!("Ok is {other:#x} in {bytes} bytes at {offset}"),
        };
        schema.wrapper::<Self>(
            "Result",
            &[T::describe, E::describe],
            &format!("{told_by}, Ok at {ok}, Err at {err}"),
        )
    }
}
