//! Which pages of a heap are free. Known to the heap's owner alone: nothing of
//! it lies in shared memory.

/// A run of pages, or of free ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) page: u32,
    pub(super) pages: u32,
}

impl Span {
    pub(super) fn end(self) -> u32 {
        self.page + self.pages
    }
}

/// Sizes up to this one are all kept ready, larger ones if a power of two.
const EXACT: u32 = 16;

/// The largest size kept ready, in pages.
const LARGEST: u32 = 1024;

const CLASSES: usize = EXACT as usize + (LARGEST.ilog2() - EXACT.ilog2()) as usize;

/// Runs of one size that are kept ready, at most.
const READY: usize = 64;

fn class_of(pages: u32) -> Option<usize> {
    match pages {
        1..=EXACT => Some(pages as usize - 1),
        _ if pages <= LARGEST && pages.is_power_of_two() => {
            Some((EXACT - 1 + pages.ilog2() - EXACT.ilog2()) as usize)
        }
        _ => None,
    }
}

fn pages_of(class: usize) -> u32 {
    match class as u32 {
        class @ 0..EXACT => class + 1,
        class => EXACT << (class + 1 - EXACT),
    }
}

/// The free pages of one segment: spans in order, none touching the next.
#[derive(Debug)]
struct Extent {
    all: Span,
    free: Vec<Span>,
    free_pages: u32,
}

impl Extent {
    fn take(&mut self, pages: u32) -> Option<u32> {
        if self.free_pages < pages {
            return None;
        }
        let at = self.free.iter().position(|span| span.pages >= pages)?;
        let span = &mut self.free[at];
        let page = span.page;
        if span.pages == pages {
            self.free.remove(at);
        } else {
            span.page += pages;
            span.pages -= pages;
        }
        self.free_pages -= pages;
        Some(page)
    }

    fn give(&mut self, span: Span) {
        self.free_pages += span.pages;
        let at = self.free.partition_point(|free| free.page < span.page);
        let touches_next = self
            .free
            .get(at)
            .is_some_and(|next| span.end() == next.page);
        let touches_last = at
            .checked_sub(1)
            .is_some_and(|last| self.free[last].end() == span.page);
        match (touches_last, touches_next) {
            (false, false) => self.free.insert(at, span),
            (true, false) => self.free[at - 1].pages += span.pages,
            (false, true) => {
                self.free[at].page = span.page;
                self.free[at].pages += span.pages;
            }
            (true, true) => {
                self.free[at - 1].pages += span.pages + self.free[at].pages;
                self.free.remove(at);
            }
        }
    }

    fn is_free(&self) -> bool {
        self.free_pages == self.all.pages
    }
}

/// The free pages of all segments: first fit, neighbours joined, and runs of
/// common sizes kept ready as they came back. A run never crosses a segment.
#[derive(Debug)]
pub(super) struct Pages {
    extents: Vec<Extent>,
    ready: [Vec<u32>; CLASSES],
}

impl Pages {
    pub(super) fn new() -> Self {
        Self {
            extents: Vec::new(),
            ready: std::array::from_fn(|_| Vec::new()),
        }
    }

    /// Adds a segment, all of its pages free.
    pub(super) fn add(&mut self, all: Span) {
        let at = self.extents.partition_point(|e| e.all.page < all.page);
        let extent = Extent {
            all,
            free: vec![all],
            free_pages: all.pages,
        };
        self.extents.insert(at, extent);
    }

    /// The first of `pages` adjacent pages, now taken.
    #[inline]
    pub(super) fn take(&mut self, pages: u32) -> Option<u32> {
        if let Some(class) = class_of(pages)
            && let Some(page) = self.ready[class].pop()
        {
            return Some(page);
        }
        self.take_span(pages)
    }

    #[cold]
    fn take_span(&mut self, pages: u32) -> Option<u32> {
        let first_fit = |extents: &mut [Extent]| extents.iter_mut().find_map(|e| e.take(pages));
        if let Some(page) = first_fit(&mut self.extents) {
            return Some(page);
        }
        self.join_ready().then(|| first_fit(&mut self.extents))?
    }

    /// Gives a taken run back.
    #[inline]
    pub(super) fn give(&mut self, span: Span) {
        if let Some(class) = class_of(span.pages)
            && self.ready[class].len() < READY
        {
            self.ready[class].push(span.page);
        } else {
            self.give_span(span);
        }
    }

    fn give_span(&mut self, span: Span) {
        let at = self.extents.partition_point(|e| e.all.page <= span.page);
        self.extents[at - 1].give(span);
    }

    /// Joins the runs kept ready with their neighbours; says whether there were any.
    fn join_ready(&mut self) -> bool {
        let mut any = false;
        for class in 0..CLASSES {
            while let Some(page) = self.ready[class].pop() {
                any = true;
                self.give_span(Span {
                    page,
                    pages: pages_of(class),
                });
            }
        }
        any
    }

