//! Which cells are measured, in which order, for how long.

use nowire_bench_harness::cell::{Carrier, Case};

use super::args::{Place, RefsArgs};
use super::line::{LONGEST, Shape};
use super::orders::{Task, Work};

pub(crate) const KIB: usize = 1 << 10;
pub(crate) const MIB: usize = 1 << 20;
/// Services of the chain that the longest is compared with for what one adds: a
/// service that alone passes on has the caches for itself.
pub(crate) const SHORTER: usize = 3;
/// Calls at a time where throughput is what counts.
pub(crate) const MANY: usize = 8;
/// The shortest round in which large data is in flight several times.
const LARGE_ROUND_MS: u64 = 400;
/// Calls at a time through the longest chain, to see what it can do at most.
const MOST: usize = 32;
/// The object of the write sweep, as in the paper.
pub(crate) const SWEPT_BYTES: usize = 32 * KIB;
pub(crate) const PERCENTS: [u32; 4] = [0, 25, 50, 100];
/// What is shared and copied within one process.
const SHARED: [usize; 6] = [4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB];

/// Work of one kind, in several sizes and on several carriers, round after round
/// in turn: what is compared is measured side by side.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) case: Case,
    pub(crate) in_flight: usize,
    pub(crate) place: Place,
    /// From how many bytes on data goes by reference, if not from the default.
    pub(crate) refer_from: Option<usize>,
    pub(crate) pace: Pace,
    pub(crate) cells: Vec<Cell>,
    /// So many cells have their turns next to each other.
    pub(crate) adjacent: usize,
}

/// What is measured of a group in one turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) carrier: Carrier,
    pub(crate) shape: Shape,
    pub(crate) work: Work,
    pub(crate) bytes: usize,
}

impl Cell {
    pub(crate) fn task(&self, in_flight: usize) -> Task {
        Task {
            work: self.work,
            bytes: self.bytes,
            in_flight,
        }
    }

    /// Services that only pass the data on.
    pub(crate) fn forwarders(&self) -> usize {
        self.services() - 1
    }

    /// Services that a call goes through.
    pub(crate) fn services(&self) -> usize {
        match self.work {
            Work::Pass { hops } | Work::Way { hops, .. } => hops as usize + 1,
            Work::Change { .. } => 1,
        }
    }
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) rounds: usize,
    pub(crate) round_ms: u64,
}

impl Pace {
    pub(crate) fn of(args: &RefsArgs) -> Self {
        let (rounds, round_ms) = if args.quick { (2, 40) } else { (5, 200) };
        Self { rounds, round_ms }
    }

    /// Many short rounds, for small differences.
    fn of_hops(args: &RefsArgs) -> Self {
        let (rounds, round_ms) = if args.quick { (12, 20) } else { (40, 40) };
        Self { rounds, round_ms }
    }
}

impl Group {
    /// The order of the cells in a round. It differs from round to round, so that none
    /// always comes behind the same other and finds the caches as that left them.
    pub(crate) fn turns(&self, round: usize) -> impl Iterator<Item = usize> + use<> {
        let adjacent = self.adjacent;
        let mut order: Vec<usize> = (0..self.cells.len() / adjacent).collect();
        let mut random = fastrand::Rng::with_seed(round as u64);
        random.shuffle(&mut order);
        let cells = move |place| (place * adjacent)..(place + 1) * adjacent;
        order.into_iter().flat_map(cells)
    }

    /// Of a round: long enough for each caller to make several calls, which take long
    /// by value where much data is in flight.
    pub(crate) fn round_ms(&self, cell: &Cell) -> u64 {
        if cell.bytes >= MIB && self.in_flight > 1 {
            self.pace.round_ms.max(LARGE_ROUND_MS)
        } else {
            self.pace.round_ms
        }
    }
}

/// What was asked for of the calls between processes.
pub(crate) fn calls(args: &RefsArgs) -> Vec<Group> {
    let mut groups = nested(args);
    groups.extend(hops(args));
    groups.extend(balanced(args));
    groups.extend(changed(args));
    for group in &mut groups {
        group.cells.retain(|cell| {
            args.takes(cell.bytes)
                && args.wants(cell.carrier)
                && (args.services.is_empty() || args.services.contains(&cell.services()))
        });
        if !args.services.is_empty() {
            group.adjacent = 1;
        }
    }
    groups.retain(|group| {
        args.measures(group.case)
            && (args.in_flight.is_empty() || args.in_flight.contains(&group.in_flight))
            && !group.cells.is_empty()
    });
    groups
}

/// What was asked for of sharing and copying in one process.
pub(crate) fn shared_sizes(args: &RefsArgs, case: Case) -> Vec<usize> {
    let sizes = SHARED.into_iter();
    sizes
        .filter(|&bytes| args.measures(case) && args.takes(bytes))
        .collect()
}

