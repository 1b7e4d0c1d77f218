//! Settings of the C library's allocator.
//!
//! Rules of this module:
//! 1. `mallopt` is called once per process, from one thread at a time.

use std::sync::Once;

static SET: Once = Once::new();

/// Makes glibc's `malloc` keep freed memory for the next allocation, in the
/// whole process.
///
/// By default glibc maps every large buffer afresh and gives it back to the
/// system when it is freed; each call with a large message then pays a page
/// fault for every 4 KiB of it. After this call
/// - buffers below 32 MiB (the most glibc allows) come from its heaps,
/// - a heap returns memory to the system only when more than 64 MiB at its top
///   are free, and grows by 4 MiB more than was asked for.
///
/// The price: up to 64 MiB of freed memory per heap stay with the process (glibc
/// has a heap for each few threads).
///
/// The first call counts; later ones do nothing. Nothing is changed when the
/// environment already tunes `malloc` (`MALLOC_TRIM_THRESHOLD_`,
/// `MALLOC_MMAP_THRESHOLD_`, `MALLOC_TOP_PAD_`, `MALLOC_MMAP_MAX_`, or
/// `glibc.malloc` in `GLIBC_TUNABLES`), nor where the C library is not glibc.
/// A Rust program with another global allocator loses nothing and gains nothing.
pub fn keep_freed_memory() {
    SET.call_once(|| {
        if !tuned_by_environment() {
            set_thresholds();
        }
    });
}

fn tuned_by_environment() -> bool {
    let own = [
        "MALLOC_TRIM_THRESHOLD_",
        "MALLOC_MMAP_THRESHOLD_",
        "MALLOC_TOP_PAD_",
        "MALLOC_MMAP_MAX_",
    ];
    let tunables = std::env::var_os("GLIBC_TUNABLES");
    own.iter().any(|name| std::env::var_os(name).is_some())
        || tunables.is_some_and(|all| all.to_string_lossy().contains("glibc.malloc"))
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn set_thresholds() {
    const MIB: libc::c_int = 1 << 20;
    let settings = [
        (libc::M_MMAP_THRESHOLD, 32 * MIB),
        (libc::M_TRIM_THRESHOLD, 64 * MIB),
        (libc::M_TOP_PAD, 4 * MIB),
    ];
    for (setting, value) in settings {
        // A refused setting leaves the default, which is slower and nothing worse.
        // SAFETY: rule 1, by the `Once`; both arguments are plain numbers.
        unsafe { libc::mallopt(setting, value) };
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn set_thresholds() {}
