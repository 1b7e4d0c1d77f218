//! A ref's bytes, being changed.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, Range, RangeBounds};
use std::sync::Arc;

use super::body::{self, Piece, Pieces};
use super::own::Own;
use super::reference::{checked_part, checked_range};
use super::scratch::Scratch;
use super::{PAGE_BYTES, Pool, PoolError, Ref, RefError, View};

/// Pages that are asked for at once ahead of need, at most: 1 MiB.
const AHEAD_PAGES: usize = 256;

/// The bytes of a [`Ref`], to write. What is changed becomes this edit's own, page by
/// page ([`PAGE_BYTES`], counted from the ref's first byte); the ref, and whoever has
/// it, sees nothing of it. Dropping it forgets the changes.
pub struct Edit {
    base: Ref,
    pool: Pool,
    /// For each page of the ref: where it is, if it is not the base's any more.
    slots: Vec<Option<Slot>>,
    segments: Vec<Pages>,
    copied_pages: usize,
    own_pages: usize,
}

/// A page in a segment of an edit's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    segment: usize,
    page: usize,
}

/// A segment that pages are taken from one after the other.
#[derive(Debug)]
struct Pages {
    /// Nobody else has it, but for a view of the edit.
    own: Arc<Own>,
    used: usize,
    /// Those of the used that are not any more.
    free: Vec<usize>,
}

impl Pages {
    fn own_mut(&mut self) -> &mut Own {
        Arc::get_mut(&mut self.own).expect("nobody else has what is being edited")
    }

    /// Pages that were never used.
    fn room(&self) -> usize {
        self.own.size_bytes() / PAGE_BYTES - self.used
    }

    /// Takes `pages` adjacent pages; there is room for them.
    fn take(&mut self, pages: usize) -> usize {
        let first = self.used;
        self.used += pages;
        let len = self.used * PAGE_BYTES;
        self.own_mut().set_len(len);
        first
    }

    fn bytes(&self, page: usize) -> &[u8] {
        &self.own.bytes()[page * PAGE_BYTES..][..PAGE_BYTES]
    }

    fn bytes_mut(&mut self, page: usize) -> &mut [u8] {
        &mut self.own_mut().bytes_mut()[page * PAGE_BYTES..][..PAGE_BYTES]
    }
}

impl Edit {
    pub(super) fn of(base: Ref, pool: &Pool) -> Self {
        let pages = base.len().div_ceil(PAGE_BYTES);
        Self {
            base,
            pool: pool.clone(),
            slots: vec![None; pages],
            segments: Vec::new(),
            copied_pages: 0,
            own_pages: 0,
        }
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.base.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many pages were copied because a part of them was, or may be, changed.
    pub fn copied_pages(&self) -> usize {
        self.copied_pages
    }

    /// How many pages are not the base's any more.
    pub fn own_pages(&self) -> usize {
        self.own_pages
    }

    /// Writes `bytes` from `offset` on. Of the pages touched only those are copied
    /// of which a part keeps its old bytes.
    ///
    /// # Errors
    /// [`RefError::Range`]; [`RefError::Pool`] when there is no memory for changed
    /// pages: in both cases nothing is written. What reading the base may say, see
    /// [`Ref::map`]: some of the bytes may be written then.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), RefError> {
        let range = checked_part(offset, bytes.len(), self.len())?;
        let pages = pages_of(&range);
        let missing = self.slots[pages.clone()]
            .iter()
            .filter(|slot| slot.is_none());
        self.make_room(missing.count())?;
        let mut rest = bytes;
        for page in pages {
            let shown = self.page_range(page);
            let start = range.start.max(shown.start) - shown.start;
            let end = range.end.min(shown.end) - shown.start;
            let (here, after) = rest.split_at(end - start);
            let slot = match self.slots[page] {
                Some(slot) => slot,
                None => self.take_over(page, start..end)?,
            };
            self.segments[slot.segment].bytes_mut(slot.page)[start..end].copy_from_slice(here);
            rest = after;
        }
        Ok(())
    }

