//! Which run lies where.

use std::sync::{Arc, Weak};

use super::pages::Span;

const BITS: usize = u64::BITS as usize;

/// The runs of all segments, found by any page of theirs.
#[derive(Debug)]
pub(super) struct Runs<R> {
    tables: Vec<Table<R>>,
}

/// The runs of one segment, by their first pages.
#[derive(Debug)]
struct Table<R> {
    span: Span,
    starts: Vec<u64>,
    runs: Vec<Weak<R>>,
}

impl<R> Runs<R> {
    pub(super) fn new() -> Self {
        Self { tables: Vec::new() }
    }

    /// Adds a segment, without runs.
    pub(super) fn add(&mut self, span: Span) {
        let pages = span.pages as usize;
        let at = self.tables.partition_point(|t| t.span.page < span.page);
        let table = Table {
            span,
            starts: vec![0; pages.div_ceil(BITS)],
            runs: (0..pages).map(|_| Weak::new()).collect(),
        };
        self.tables.insert(at, table);
    }

    /// Takes a segment out.
    pub(super) fn remove(&mut self, span: Span) {
        self.tables.retain(|table| table.span != span);
    }

    /// Notes that `run` begins at `page`.
    #[inline]
    pub(super) fn enter(&mut self, page: u32, run: Weak<R>) {
        if let Some((table, at)) = self.table(page) {
            table.starts[at / BITS] |= 1 << (at % BITS);
            table.runs[at] = run;
        }
    }

    /// Notes that the run that begins at `page` is gone.
    #[inline]
    pub(super) fn leave(&mut self, page: u32) {
        if let Some((table, at)) = self.table(page) {
            table.starts[at / BITS] &= !(1 << (at % BITS));
            table.runs[at] = Weak::new();
        }
    }

    /// The last run that begins at or before `page`, in the same segment; it may
    /// end before.
    pub(super) fn before(&mut self, page: u32) -> Option<Arc<R>> {
        let (table, at) = self.table(page)?;
        let mut word = at / BITS;
        let mut starts = table.starts[word] & (u64::MAX >> (BITS - 1 - at % BITS));
        while starts == 0 {
            word = word.checked_sub(1)?;
            starts = table.starts[word];
        }
        table.runs[word * BITS + starts.ilog2() as usize].upgrade()
    }

    #[inline]
    fn table(&mut self, page: u32) -> Option<(&mut Table<R>, usize)> {
        let after = self.tables.partition_point(|t| t.span.page <= page);
        let table = &mut self.tables[after.checked_sub(1)?];
        let at = page - table.span.page;
        (at < table.span.pages).then_some((table, at as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_by_its_pages_until_it_leaves() {
        let mut runs = Runs::new();
        runs.add(Span {
            page: 100,
            pages: 200,
        });
        runs.add(Span { page: 0, pages: 64 });
        let (first, last) = (Arc::new(1), Arc::new(2));
        runs.enter(110, Arc::downgrade(&first));
        runs.enter(299, Arc::downgrade(&last));
        let found = |runs: &mut Runs<i32>, page| runs.before(page).map(|run| *run);
        for (page, run) in [
            (0, None),
            (63, None),
            (64, None),
            (100, None),
            (109, None),
            (110, Some(1)),
            (200, Some(1)),
            (298, Some(1)),
            (299, Some(2)),
            (300, None),
            (u32::MAX, None),
        ] {
            assert_eq!(found(&mut runs, page), run, "page {page}");
        }
        runs.leave(299);
        assert_eq!(found(&mut runs, 299), Some(1));
        drop(first);
        assert_eq!(found(&mut runs, 120), None, "it is going");
        runs.remove(Span {
            page: 100,
            pages: 200,
        });
        assert_eq!(found(&mut runs, 299), None);
    }
}
