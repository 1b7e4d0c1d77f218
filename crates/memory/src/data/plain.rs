//! Plain data of fixed size.
use std::any;
use std::mem::MaybeUninit;
use std::num::NonZero;

use super::check::Checker;
use super::flaw::{Flaw, Refused};
use super::layout::Schema;
use super::niche::Niches;
use super::{Bounds, Shared};

/// The parts that are the same for every type without padding and pointers.
macro_rules! dense_leaf {
    () => {
        type At<'a> = Self;

        const DENSE: bool = true;
        const POINTERS: bool = false;

        #[inline]
        unsafe fn write(&self, into: *mut Self) {
            // SAFETY: `into` is writable, says the caller.
            unsafe { into.write(*self) };
        }

        #[inline]
        fn lies_in(&self, _: &Bounds) -> bool {
            true
        }
    };
}

macro_rules! plain {
    ($($type:ty = $sample:expr),* $(,)?) => {$(
        // SAFETY: every bit pattern is a value.
        unsafe impl Shared for $type {
            dense_leaf!();

            const PLAIN: bool = true;
            const SAMPLE: MaybeUninit<Self> = MaybeUninit::new($sample);
            const NICHES: Niches = Niches::NONE;

            #[inline]
            unsafe fn check(_: &mut Checker<'_>, _: *mut Self) -> Result<(), Refused> {
                Ok(())
            }

            fn describe(_: &mut Schema) -> String {
                stringify!($type).into()
            }
        }
    )*};
}

plain!(
    u8 = 0,
    u16 = 0,
    u32 = 0,
    u64 = 0,
    u128 = 0,
    usize = 0,
    i8 = 0,
    i16 = 0,
    i32 = 0,
    i64 = 0,
    i128 = 0,
    isize = 0,
    f32 = 0.0,
    f64 = 0.0,
    () = (),
);

// SAFETY: the check lets nothing but 0 and 1 pass.
unsafe impl Shared for bool {
    dense_leaf!();

    const PLAIN: bool = false;
    const SAMPLE: MaybeUninit<Self> = MaybeUninit::new(false);
    const NICHES: Niches = Niches::whole(1);

    #[inline]
    unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
        // SAFETY: `at` is readable, says the caller.
        let found = unsafe { at.cast::<u8>().read() };
        if found > 1 {
            let place = checker.place(at);
            return Err(checker.refuse(Flaw::Bool { place, found }));
        }
        Ok(())
    }

    fn describe(_: &mut Schema) -> String {
        "bool".into()
    }
}

// SAFETY: the check lets only scalar values pass.
unsafe impl Shared for char {
    dense_leaf!();

    const PLAIN: bool = false;
    const SAMPLE: MaybeUninit<Self> = MaybeUninit::new('\0');
    const NICHES: Niches = Niches::whole(4);

    #[inline]
    unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
        // SAFETY: `at` is readable, says the caller.
        let found = unsafe { at.cast::<u32>().read() };
        if char::from_u32(found).is_none() {
            let place = checker.place(at);
            return Err(checker.refuse(Flaw::Char { place, found }));
        }
        Ok(())
    }

    fn describe(_: &mut Schema) -> String {
        "char".into()
    }
}

macro_rules! non_zero {
    ($($number:ty),*) => {$(
        // SAFETY: the check lets no zero pass.
        unsafe impl Shared for NonZero<$number> {
            dense_leaf!();

            const PLAIN: bool = false;
            const SAMPLE: MaybeUninit<Self> = MaybeUninit::new(Self::MIN);
            const NICHES: Niches = Niches::whole(size_of::<$number>());

            #[inline]
            unsafe fn check(checker: &mut Checker<'_>, at: *mut Self) -> Result<(), Refused> {
                // SAFETY: `at` is readable, says the caller.
                if unsafe { at.cast::<$number>().read() } == 0 {
                    let place = checker.place(at);
                    let type_name = any::type_name::<Self>();
                    return Err(checker.refuse(Flaw::Zero { type_name, place }));
                }
                Ok(())
            }

            fn describe(_: &mut Schema) -> String {
                concat!("NonZero<", stringify!($number), ">").into()
            }
        }
    )*};
}

non_zero!(
    u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize
);