    /// Some of the bytes, to change in place. The pages touched are copied first,
    /// all of them: for bytes that are replaced [`write`](Self::write) is cheaper.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn bytes_mut(&mut self, range: impl RangeBounds<usize>) -> Result<&mut [u8], RefError> {
        let range = checked_range(range, self.len())?;
        if range.is_empty() {
            return Ok(&mut []);
        }
        let pages = pages_of(&range);
        let first = match self.run(pages.clone()) {
            Some(first) => first,
            None => self.gather(pages.clone())?,
        };
        let start = first.page * PAGE_BYTES + (range.start - pages.start * PAGE_BYTES);
        let own = self.segments[first.segment].own_mut();
        Ok(&mut own.bytes_mut()[start..start + range.len()])
    }

    /// Copies `into.len()` bytes from `offset` on, as they are now.
    ///
    /// # Errors
    /// As [`Ref::read`].
    pub fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), RefError> {
        let range = checked_part(offset, into.len(), self.len())?;
        self.read_range(range, into)
    }

    /// All the bytes as they are now, adjacent.
    ///
    /// # Errors
    /// As [`Ref::map`].
    pub fn map(&self) -> Result<EditView<'_>, RefError> {
        let pieces = self.joined();
        Ok(EditView {
            view: View::of(pieces.as_slice(), self.len())?,
            edit: PhantomData,
        })
    }

    /// Gives up writing, for a ref to the old pages and the new (`DmRPC`'s
    /// `create_ref`). Nothing is copied.
    pub fn share(mut self) -> Ref {
        if self.own_pages == 0 {
            return self.base;
        }
        let mut data_bytes = vec![0; self.segments.len()];
        for (page, slot) in self.slots.iter().enumerate() {
            if let Some(slot) = slot {
                data_bytes[slot.segment] += self.page_range(page).len();
            }
        }
        for (pages, data_bytes) in self.segments.iter_mut().zip(data_bytes) {
            // What nothing names must show nothing.
            while let Some(page) = pages.free.pop() {
                pages.bytes_mut(page).fill(0);
            }
            pages.own_mut().set_data_bytes(data_bytes);
        }
        Ref::of_pieces(self.joined())
    }

    fn page_range(&self, page: usize) -> Range<usize> {
        let start = page * PAGE_BYTES;
        start..self.len().min(start + PAGE_BYTES)
    }

    /// The pieces that make up the bytes as they are now.
    fn joined(&self) -> Pieces {
        Pieces::join(self.runs().flat_map(|run| {
            let (own, base) = match run {
                Run::Own(slot, range) => {
                    let own = Arc::clone(&self.segments[slot.segment].own);
                    let piece = Piece::own(own, slot.page * PAGE_BYTES, range.len());
                    (Some(piece), None)
                }
                Run::Base(range) => (None, Some(body::parts(self.base.pieces(), range))),
            };
            own.into_iter().chain(base.into_iter().flatten())
        }))
    }

    /// Own pages one by one, and the base's in runs.
    fn runs(&self) -> impl Iterator<Item = Run> {
        let mut page = 0;
        std::iter::from_fn(move || {
            let first = page;
            let run = match self.slots.get(first)? {
                Some(slot) => {
                    page += 1;
                    Run::Own(*slot, self.page_range(first))
                }
                None => {
                    let more = self.slots[first..].iter().take_while(|slot| slot.is_none());
                    page += more.count();
                    let end = self.len().min(page * PAGE_BYTES);
                    Run::Base(first * PAGE_BYTES..end)
                }
            };
            Some(run)
        })
    }

    fn read_range(&self, range: Range<usize>, into: &mut [u8]) -> Result<(), RefError> {
        let mut rest = into;
        let mut at = range.start;
        while at < range.end {
            let page = at / PAGE_BYTES;
            let Some(slot) = self.slots[page] else {
                let others = self.slots[page..].iter().take_while(|slot| slot.is_none());
                let end = range.end.min((page + others.count()) * PAGE_BYTES);
                let (here, after) = rest.split_at_mut(end - at);
                body::read(self.base.pieces(), at, here)?;
                (rest, at) = (after, end);
                continue;
            };
            let end = range.end.min((page + 1) * PAGE_BYTES);
            let (here, after) = rest.split_at_mut(end - at);
            let from = at - page * PAGE_BYTES;
            let bytes = self.segments[slot.segment].bytes(slot.page);
            here.copy_from_slice(&bytes[from..from + here.len()]);
            (rest, at) = (after, end);
        }
        Ok(())
    }

    /// Sees that `pages` pages can be taken one by one.
    fn make_room(&mut self, pages: usize) -> Result<(), RefError> {
        let free: usize = self.segments.iter().map(|pages| pages.free.len()).sum();
        let room = self.segments.last().map_or(0, Pages::room);
        if free + room >= pages {
            return Ok(());
        }
        // As many again as there are: few segments, and at most half of them unused.
        let untouched = self.slots.len() - self.own_pages;
        let ahead = self.own_pages.min(AHEAD_PAGES).min(untouched);
        // The room left in the last segment is given up: it is not looked at again.
        self.add_segment((pages - free).max(ahead))
    }

    fn add_segment(&mut self, pages: usize) -> Result<(), RefError> {
        let bytes = pages.checked_mul(PAGE_BYTES);
        let bytes = bytes.ok_or(PoolError::Size {
            asked_bytes: usize::MAX,
        })?;
        let mut own = self.pool.stock().allocate(bytes)?;
        own.set_len(0);
        self.segments.push(Pages {
            own: Arc::new(own),
            used: 0,
            free: Vec::new(),
        });
        Ok(())
    }

    /// A page that can be written; there is room for it.
    fn take_page(&mut self) -> Option<Slot> {
        let freed = self.segments.iter_mut().enumerate();
        for (segment, pages) in freed {
            if let Some(page) = pages.free.pop() {
                return Some(Slot { segment, page });
            }
        }
        let segment = self.segments.len().checked_sub(1)?;
        let pages = self.segments.last_mut().filter(|pages| pages.room() > 0)?;
        Some(Slot {
            segment,
            page: pages.take(1),
        })
    }

    /// Makes a page of the base this edit's own, without the bytes in `but` of it,
    /// which are about to be written. There is room for it.
    fn take_over(&mut self, page: usize, but: Range<usize>) -> Result<Slot, RefError> {
        let slot = self.take_page().expect("room was made");
        let shown = self.page_range(page);
        let into = self.segments[slot.segment].bytes_mut(slot.page);
        into[shown.len()..].fill(0);
        let pieces = self.base.pieces();
        let before = body::read(pieces, shown.start, &mut into[..but.start]);
        let read = before.and_then(|()| {
            body::read(
                pieces,
                shown.start + but.end,
                &mut into[but.end..shown.len()],
            )
        });
        if let Err(error) = read {
            self.segments[slot.segment].free.push(slot.page);
            return Err(error);
        }
        if but.len() < shown.len() {
            self.copied_pages += 1;
        }
        self.slots[page] = Some(slot);
        self.own_pages += 1;
        Ok(slot)
    }

    /// Where the first of `pages` is, if they all lie side by side.
    fn run(&self, pages: Range<usize>) -> Option<Slot> {
        let first = self.slots[pages.start]?;
        let adjacent = self.slots[pages].iter().enumerate().all(|(n, slot)| {
            let expected = Slot {
                segment: first.segment,
                page: first.page + n,
            };
            *slot == Some(expected)
        });
        adjacent.then_some(first)
    }

    /// Brings `pages` together, side by side; where the first is then.
    fn gather(&mut self, pages: Range<usize>) -> Result<Slot, RefError> {
        if self.segments.last().map_or(0, Pages::room) < pages.len() {
            self.add_segment(pages.len())?;
        }
        let segment = self.segments.len() - 1;
        let range = pages.start * PAGE_BYTES..self.len().min(pages.end * PAGE_BYTES);
        let old = &self.slots[pages.clone()];
        let moved = if old.iter().any(Option::is_some) {
            let len_bytes = range.len();
            let mut moved =
                Scratch::new(len_bytes).map_err(|_| RefError::NoMemory { len_bytes })?;
            self.read_range(range.clone(), moved.bytes_mut())?;
            Some(moved)
        } else {
            None
        };
        let target = &mut self.segments[segment];
        let first = target.take(pages.len());
        let into = &mut target.own_mut().bytes_mut()[first * PAGE_BYTES..];
        into[range.len()..].fill(0);
        let into = &mut into[..range.len()];
        let copied = match moved {
            Some(moved) => {
                into.copy_from_slice(&moved);
                Ok(())
            }
            None => body::read(self.base.pieces(), range.start, into),
        };
        if let Err(error) = copied {
            target.free.extend(first..first + pages.len());
            return Err(error);
        }
        for (n, page) in pages.enumerate() {
            let slot = Slot {
                segment,
                page: first + n,
            };
            match self.slots[page].replace(slot) {
                Some(before) => self.segments[before.segment].free.push(before.page),
                None => {
                    self.copied_pages += 1;
                    self.own_pages += 1;
                }
            }
        }
        Ok(Slot {
            segment,
            page: first,
        })
    }
}

enum Run {
    Own(Slot, Range<usize>),
    Base(Range<usize>),
}

/// The pages that bytes lie in.
fn pages_of(range: &Range<usize>) -> Range<usize> {
    if range.is_empty() {
        return 0..0;
    }
    range.start / PAGE_BYTES..range.end.div_ceil(PAGE_BYTES)
}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edit")
            .field("len", &self.len())
            .field("own_pages", &self.own_pages)
            .field("copied_pages", &self.copied_pages)
            .finish_non_exhaustive()
    }
}

/// All the bytes of an [`Edit`], adjacent, which is not written meanwhile.
#[derive(Debug)]
pub struct EditView<'edit> {
    view: View,
    edit: PhantomData<&'edit Edit>,
}

impl Deref for EditView<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.view
    }
}
