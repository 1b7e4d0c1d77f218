//! Copies between private memory and memory another process may be writing.
//!
//! Rules of this module:
//! 1. Shared bytes are touched by machine instructions or by atomics only, so
//!    that a store by somebody else at the same time is not a data race the
//!    compiler may reason about: such a copy holds, byte by byte, what was there
//!    before or after.
//! 2. The caller of [`copy`] vouches that both ranges are mapped for its length
//!    and do not overlap; the pieces into which it is cut lie inside them.

/// From this length on, [`write()`] uses a loop.
#[cfg(target_arch = "x86_64")]
const LOOP_BYTES: usize = 1024;

/// Copies `from` into memory that other cores have read. On x86-64 `memcpy` uses the
/// processor's string copy for much, which gets such lines back more slowly than
/// plain stores do: 1 MiB in 115 µs against 70.
///
/// # Panics
/// If the lengths differ.
#[inline]
pub(crate) fn write(into: &mut [u8], from: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    if from.len() >= LOOP_BYTES {
        assert_eq!(into.len(), from.len(), "what is copied must fit");
        // SAFETY: both are slices of this length, of which one is exclusive.
        return unsafe { x86_64::blocks(from.as_ptr(), into.as_mut_ptr(), from.len()) };
    }
    into.copy_from_slice(from);
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) use portable::copy;
#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::copy;

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::asm;

    /// From this length the processor's own string copy is no slower than the
    /// loop, and up to a seventh faster when another core wrote or reads the
    /// bytes; below a few hundred bytes it takes three times as long. Wider
    /// registers were not faster at any length.
    const STRING_BYTES: usize = 8192;

    /// Copies `bytes` bytes from `from` to `into`.
    ///
    /// # Safety
    /// `from` is readable and `into` writable for `bytes` bytes; they do not overlap.
    #[inline]
    pub(crate) unsafe fn copy(from: *const u8, into: *mut u8, bytes: usize) {
        match bytes {
            0 => {}
            1 => {
                // SAFETY: rule 2.
                unsafe { byte(from, into) }
            }
            2..4 => {
                // SAFETY: rule 2: two pieces of 2, overlapping when `bytes` is less than 4.
                unsafe { ends_2(from, into, bytes - 2) }
            }
            4..8 => {
                // SAFETY: rule 2: two pieces of 4.
                unsafe { ends_4(from, into, bytes - 4) }
            }
            8..16 => {
                // SAFETY: rule 2: two pieces of 8.
                unsafe { ends_8(from, into, bytes - 8) }
            }
            16..=32 => {
                // SAFETY: rule 2: two pieces of 16.
                unsafe { ends_16(from, into, bytes - 16) }
            }
            33..=64 => {
                // SAFETY: rule 2: two pieces of 32.
                unsafe { ends_32(from, into, bytes - 32) }
            }
            STRING_BYTES.. if std::is_x86_feature_detected!("ermsb") => {
                // SAFETY: rule 2.
                unsafe { string(from, into, bytes) }
            }
            _ => {
                // SAFETY: rule 2, and more than 64 bytes.
                unsafe { blocks(from, into, bytes) }
            }
        }
    }

    #[inline]
    unsafe fn byte(from: *const u8, into: *mut u8) {
        // SAFETY: rules 1 and 2.
        unsafe {
            asm!(
                "mov {t}, byte ptr [{s}]",
                "mov byte ptr [{d}], {t}",
                s = in(reg) from, d = in(reg) into, t = out(reg_byte) _,
                options(nostack, preserves_flags),
            );
        }
    }

    #[inline]
    unsafe fn ends_2(from: *const u8, into: *mut u8, last: usize) {
        // SAFETY: rules 1 and 2.
        unsafe {
            asm!(
                "mov {a:x}, word ptr [{s}]",
                "mov {b:x}, word ptr [{s} + {l}]",
                "mov word ptr [{d}], {a:x}",
                "mov word ptr [{d} + {l}], {b:x}",
                s = in(reg) from, d = in(reg) into, l = in(reg) last,
                a = out(reg) _, b = out(reg) _,
                options(nostack, preserves_flags),
            );
        }
    }

    #[inline]
    unsafe fn ends_4(from: *const u8, into: *mut u8, last: usize) {
        // SAFETY: rules 1 and 2.
        unsafe {
            asm!(
                "mov {a:e}, dword ptr [{s}]",
                "mov {b:e}, dword ptr [{s} + {l}]",
                "mov dword ptr [{d}], {a:e}",
                "mov dword ptr [{d} + {l}], {b:e}",
                s = in(reg) from, d = in(reg) into, l = in(reg) last,
                a = out(reg) _, b = out(reg) _,
                options(nostack, preserves_flags),
            );
        }
    }

    #[inline]
    unsafe fn ends_8(from: *const u8, into: *mut u8, last: usize) {
        // SAFETY: rules 1 and 2.
        unsafe {
            asm!(
                "mov {a}, qword ptr [{s}]",
                "mov {b}, qword ptr [{s} + {l}]",
                "mov qword ptr [{d}], {a}",
                "mov qword ptr [{d} + {l}], {b}",
                s = in(reg) from, d = in(reg) into, l = in(reg) last,
                a = out(reg) _, b = out(reg) _,
                options(nostack, preserves_flags),
            );
        }
    }

    #[inline]
    unsafe fn ends_16(from: *const u8, into: *mut u8, last: usize) {
        // SAFETY: rules 1 and 2.
        unsafe {
            asm!(
                "movups {a}, xmmword ptr [{s}]",
                "movups {b}, xmmword ptr [{s} + {l}]",
                "movups xmmword ptr [{d}], {a}",
                "movups xmmword ptr [{d} + {l}], {b}",
                s = in(reg) from, d = in(reg) into, l = in(reg) last,
                a = out(xmm_reg) _, b = out(xmm_reg) _,
                options(nostack, preserves_flags),
            );
        }
    }

    #[inline]
    unsafe fn ends_32(from: *const u8, into: *mut u8, last: usize) {
        // SAFETY: rules 1 and 2.
        unsafe {
            asm!(
                "movups {a}, xmmword ptr [{s}]",
                "movups {b}, xmmword ptr [{s} + 16]",
                "movups {c}, xmmword ptr [{s} + {l}]",
                "movups {e}, xmmword ptr [{s} + {l} + 16]",
                "movups xmmword ptr [{d}], {a}",
                "movups xmmword ptr [{d} + 16], {b}",
                "movups xmmword ptr [{d} + {l}], {c}",
                "movups xmmword ptr [{d} + {l} + 16], {e}",
                s = in(reg) from, d = in(reg) into, l = in(reg) last,
                a = out(xmm_reg) _, b = out(xmm_reg) _, c = out(xmm_reg) _, e = out(xmm_reg) _,
                options(nostack, preserves_flags),
            );
        }
    }

    /// Blocks of 64 bytes while more than 64 remain, then the last 64, which may
    /// overlap the block before.
    ///
    /// # Safety
    /// As [`copy`], and `bytes` is more than 64.
    #[inline]
    pub(crate) unsafe fn blocks(from: *const u8, into: *mut u8, bytes: usize) {
        // SAFETY: rules 1 and 2.
        unsafe {
            asm!(
                "2:",
                "movups {a}, xmmword ptr [{s}]",
                "movups {b}, xmmword ptr [{s} + 16]",
                "movups {c}, xmmword ptr [{s} + 32]",
                "movups {e}, xmmword ptr [{s} + 48]",
                "movups xmmword ptr [{d}], {a}",
                "movups xmmword ptr [{d} + 16], {b}",
                "movups xmmword ptr [{d} + 32], {c}",
                "movups xmmword ptr [{d} + 48], {e}",
                "add {s}, 64",
                "add {d}, 64",
                "sub {n}, 64",
                "cmp {n}, 64",
                "ja 2b",
                "movups {a}, xmmword ptr [{s} + {n} - 64]",
                "movups {b}, xmmword ptr [{s} + {n} - 48]",
                "movups {c}, xmmword ptr [{s} + {n} - 32]",
                "movups {e}, xmmword ptr [{s} + {n} - 16]",
                "movups xmmword ptr [{d} + {n} - 64], {a}",
                "movups xmmword ptr [{d} + {n} - 48], {b}",
                "movups xmmword ptr [{d} + {n} - 32], {c}",
                "movups xmmword ptr [{d} + {n} - 16], {e}",
                s = inout(reg) from => _, d = inout(reg) into => _, n = inout(reg) bytes => _,
                a = out(xmm_reg) _, b = out(xmm_reg) _, c = out(xmm_reg) _, e = out(xmm_reg) _,
                options(nostack),
            );
        }
    }

    #[inline]
    unsafe fn string(from: *const u8, into: *mut u8, bytes: usize) {
        // The stores of a string copy may become visible in any order among
        // themselves, but not after a later store: a release store that follows
        // still publishes them.
        // SAFETY: rules 1 and 2; the direction flag is clear on entry to asm.
        unsafe {
            asm!(
                "rep movsb",
                inout("rsi") from => _, inout("rdi") into => _, inout("rcx") bytes => _,
                options(nostack, preserves_flags),
            );
        }
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable {
    use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

    const WORD_BYTES: usize = size_of::<u64>();

    /// Copies `bytes` bytes from `from` to `into`, by aligned words where both
    /// ranges are aligned alike.
    ///
    /// # Safety
    /// `from` is readable and `into` writable for `bytes` bytes; they do not overlap.
    pub(crate) unsafe fn copy(from: *const u8, into: *mut u8, bytes: usize) {
        let mut done = 0;
        if from.addr() % WORD_BYTES == into.addr() % WORD_BYTES {
            let head = (from.addr().next_multiple_of(WORD_BYTES) - from.addr()).min(bytes);
            // SAFETY: rule 2: the first `head` of `bytes` bytes.
            unsafe { copy_bytes(from, into, head) };
            done = head;
            while bytes - done >= WORD_BYTES {
                // SAFETY: rule 2: a whole word remains; both are aligned.
                unsafe { copy_word(from.wrapping_add(done), into.wrapping_add(done)) };
                done += WORD_BYTES;
            }
        }
        // SAFETY: rule 2: the rest.
        unsafe {
            copy_bytes(
                from.wrapping_add(done),
                into.wrapping_add(done),
                bytes - done,
            )
        };
    }

    unsafe fn copy_bytes(from: *const u8, into: *mut u8, bytes: usize) {
        for i in 0..bytes {
            // SAFETY: rules 1 and 2.
            let source = unsafe { AtomicU8::from_ptr(from.wrapping_add(i).cast_mut()) };
            // SAFETY: rules 1 and 2.
            let target = unsafe { AtomicU8::from_ptr(into.wrapping_add(i)) };
            target.store(source.load(Relaxed), Relaxed);
        }
    }

    unsafe fn copy_word(from: *const u8, into: *mut u8) {
        // SAFETY: rules 1 and 2; aligned by the caller.
        let source = unsafe { AtomicU64::from_ptr(from.cast_mut().cast()) };
        // SAFETY: rules 1 and 2; aligned by the caller.
        let target = unsafe { AtomicU64::from_ptr(into.cast()) };
        target.store(source.load(Relaxed), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    type Copy = unsafe fn(*const u8, *mut u8, usize);

    /// Copies a range between two buffers with `copy` and compares both buffers,
    /// margins included, with what plain slices give.
    fn agrees_with_slices(copy: Copy, from_at: usize, into_at: usize, bytes: usize) {
        let from: Vec<u8> = (0..from_at + bytes + 40)
            .map(|i| (i * 31 % 251) as u8)
            .collect();
        let mut into = vec![0xee; into_at + bytes + 40];
        let mut expected = into.clone();
        expected[into_at..into_at + bytes].copy_from_slice(&from[from_at..from_at + bytes]);
        // SAFETY: both ranges lie inside their own buffer.
        unsafe {
            copy(
                from.as_ptr().wrapping_add(from_at),
                into.as_mut_ptr().wrapping_add(into_at),
                bytes,
            )
        };
        assert!(
            into == expected,
            "{bytes} bytes from {from_at} to {into_at}"
        );
    }

    /// [`super::write()`], as a [`Copy`].
    unsafe fn write(from: *const u8, into: *mut u8, bytes: usize) {
        // SAFETY: the caller vouches for the range.
        let from = unsafe { std::slice::from_raw_parts(from, bytes) };
        // SAFETY: as above, and of the two it alone is written.
        let into = unsafe { std::slice::from_raw_parts_mut(into, bytes) };
        super::write(into, from);
    }

    #[test]
    fn every_length_around_where_writing_changes_its_way_is_written_exactly() {
        let around = |middle: usize| middle - 70..=middle + 70;
        let lengths = (0..300).chain(around(1024)).chain(around(4096));
        for bytes in lengths.chain(around(8192)).chain(around(1 << 16)) {
            for (from_at, into_at) in [(0, 0), (1, 0), (0, 3), (7, 7), (5, 13), (63, 1)] {
                agrees_with_slices(write, from_at, into_at, bytes);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        for (into, from) in [(10, 11), (11, 10), (1023, 1024), (1024, 1023), (5000, 4999)] {
            let mut target = vec![7; into];
            let source = vec![8; from];
            let write = std::panic::AssertUnwindSafe(|| super::write(&mut target, &source));
            assert!(
                std::panic::catch_unwind(write).is_err(),
                "{from} into {into}"
            );
            assert!(target.iter().all(|&byte| byte == 7));
        }
    }

    #[test]
    fn every_short_length_is_copied_exactly() {
        for bytes in 0..300 {
            for (from_at, into_at) in [(0, 0), (1, 0), (0, 3), (7, 7), (5, 13)] {
                agrees_with_slices(super::copy, from_at, into_at, bytes);
                agrees_with_slices(super::portable::copy, from_at, into_at, bytes);
            }
        }
    }

    proptest! {
        #[test]
        fn copies_agree_with_slices(
            from_at in 0_usize..80,
            into_at in 0_usize..80,
            bytes in prop_oneof![0_usize..2100, 4000_usize..4200, 32_600_usize..32_900],
        ) {
            agrees_with_slices(super::copy, from_at, into_at, bytes);
            agrees_with_slices(super::portable::copy, from_at, into_at, bytes);
            agrees_with_slices(write, from_at, into_at, bytes);
        }
    }
}
