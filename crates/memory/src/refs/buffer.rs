//! Memory that is being written.

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::body::Piece;
use super::own::Own;
use super::stock::Stock;
use super::{PoolError, Ref};
use crate::sys::copy;

/// Memory of a [`Pool`](super::Pool) that only its holder can write or see, until
/// it is [shared](Self::share).
///
/// It holds bytes like a `Vec<u8>` that never grows beyond its capacity.
pub struct Buffer {
    /// None when there is no capacity.
    own: Option<Own>,
}

impl Buffer {
    pub(super) fn empty(stock: &Arc<Stock>, capacity: usize) -> Result<Self, PoolError> {
        if capacity == 0 {
            return Ok(Self { own: None });
        }
        let mut own = stock.allocate(capacity)?;
        own.set_len(0);
        Ok(Self { own: Some(own) })
    }

    pub(super) fn zeroed(stock: &Arc<Stock>, len: usize) -> Result<Self, PoolError> {
        let mut buffer = Self::empty(stock, len)?;
        if let Some(own) = &mut buffer.own {
            own.clear(len);
        }
        Ok(buffer)
    }

    /// `len` bytes, which are whatever this process left there.
    pub(super) fn unfilled(stock: &Arc<Stock>, len: usize) -> Result<Self, PoolError> {
        let mut buffer = Self::empty(stock, len)?;
        if let Some(own) = &mut buffer.own {
            own.set_len(len);
        }
        Ok(buffer)
    }

    /// A segment that nobody else has, with what it holds.
    pub(super) fn over(own: Own) -> Self {
        Self { own: Some(own) }
    }

    /// How many bytes it holds.
    pub fn len(&self) -> usize {
        self.own.as_ref().map_or(0, Own::len)
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes it can hold: as many as were asked for, rounded up to the
    /// size of its segment.
    pub fn capacity(&self) -> usize {
        self.own.as_ref().map_or(0, Own::size_bytes)
    }

    /// Appends `bytes`, all or none.
    ///
    /// # Errors
    /// [`PoolError::Capacity`] when there is no room for them.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> Result<(), PoolError> {
        let (len, capacity) = (self.len(), self.capacity());
        if bytes.len() > capacity - len {
            return Err(PoolError::Capacity {
                capacity_bytes: capacity,
                len_bytes: len,
                asked_bytes: bytes.len(),
            });
        }
        if let Some(own) = &mut self.own {
            own.set_len(len + bytes.len());
            copy::write(&mut own.bytes_mut()[len..], bytes);
        }
        Ok(())
    }

    /// Keeps the first `len` bytes; does nothing when there are no more.
    pub fn truncate(&mut self, len: usize) {
        if let Some(own) = &mut self.own {
            own.set_len(len.min(own.len()));
        }
    }

    /// Gives up writing, for a ref to the bytes (`DmRPC`'s `create_ref`). It makes
    /// no system call and touches none of the bytes, however many there are.
    pub fn share(self) -> Ref {
        let len = self.len();
        match self.own {
            Some(mut own) if len > 0 => {
                own.set_data_bytes(len);
                Ref::of_piece(Piece::own(Arc::new(own), 0, len))
            }
            _ => Ref::empty(),
        }
    }

    /// As [`share`](Self::share), as the segment.
    pub(super) fn into_own(self) -> Option<Own> {
        let len = self.len();
        let mut own = self.own?;
        own.set_data_bytes(len);
        Some(own)
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.own.as_ref().map_or(&[], Own::bytes)
    }
}

impl DerefMut for Buffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.own.as_mut().map_or(&mut [], Own::bytes_mut)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for Buffer {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

/// Appends. When the buffer is full nothing is written: `write_all` then fails
/// with [`io::ErrorKind::WriteZero`].
impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.capacity() - self.len();
        let fitting = &bytes[..bytes.len().min(room)];
        self.extend_from_slice(fitting).map_err(io::Error::other)?;
        Ok(fitting.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
