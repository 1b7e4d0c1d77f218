//! Arrays and tuples.
use std::mem::{self, MaybeUninit, offset_of};

use super::check::Checker;
use super::flaw::Refused;
use super::layout::Schema;
use super::niche::Niches;
use super::{Bounds, Shared};

// SAFETY: an array is its elements, one after the other.
unsafe impl<T: Shared, const N: usize> Shared for [T; N] {
    type At<'a> = [T::At<'a>; N];

    const DENSE: bool = T::DENSE;
    const PLAIN: bool = T::PLAIN;
    const POINTERS: bool = T::POINTERS;
    const SAMPLE: MaybeUninit<Self> = {
        let elements = [const { T::SAMPLE }; N];
        // SAFETY: an array of what may be uninitialised, as a whole may be so.
        unsafe { mem::transmute_copy(&elements) }
    };
    const NICHES: Niches = if N == 0 { Niches::NONE } else { T::NICHES };

    #[inline]
    unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
        if T::PLAIN {
            return Ok(());
        }
        let first = at.cast::<T>();
        for index in 0..N {
            // SAFETY: the array has so many.
            let element = unsafe { first.add(index) };
            // SAFETY: as the caller says.
            unsafe { T::check(checker, element) }?;
        }
        Ok(())
    }

    #[inline]
    unsafe fn write(&self, into: *mut Self) {
        let first = into.cast::<T>();
        for (index, element) in self.iter().enumerate() {
            // SAFETY: the array has so many.
            let place = unsafe { first.add(index) };
            // SAFETY: as the caller says.
            unsafe { element.write(place) };
        }
    }

    #[inline]
    fn lies_in(&self, bounds: &Bounds) -> bool {
        !T::POINTERS || self.iter().all(|element| element.lies_in(bounds))
    }

    fn describe(schema: &mut Schema) -> String {
        let element = T::describe(schema);
        format!("[{element}; {N}]")
    }
}

macro_rules! tuple {
    ($($type:ident $index:tt),+) => {
        // SAFETY: a tuple is its fields, wherever the compiler puts them.
        unsafe impl<$($type: Shared),+> Shared for ($($type,)+) {
            type At<'a> = ($($type::At<'a>,)+);

            const DENSE: bool =
                size_of::<Self>() == 0 $(+ size_of::<$type>())+ && $($type::DENSE)&&+;
            const PLAIN: bool = $($type::PLAIN)&&+;
            const POINTERS: bool = $($type::POINTERS)||+;
            const SAMPLE: MaybeUninit<Self> = {
                let mut sample = MaybeUninit::<Self>::uninit();
                $(
                    // SAFETY: the field lies within the tuple.
                    let field = unsafe {
                        sample.as_mut_ptr().byte_add(offset_of!(Self, $index))
                    };
                    // SAFETY: as above; a sample is moved as the bytes it is.
                    unsafe { field.cast::<MaybeUninit<$type>>().write($type::SAMPLE) };
                )+
                sample
            };
            const NICHES: Niches =
                Niches::NONE$(.with::<$type>(offset_of!(Self, $index)))+;

            #[inline]
            unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
                $(
                    // SAFETY: the field lies within the tuple.
                    let field = unsafe { &raw mut (*at).$index };
                    // SAFETY: as the caller says.
                    unsafe { $type::check(checker, field) }?;
                )+
                Ok(())
            }

            #[inline]
            unsafe fn write(&self, into: *mut Self) {
                $(
                    // SAFETY: the field lies within the tuple.
                    let field = unsafe { &raw mut (*into).$index };
                    // SAFETY: as the caller says.
                    unsafe { self.$index.write(field) };
                )+
            }

            #[inline]
            fn lies_in(&self, bounds: &Bounds) -> bool {
                $(self.$index.lies_in(bounds))&&+
            }

            fn describe(schema: &mut Schema) -> String {
                schema.structure::<Self>("", &[$($type::describe),+], |fields| {
                    $(fields.field::<$type>(stringify!($index), offset_of!(Self, $index));)+
                })
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
