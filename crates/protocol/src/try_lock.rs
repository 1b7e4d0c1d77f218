//! A lock that nobody waits for.

#[cfg(not(loom))]
mod lock {
    use std::sync::{Mutex, MutexGuard, TryLockError};

    /// Something that one at a time may use.
    #[derive(Debug)]
    pub(crate) struct TryLock<T>(Mutex<T>);

    pub(crate) type Guard<'a, T> = MutexGuard<'a, T>;

    impl<T> TryLock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        /// None if somebody has it. One who panicked with it has it no more.
        #[inline]
        pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
            match self.0.try_lock() {
                Ok(guard) => Some(guard),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            }
        }
    }
}

/// The same of what loom can see through: to its own mutex, a lock that is tried
/// between locking and unlocking is no interleaving of interest.
#[cfg(loom)]
mod lock {
    use std::ops::{Deref, DerefMut};
    use std::sync::atomic::Ordering;
    use std::sync::{Mutex, MutexGuard};

    use loom::sync::atomic::AtomicBool;

    #[derive(Debug)]
    pub(crate) struct TryLock<T> {
        held: AtomicBool,
        value: Mutex<T>,
    }

    #[derive(Debug)]
    pub(crate) struct Guard<'a, T> {
        // Dropped in this order.
        value: MutexGuard<'a, T>,
        _held: Held<'a>,
    }

    #[derive(Debug)]
    struct Held<'a>(&'a AtomicBool);

    impl<T> TryLock<T> {
        pub(crate) fn new(value: T) -> Self {
            Self {
                held: AtomicBool::new(false),
                value: Mutex::new(value),
            }
        }

        pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
            let held = &self.held;
            held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                .ok()?;
            Some(Guard {
                value: self.value.try_lock().expect("one holds it"),
                _held: Held(held),
            })
        }
    }

    impl<T> Deref for Guard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.value
        }
    }

    impl<T> DerefMut for Guard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.value
        }
    }

    impl Drop for Held<'_> {
        fn drop(&mut self) {
            self.0.store(false, Ordering::Release);
        }
    }
}

pub(crate) use self::lock::{Guard, TryLock};