fn nested(args: &RefsArgs) -> Vec<Group> {
    let (sizes, lengths): (&[usize], &[usize]) = if args.quick {
        (&[0, 4 * KIB, 64 * KIB, MIB], &[1, 3, LONGEST])
    } else {
        let sizes = &[0, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB];
        (sizes, &[1, 2, 3, 4, 5, 6, LONGEST])
    };
    let sizes = args.sizes_or(sizes);
    let mut groups = Vec::new();
    for &services in lengths {
        for in_flight in [1, MANY, MOST] {
            if in_flight == MOST && services < LONGEST {
                continue;
            }
            let on = |&bytes: &usize| {
                let carriers = match (bytes, in_flight) {
                    (0, 1) => vec![Carrier::Floor, Carrier::Unix, Carrier::Nowire],
                    (0, _) => vec![Carrier::Unix, Carrier::Nowire],
                    _ => [&[Carrier::Unix, Carrier::Plain], &carriers()[1..]].concat(),
                };
                let through = move |carrier| Cell {
                    carrier,
                    shape: Shape::Chain(services),
                    work: Work::Pass {
                        hops: services as u32 - 1,
                    },
                    bytes,
                };
                carriers.into_iter().map(through)
            };
            groups.push(Group {
                case: Case::Nested,
                in_flight,
                place: args.place(),
                refer_from: args.refer_from,
                pace: Pace::of(args),
                cells: sizes.iter().flat_map(on).collect(),
                adjacent: 1,
            });
        }
    }
    groups
}

/// Both lengths take turns, so that their difference is that of services.
fn hops(args: &RefsArgs) -> Vec<Group> {
    let (sizes, places): (&[usize], &[Place]) = if args.quick {
        (&[64 * KIB, MIB], &[Place::Apart])
    } else {
        let sizes = &[4 * KIB, 16 * KIB, 32 * KIB, 64 * KIB, 256 * KIB, MIB];
        (sizes, &[Place::Apart, Place::Alternate])
    };
    let sizes = args.sizes_or(sizes);
    // What is compared goes through the same processes: two chains of one length
    // differ by more than what is looked for here.
    let mut measured = vec![(Carrier::Floor, 0, 0)];
    for carrier in [Carrier::Nowire, Carrier::Refs] {
        measured.push((carrier, 0, 0));
        for &bytes in sizes.iter().filter(|&&bytes| bytes > 0) {
            measured.push((carrier, bytes, 0));
            if carrier == Carrier::Refs {
                // Nothing is passed, and the ends have as much to do as if it were.
                measured.push((carrier, 0, bytes));
            }
        }
    }
    let group = |&place: &Place| Group {
        case: Case::Hop,
        in_flight: 1,
        place,
        // What references cost at any size; by value is beside them.
        refer_from: args.refer_from.or(Some(1)),
        pace: Pace::of_hops(args),
        cells: measured
            .iter()
            .flat_map(|&(carrier, bytes, aside_bytes)| {
                [SHORTER, LONGEST].map(|services| Cell {
                    carrier,
                    shape: Shape::Chain(services),
                    work: Work::Way {
                        hops: services as u32 - 1,
                        aside_bytes,
                    },
                    bytes,
                })
            })
            .collect(),
        adjacent: 2,
    };
    let asked_for = args.place.as_ref().map(std::slice::from_ref);
    asked_for.unwrap_or(places).iter().map(group).collect()
}

fn balanced(args: &RefsArgs) -> Vec<Group> {
    let sizes: &[usize] = if args.quick {
        &[4 * KIB, 64 * KIB]
    } else {
        &[4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB]
    };
    vec![Group {
        case: Case::Balance,
        in_flight: MANY,
        place: args.place(),
        refer_from: args.refer_from,
        pace: Pace::of(args),
        cells: sizes
            .iter()
            .flat_map(|&bytes| {
                carriers().into_iter().map(move |carrier| Cell {
                    carrier,
                    shape: Shape::Balancer,
                    work: Work::Pass { hops: 1 },
                    bytes,
                })
            })
            .collect(),
        adjacent: 1,
    }]
}

fn changed(args: &RefsArgs) -> Vec<Group> {
    let group = |percent| Group {
        case: Case::Change,
        in_flight: 1,
        place: args.place(),
        refer_from: args.refer_from,
        pace: Pace::of(args),
        cells: carriers()
            .into_iter()
            .map(|carrier| Cell {
                carrier,
                shape: Shape::Chain(1),
                work: Work::Change { percent },
                bytes: SWEPT_BYTES,
            })
            .collect(),
        adjacent: 1,
    };
    PERCENTS.map(group).into()
}

fn carriers() -> Vec<Carrier> {
    vec![
        Carrier::Unix,
        Carrier::Nowire,
        Carrier::Refs,
        Carrier::Fresh,
    ]
}
