//! References against plain bytes: whatever is shared, cut, changed and passed, each
//! ref shows what a vector that was treated alike shows.

mod passing;

use std::io::Write;
use std::os::fd::AsFd;

use nowire_memory::heap::Keeping;
use nowire_memory::refs::{Extent, PAGE_BYTES, Pool, PoolError, Ref, RefError, View};
use passing::{Way, own_uid, pattern, pool_with, single_use_pool, whole_file};
use proptest::prelude::*;

/// Longest ref that is made, in bytes.
const LONGEST: usize = 70 * PAGE_BYTES;

/// Where something happens, in parts of the length of what it happens to.
type Part = (u16, u16);

#[derive(Debug, Clone)]
enum Step {
    Make {
        len: usize,
        seed: usize,
    },
    Append {
        capacity: usize,
        part: u16,
    },
    Slice {
        of: usize,
        part: Part,
    },
    Write {
        of: usize,
        writes: Vec<(Part, bool)>,
    },
    Replace {
        of: usize,
        page: usize,
        pages: usize,
    },
    Carry {
        of: usize,
        way: usize,
    },
    Regain {
        of: usize,
    },
    Look {
        of: usize,
    },
    LookAway {
        of: usize,
    },
    Forget {
        of: usize,
    },
}

/// A length that is near the border of a page more often than not.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        0..LONGEST,
        (0..LONGEST / PAGE_BYTES, 0..3_usize).prop_map(|(pages, off)| pages * PAGE_BYTES + off),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let of = 0..1000_usize;
    prop_oneof![
        2 => (length(), 0..1000_usize).prop_map(|(len, seed)| Step::Make { len, seed }),
        1 => (length(), any::<u16>())
            .prop_map(|(capacity, part)| Step::Append { capacity, part }),
        3 => (of.clone(), any::<Part>()).prop_map(|(of, part)| Step::Slice { of, part }),
        5 => (of.clone(), prop::collection::vec(any::<(Part, bool)>(), 0..6))
            .prop_map(|(of, writes)| Step::Write { of, writes }),
        3 => (of.clone(), 0..80_usize, 0..20_usize)
            .prop_map(|(of, page, pages)| Step::Replace { of, page, pages }),
        5 => (of.clone(), 0..4_usize).prop_map(|(of, way)| Step::Carry { of, way }),
        2 => of.clone().prop_map(|of| Step::Regain { of }),
        3 => of.clone().prop_map(|of| Step::Look { of }),
        1 => of.clone().prop_map(|of| Step::LookAway { of }),
        2 => of.prop_map(|of| Step::Forget { of }),
    ]
}

fn range_of(len: usize, (a, b): Part) -> std::ops::Range<usize> {
    let at = |part: u16| len * usize::from(part) / usize::from(u16::MAX);
    at(a.min(b))..at(a.max(b))
}

struct World {
    pool: Pool,
    ways: Vec<Way>,
    refs: Vec<(Ref, Vec<u8>)>,
    views: Vec<(View, Vec<u8>)>,
}

impl World {
    fn new(pool: Pool) -> Self {
        let ways = [
            (Keeping::Copy, u32::MAX, own_uid()),
            (Keeping::Trust, u32::MAX, own_uid()),
            (Keeping::Seal, 100_000, own_uid()),
            (Keeping::Copy, u32::MAX, own_uid() + 1),
        ];
        let ways = ways.map(|(keeping, seal, uid)| Way::with(&pool, uid, keeping, seal));
        Self {
            pool,
            ways: ways.into(),
            refs: Vec::new(),
            views: Vec::new(),
        }
    }

    fn add(&mut self, shared: Ref, bytes: Vec<u8>) {
        assert_eq!(shared.len(), bytes.len());
        if bytes.len().is_multiple_of(2) {
            check(&shared, &bytes);
        }
        self.refs.push((shared, bytes));
    }

