//! Segments of this process: what buffers, refs and edits share.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::connections::Connections;
use super::stock::{Ending, Stock};
use super::{Audience, Reuse};
use crate::sys::lease::Holders;
use crate::sys::warm::Warm;
use rustix::fd::BorrowedFd;
use rustix::io::{self, Errno};

/// A segment of this process, from when it is allocated until nobody here has it.
pub(super) struct Own {
    /// Until dropped.
    warm: Option<Warm>,
    stock: Arc<Stock>,
    data_bytes: usize,
    handed: Mutex<Handed>,
}

/// Who got the segment.
#[derive(Debug, Default)]
struct Handed {
    /// Anybody.
    passed: bool,
    /// Somebody of another user.
    strangers: bool,
    /// Sealing was tried; it is not tried twice.
    seal_tried: bool,
    connections: Connections,
}

impl Own {
    pub(super) fn new(warm: Warm, stock: Arc<Stock>) -> Self {
        Self {
            warm: Some(warm),
            stock,
            data_bytes: 0,
            handed: Mutex::default(),
        }
    }

    #[inline]
    fn warm(&self) -> &Warm {
        self.warm.as_ref().expect("kept until dropped")
    }

    fn warm_mut(&mut self) -> &mut Warm {
        self.warm.as_mut().expect("kept until dropped")
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.warm().size_bytes()
    }

    /// How many bytes are in use, from the start of the segment.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.warm().len()
    }

    /// See [`Warm::set_len`].
    pub(super) fn set_len(&mut self, len: usize) {
        self.warm_mut().set_len(len);
    }

    /// See [`Warm::clear`].
    pub(super) fn clear(&mut self, len: usize) {
        self.warm_mut().clear(len);
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.warm().bytes()
    }

    /// Not of a segment that was passed, but for one that was
    /// [regained](Self::regain).
    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.warm_mut().bytes_mut()
    }

    /// How many of the bytes in use are data; all others are zero.
    pub(super) fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    pub(super) fn set_data_bytes(&mut self, data_bytes: usize) {
        self.data_bytes = data_bytes;
    }

    fn handed(&self) -> MutexGuard<'_, Handed> {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the segment fit to be sent to `audience` as part of a ref of
    /// `ref_bytes`.
    pub(super) fn hand_over(&self, audience: &Audience, ref_bytes: usize) -> io::Result<()> {
        let warm = self.warm();
        let mut handed = self.handed();
        if !handed.passed {
            warm.zero_rest();
        }
        match warm.reader() {
            // Memory that is kept has descriptors too.
            Err(Errno::MFILE | Errno::NFILE) if self.stock.reclaim() > 0 => warm.reader()?,
            opened => opened?,
        };
        handed.passed = true;
        handed.strangers |= audience.uid != warm.uid();
        if audience.wants_seal(ref_bytes) && !handed.seal_tried {
            handed.seal_tried = true;
            // Whoever asked for the seal sees that it is not there, and copies.
            let _ = warm.seal();
        }
        Ok(())
    }

    /// The file of a segment that was [handed over](Self::hand_over).
    pub(super) fn handed_over(&self) -> BorrowedFd<'_> {
        let reader = self.warm().open_reader();
        reader.expect("opened when it was handed over")
    }

    /// The segment's file, to be mapped in this process.
    pub(super) fn reader(&self) -> io::Result<BorrowedFd<'_>> {
        self.warm().reader()
    }

    /// Whether the peer on `connection` has the segment already.
    pub(super) fn is_known_to(&self, connection: u64) -> bool {
        self.handed().connections.has(connection)
    }

    /// Notes that the peer on `connection` has the segment.
    pub(super) fn sent_to(&self, connection: u64) {
        self.handed().connections.add(connection);
    }

    /// Whether the segment can be written in place again, because nobody else has
    /// it any more.
    pub(super) fn regain(&mut self) -> bool {
        let stock = Arc::clone(&self.stock);
        let Some(warm) = self.warm.as_mut() else {
            return false;
        };
        let handed = self
            .handed
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if !handed.passed {
            return true;
        }
        if !handed.is_reusable(warm, stock.reuse()) {
            return false;
        }
        warm.close_reader();
        if warm.readers() != Holders::None {
            return false;
        }
        *handed = Handed::default();
        true
    }
}

impl Handed {
    fn is_reusable(&self, warm: &Warm, reuse: Reuse) -> bool {
        reuse == Reuse::Proven && warm.is_provable() && !self.strangers && !warm.is_frozen()
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own")
            .field("len", &self.len())
            .field("size_bytes", &self.size_bytes())
            .finish_non_exhaustive()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let Some(mut warm) = self.warm.take() else {
            return;
        };
        warm.close_reader();
        let handed = self
            .handed
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let ending = match handed {
            Handed { passed: false, .. } => Ending::Private,
            handed if handed.is_reusable(&warm, self.stock.reuse()) => Ending::Reusable,
            &mut Handed { strangers, .. } if warm.is_provable() => Ending::Spent { strangers },
            _ => Ending::Unknown,
        };
        self.stock.take_back(warm, ending);
    }
}