    /// Takes out the segments that are wholly free, but leaves at least one,
    /// free or not.
    pub(super) fn remove_free(&mut self) -> Vec<Span> {
        self.join_ready();
        let in_use = self.extents.iter().any(|extent| !extent.is_free());
        let kept = (!in_use)
            .then(|| self.extents.iter().map(|e| e.all).min_by_key(|s| s.pages))
            .flatten();
        let removed = self
            .extents
            .extract_if(.., |e| e.is_free() && Some(e.all) != kept);
        removed.map(|extent| extent.all).collect()
    }

    /// Pages of all segments that are free.
    #[cfg(test)]
    fn free_pages(&self) -> u32 {
        let ready: u32 = (0..CLASSES)
            .map(|class| self.ready[class].len() as u32 * pages_of(class))
            .sum();
        ready + self.extents.iter().map(|e| e.free_pages).sum::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_class_stands_for_its_size() {
        for class in 0..CLASSES {
            assert_eq!(class_of(pages_of(class)), Some(class));
        }
        assert_eq!(pages_of(CLASSES - 1), LARGEST);
        for pages in [0, 17, 31, 1023, 1025, 2048, u32::MAX] {
            assert_eq!(class_of(pages), None);
        }
    }

    #[test]
    fn runs_given_back_make_room_for_a_larger_one() {
        let mut pages = Pages::new();
        pages.add(Span { page: 8, pages: 64 });
        let runs: Vec<u32> = std::iter::from_fn(|| pages.take(1)).collect();
        assert_eq!(runs.len(), 64);
        for page in runs {
            pages.give(Span { page, pages: 1 });
        }
        assert_eq!(pages.take(64), Some(8));
    }

    #[test]
    fn a_run_never_crosses_from_one_segment_into_the_next() {
        let mut pages = Pages::new();
        pages.add(Span {
            page: 64,
            pages: 64,
        });
        pages.add(Span { page: 0, pages: 64 });
        assert_eq!(pages.take(40), Some(0));
        assert_eq!(pages.take(40), Some(64));
        assert_eq!(pages.take(40), None, "24 and 24 are left, side by side");
        assert_eq!(pages.take(24), Some(40));
    }

    #[test]
    fn the_smallest_segment_stays_when_all_are_free() {
        let mut pages = Pages::new();
        let small = Span {
            page: 64,
            pages: 16,
        };
        pages.add(Span { page: 0, pages: 64 });
        pages.add(small);
        assert_eq!(pages.remove_free(), [Span { page: 0, pages: 64 }]);
        assert_eq!(pages.remove_free(), []);
        assert_eq!(pages.take(16), Some(64));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Take(u32),
        Give(prop::sample::Index),
        Shrink,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            5 => prop_oneof![1_u32..20, Just(64), 100_u32..700].prop_map(Step::Take),
            4 => any::<prop::sample::Index>().prop_map(Step::Give),
            1 => Just(Step::Shrink),
        ]
    }

    proptest! {
        #[test]
        fn runs_are_apart_and_no_page_is_lost(steps in prop::collection::vec(step(), 0..200)) {
            let mut pages = Pages::new();
            let mut segments = vec![Span { page: 0, pages: 64 }, Span { page: 64, pages: 512 }, Span { page: 700, pages: 16 }];
            for &segment in &segments {
                pages.add(segment);
            }
            let mut runs: Vec<Span> = Vec::new();
            for step in steps {
                match step {
                    Step::Take(wanted) => if let Some(page) = pages.take(wanted) {
                        let run = Span { page, pages: wanted };
                        prop_assert!(runs.iter().all(|r| r.end() <= page || run.end() <= r.page));
                        prop_assert!(segments.iter().any(|s| s.page <= page && run.end() <= s.end()));
                        runs.push(run);
                    },
                    Step::Give(which) => if !runs.is_empty() {
                        pages.give(runs.swap_remove(which.index(runs.len())));
                    },
                    Step::Shrink => for gone in pages.remove_free() {
                        prop_assert!(runs.iter().all(|r| r.end() <= gone.page || gone.end() <= r.page));
                        segments.retain(|&segment| segment != gone);
                    },
                }
                let used: u32 = runs.iter().map(|run| run.pages).sum();
                let all: u32 = segments.iter().map(|segment| segment.pages).sum();
                prop_assert_eq!(used + pages.free_pages(), all);
                prop_assert!(!segments.is_empty());
            }
            for run in runs {
                pages.give(run);
            }
            pages.remove_free();
            prop_assert_eq!(pages.extents.len(), 1);
            prop_assert!(pages.extents[0].is_free());
        }
    }
}