    fn take(&mut self, step: Step) -> Result<(), RefError> {
        let count = self.refs.len();
        match step {
            Step::Make { len, seed } => {
                let bytes = pattern(len, seed);
                let mut buffer = self.pool.alloc(len)?;
                assert!(buffer.iter().all(|&byte| byte == 0));
                buffer.copy_from_slice(&bytes);
                self.add(buffer.share(), bytes);
            }
            Step::Append { capacity, part } => {
                let bytes = pattern(range_of(capacity, (0, part)).end, 5);
                let mut buffer = self.pool.with_capacity(capacity)?;
                buffer.write_all(&bytes).expect("room");
                self.add(buffer.share(), bytes);
            }
            Step::Forget { of } if count > 0 => {
                self.refs.swap_remove(of % count);
            }
            Step::Look { of } if count > 0 => {
                let (shared, bytes) = &self.refs[of % count];
                self.views.push((shared.map()?, bytes.clone()));
            }
            Step::LookAway { of } if !self.views.is_empty() => {
                let (view, bytes) = self.views.swap_remove(of % self.views.len());
                assert!(*view == bytes);
            }
            Step::Regain { of } if count > 0 => {
                let (shared, mut bytes) = self.refs.swap_remove(of % count);
                match shared.try_into_buffer() {
                    Ok(mut buffer) => {
                        assert_eq!(&*buffer, &bytes);
                        buffer.reverse();
                        bytes.reverse();
                        self.add(buffer.share(), bytes);
                    }
                    Err(shared) => self.add(shared, bytes),
                }
            }
            Step::Slice { of, part } if count > 0 => {
                let (shared, bytes) = &self.refs[of % count];
                let range = range_of(bytes.len(), part);
                let (shared, bytes) = (shared.slice(range.clone())?, bytes[range].to_vec());
                self.add(shared, bytes);
            }
            Step::Write { of, writes } if count > 0 => {
                let (shared, bytes) = &self.refs[of % count];
                let mut bytes = bytes.clone();
                let mut edit = shared.edit(&self.pool)?;
                for (n, (part, in_place)) in writes.into_iter().enumerate() {
                    let range = range_of(bytes.len(), part);
                    let new = pattern(range.len(), n + bytes.len());
                    bytes[range.clone()].copy_from_slice(&new);
                    if in_place {
                        edit.bytes_mut(range)?.copy_from_slice(&new);
                    } else {
                        edit.write(range.start, &new)?;
                    }
                    assert!(edit.copied_pages() <= edit.own_pages());
                }
                assert_eq!(&*edit.map()?, &bytes);
                let half = bytes.len() / 2;
                let mut read = vec![0; bytes.len() - half];
                edit.read(half, &mut read)?;
                assert_eq!(read, bytes[half..]);
                self.add(edit.share(), bytes);
            }
            Step::Replace { of, page, pages } if count > 0 => {
                let (shared, bytes) = &self.refs[of % count];
                let mut bytes = bytes.clone();
                let mut edit = shared.edit(&self.pool)?;
                let start = (page * PAGE_BYTES).min(bytes.len());
                let end = ((page + pages) * PAGE_BYTES).min(bytes.len());
                bytes[start..end].fill(page as u8);
                edit.write(start, &vec![page as u8; end - start])?;
                assert_eq!(edit.copied_pages(), 0, "whole pages only");
                self.add(edit.share(), bytes);
            }
            Step::Carry { of, way } if count > 0 => {
                let (shared, bytes) = &self.refs[of % count];
                let bytes = bytes.clone();
                let arrived = carry(&self.ways[way % self.ways.len()], shared)?;
                self.add(arrived, bytes);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Passes a ref, and sees that what the peer can read beyond it is nothing.
fn carry(way: &Way, shared: &Ref) -> Result<Ref, RefError> {
    let parcel = way.receive(way.send(shared)?);
    for (descriptor, file) in parcel.descriptors.iter().enumerate() {
        let mut rest = whole_file(file.as_fd());
        let here = |extent: &&Extent| extent.descriptor == descriptor;
        for extent in parcel.extents.iter().filter(here) {
            let start = extent.offset_bytes as usize;
            rest[start..start + extent.bytes as usize].fill(0);
        }
        let whole = parcel
            .extents
            .iter()
            .filter(here)
            .all(|extent| extent.whole);
        assert!(!whole || rest.iter().all(|&byte| byte == 0));
    }
    way.open(parcel)
}

fn check(shared: &Ref, bytes: &[u8]) {
    assert_eq!(&*shared.map().expect("a view"), bytes);
    let third = bytes.len() / 3;
    let mut read = vec![0; bytes.len() - 2 * third];
    shared.read(third, &mut read).expect("inside");
    assert_eq!(read, bytes[third..][..read.len()]);
}

fn play(pool: Pool, steps: Vec<Step>) {
    let mut world = World::new(pool);
    for step in steps {
        match world.take(step) {
            // The quota is small on purpose; what failed left nothing behind.
            Ok(()) | Err(RefError::Pool(PoolError::Full { .. }) | RefError::TooMany { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    for (shared, bytes) in &world.refs {
        check(shared, bytes);
    }
    for (view, bytes) in &world.views {
        assert!(**view == *bytes, "what was seen has changed");
    }
    for way in &world.ways {
        assert!(way.source.held() <= 64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn refs_show_what_plain_bytes_would(steps in prop::collection::vec(step(), 1..40)) {
        play(pool_with(|options| options.keep_bytes = 1 << 20), steps);
    }

    #[test]
    fn a_chain_of_ten_processes_that_all_change_it_leaves_every_link_alone(
        len in length(),
        links in prop::collection::vec(prop::collection::vec(any::<(Part, bool)>(), 0..4), 10),
    ) {
        let mut world = World::new(pool_with(|_| {}));
        world.take(Step::Make { len, seed: 1 }).expect("memory");
        for (link, writes) in links.into_iter().enumerate() {
            let of = world.refs.len() - 1;
            world.take(Step::Carry { of, way: link }).expect("memory");
            world.take(Step::Write { of: of + 1, writes }).expect("memory");
        }
        for (shared, bytes) in &world.refs {
            check(shared, bytes);
        }
    }

    #[test]
    fn so_they_do_where_memory_is_short(steps in prop::collection::vec(step(), 1..40)) {
        play(pool_with(|options| options.quota_bytes = 2 << 20), steps);
    }

    #[test]
    fn so_they_do_where_memory_is_used_once(steps in prop::collection::vec(step(), 1..30)) {
        play(single_use_pool(), steps);
    }
}
