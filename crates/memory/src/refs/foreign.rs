//! Segments of other processes, of which this one was passed the descriptor.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, SealFlags};
use rustix::io::{self, Errno};

use super::connections::Connections;
use super::familiar::{self, Identity};
use super::{RefError, Source};
use crate::heap::Keeping;
use crate::segment::{self, SEALABLE, SegmentError};
use crate::sys::mapping::Mapping;

/// A segment of another process. Nothing is known of the descriptor until it is
/// first read.
#[derive(Debug)]
pub(super) struct Foreign {
    /// None if it was lost on the way.
    file: Option<OwnedFd>,
    size_bytes: usize,
    /// How many bytes of data there are; `None` if the ref that it came with did not
    /// name them all.
    data_bytes: Option<usize>,
    source: Arc<Source>,
    /// What only those find out who read it.
    found: OnceLock<Box<Found>>,
    /// Where it was sent on.
    sent_to: Connections,
}

#[derive(Debug, Default)]
struct Found {
    checked: OnceLock<Result<Checked, SegmentError>>,
    /// That no page is lacking, too.
    complete: OnceLock<Result<(), SegmentError>>,
}

/// What was found when a segment was first read.
#[derive(Debug)]
struct Checked {
    /// Of a segment that came before.
    mapping: Option<Arc<Mapping>>,
    /// Of one that did not, if it may be mapped when it comes again.
    identity: Option<Identity>,
    /// How much of that was read.
    read_bytes: AtomicUsize,
}

impl Foreign {
    /// A descriptor that is [counted](Source::hold) already.
    #[inline]
    pub(super) fn new(
        file: Option<OwnedFd>,
        size_bytes: usize,
        data_bytes: Option<usize>,
        source: &Arc<Source>,
    ) -> Self {
        Self {
            file,
            size_bytes,
            data_bytes,
            source: Arc::clone(source),
            found: OnceLock::new(),
            sent_to: Connections::default(),
        }
    }

    /// Size of the segment in bytes, as the peer says.
    pub(super) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    pub(super) fn data_bytes(&self) -> Option<usize> {
        self.data_bytes
    }

    /// The descriptor, whatever it is.
    pub(super) fn file(&self) -> Result<BorrowedFd<'_>, RefError> {
        let file = self.file.as_ref().map(OwnedFd::as_fd);
        file.ok_or_else(|| RefError::Lost {
            peer: self.source.label(),
        })
    }

    /// The descriptor, of a segment that can be read through it.
    pub(super) fn checked(&self) -> Result<BorrowedFd<'_>, RefError> {
        self.check().map(|(file, _)| file)
    }

    fn found(&self) -> &Found {
        self.found.get_or_init(Box::default)
    }

    fn check(&self) -> Result<(BorrowedFd<'_>, &Checked), RefError> {
        let file = self.file()?;
        let check = || {
            let (_, stat) = segment::verify_amount(file, self.size_bytes, SEALABLE)?;
            let identity = Identity::of(self.size_bytes, &stat);
            let mapping = identity.and_then(|identity| {
                familiar::mapping_of(file, self.size_bytes, identity, &self.source)
            });
            Ok(Checked {
                identity: identity.filter(|_| mapping.is_none()),
                mapping,
                read_bytes: AtomicUsize::new(0),
            })
        };
        match self.found().checked.get_or_init(check) {
            Ok(checked) => Ok((file, checked)),
            Err(error) => Err(self.refused(error.clone())),
        }
    }

    /// A mapping of the segment that is there already. It shows this segment as long
    /// as this is held.
    pub(super) fn mapping(&self) -> Result<Option<&Arc<Mapping>>, RefError> {
        Ok(self.check()?.1.mapping.as_ref())
    }

    /// Counts `bytes` as read. When they are most of the segment, it is mapped if it
    /// comes again.
    pub(super) fn note_read(&self, bytes: usize) {
        let Some(Ok(checked)) = self.found().checked.get() else {
            return;
        };
        let Some(identity) = checked.identity else {
            return;
        };
        let most = self.size_bytes / 2;
        let before = checked.read_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before < most && before.saturating_add(bytes) >= most {
            familiar::remember(identity);
        }
    }

    /// The descriptor, of a segment that can be mapped.
    pub(super) fn mappable(&self) -> Result<BorrowedFd<'_>, RefError> {
        let file = self.file()?;
        let check = || segment::verify(file, self.size_bytes, SEALABLE).map(drop);
        match self.found().complete.get_or_init(check) {
            Ok(()) => Ok(file),
            Err(error) => Err(self.refused(error.clone())),
        }
    }

    fn refused(&self, source: SegmentError) -> RefError {
        RefError::Segment {
            peer: self.source.label(),
            source,
        }
    }

    /// Whether the bytes may be read where they lie, as nobody can change them, or
    /// those who can are trusted not to.
    pub(super) fn is_still(&self) -> Result<bool, RefError> {
        let file = self.checked()?;
        if self.source.keeping() == Keeping::Trust {
            return Ok(true);
        }
        let seals =
            segment::seals_of(file, self.size_bytes).map_err(|error| self.refused(error))?;
        Ok(seals.contains(SealFlags::WRITE))
    }

    /// Copies bytes from `offset` on.
    pub(super) fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), RefError> {
        let (file, checked) = self.check()?;
        if let Some(mapping) = &checked.mapping {
            mapping.copy_out(offset, into);
            return Ok(());
        }
        self.note_read(into.len());
        let mut done = 0;
        while done < into.len() {
            match io::pread(file, &mut into[done..], (offset + done) as u64) {
                // The segment was long enough, and cannot have become shorter.
                Ok(0) => return Err(self.failed("pread", Errno::IO)),
                Ok(read) => done += read,
                Err(Errno::INTR) => {}
                Err(source) => return Err(self.failed("pread", source)),
            }
        }
        Ok(())
    }

    fn failed(&self, call: &'static str, source: Errno) -> RefError {
        self.refused(segment::os_error(call, self.size_bytes)(source))
    }

    /// Whether the peer on `connection` has the segment already.
    pub(super) fn is_known_to(&self, connection: u64) -> bool {
        self.source.connection() == connection || self.sent_to.has(connection)
    }

    /// Notes that the peer on `connection` has the segment.
    #[inline]
    pub(super) fn note_sent_to(&self, connection: u64) {
        if self.source.connection() != connection {
            self.sent_to.add(connection);
        }
    }

    /// Whether a ref that names `bytes` here can be sent to a process of the same
    /// user as it is, as is nearly always so where it is only passed on. What is
    /// not found out here may be possible, too.
    #[inline]
    pub(super) fn goes_on(&self, bytes: usize) -> bool {
        self.data_bytes == Some(bytes) && self.file.is_some()
    }

    /// Whether the segment may be sent to a process of the user `uid` at all. Its
    /// owner may count on having it passed to its own user only.
    pub(super) fn may_go_to(&self, uid: u32, own_uid: u32) -> Result<bool, RefError> {
        if uid == own_uid {
            return Ok(true);
        }
        let found = fs::fstat(self.file()?).map_err(|source| self.failed("fstat", source))?;
        Ok(found.st_uid == uid)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            self.source.let_go();
        }
    }
}
