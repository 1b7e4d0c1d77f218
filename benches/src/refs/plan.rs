//! Which cells are measured, in which order, for how long.

use nowire_bench_harness::cell::{Carrier, Case};

use super::args::RefsArgs;
use super::line::{LONGEST, Shape};
use super::orders::{Task, Work};

pub(crate) const KIB: usize = 1 << 10;
pub(crate) const MIB: usize = 1 << 20;
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
    pub(crate) work: Work,
    pub(crate) in_flight: usize,
    pub(crate) shape: Shape,
    /// Bytes of a call, and what carries them.
    pub(crate) cells: Vec<(usize, Carrier)>,
}

impl Group {
    pub(crate) fn task(&self, bytes: usize) -> Task {
        Task {
            work: self.work,
            bytes,
            in_flight: self.in_flight,
        }
    }

    /// Services that only pass the data on.
    pub(crate) fn forwarders(&self) -> usize {
        self.services() - 1
    }

    /// Services that a call goes through.
    pub(crate) fn services(&self) -> usize {
        match self.work {
            Work::Pass { hops } => hops as usize + 1,
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

    /// Of a round of a group: long enough for each caller to make several calls,
    /// which take long by value where much data is in flight.
    pub(crate) fn round_ms_of(self, group: &Group, bytes: usize) -> u64 {
        if bytes >= MIB && group.in_flight > 1 {
            self.round_ms.max(LARGE_ROUND_MS)
        } else {
            self.round_ms
        }
    }
}

/// What was asked for of the calls between processes.
pub(crate) fn calls(args: &RefsArgs) -> Vec<Group> {
    let mut groups = nested(args);
    groups.extend(balanced(args));
    groups.extend(changed());
    for group in &mut groups {
        group
            .cells
            .retain(|&(bytes, carrier)| args.takes(bytes) && args.wants(carrier));
    }
    groups.retain(|group| {
        args.measures(group.case)
            && (args.services.is_empty() || args.services.contains(&group.services()))
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
                carriers.into_iter().map(move |carrier| (bytes, carrier))
            };
            let hops = services as u32 - 1;
            groups.push(Group {
                case: Case::Nested,
                work: Work::Pass { hops },
                in_flight,
                shape: Shape::Chain,
                cells: sizes.iter().flat_map(on).collect(),
            });
        }
    }
    groups
}

fn balanced(args: &RefsArgs) -> Vec<Group> {
    let sizes: &[usize] = if args.quick {
        &[4 * KIB, 64 * KIB]
    } else {
        &[4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB]
    };
    vec![Group {
        case: Case::Balance,
        work: Work::Pass { hops: 1 },
        in_flight: MANY,
        shape: Shape::Balancer,
        cells: sizes
            .iter()
            .flat_map(|&bytes| carriers().into_iter().map(move |carrier| (bytes, carrier)))
            .collect(),
    }]
}

fn changed() -> Vec<Group> {
    let group = |percent| Group {
        case: Case::Change,
        work: Work::Change { percent },
        in_flight: 1,
        shape: Shape::Chain,
        cells: carriers()
            .into_iter()
            .map(|carrier| (SWEPT_BYTES, carrier))
            .collect(),
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
