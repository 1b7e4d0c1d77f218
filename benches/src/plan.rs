//! Which cells are measured, in which order, for how long.

use nowire_bench_harness::cell::{Carrier, Case, Load, Party, Wait};
use prost::Message;

use crate::args::RunArgs;
use crate::tree::{self, TREE};

const PAGE: usize = 4 << 10;
const MIB: usize = 1 << 20;
const SIZES: [usize; 5] = [0, 64, 4 << 10, 64 << 10, 1 << 20];
const SMALL: usize = 64;
const IN_FLIGHT: [usize; 2] = [16, 64];

/// Native calls in flight from one thread.
const WINDOWS: [usize; 4] = [4, 16, 64, 256];

const GRPC: [Party; 6] = [
    party(Carrier::Floor, Wait::Fixed),
    party(Carrier::Inprocess, Wait::Fixed),
    party(Carrier::Nowire, Wait::Adaptive),
    party(Carrier::Nowire, Wait::Park),
    party(Carrier::Unix, Wait::Fixed),
    party(Carrier::Tcp, Wait::Fixed),
];

const NATIVE: [Party; 8] = [
    party(Carrier::Floor, Wait::Fixed),
    party(Carrier::Memcpy, Wait::Fixed),
    party(Carrier::Trust, Wait::Adaptive),
    party(Carrier::Copy, Wait::Adaptive),
    party(Carrier::Sealed, Wait::Adaptive),
    party(Carrier::Iceoryx2, Wait::Fixed),
    party(Carrier::Nowire, Wait::Adaptive),
    party(Carrier::Unix, Wait::Fixed),
];

const fn party(carrier: Carrier, wait: Wait) -> Party {
    Party { carrier, wait }
}

/// One load and everybody who bears it, round after round in turn.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) load: Load,
    pub(crate) parties: Vec<Party>,
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) rounds: usize,
    pub(crate) warm_ms: u64,
    pub(crate) round_ms: u64,
    pub(crate) parked_round_ms: u64,
    pub(crate) connects: u64,
    pub(crate) idle_connections: usize,
    pub(crate) idle_ms: u64,
}

impl Pace {
    pub(crate) fn of(args: &RunArgs) -> Self {
        if args.quick {
            Self {
                rounds: 3,
                warm_ms: 20,
                round_ms: 100,
                parked_round_ms: 250,
                connects: 20,
                idle_connections: 1000,
                idle_ms: 2_000,
            }
        } else {
            Self {
                rounds: 5,
                warm_ms: 50,
                round_ms: 500,
                parked_round_ms: 1_500,
                connects: 40,
                idle_connections: 1000,
                idle_ms: 10_000,
            }
        }
    }

    pub(crate) fn run_ms(self, case: Case) -> u64 {
        match case {
            Case::Parked => self.parked_round_ms,
            _ => self.round_ms,
        }
    }
}

/// What was asked for of the gRPC benchmark.
pub(crate) fn grpc(args: &RunArgs) -> Vec<Group> {
    let mut loads = Vec::new();
    for case in [Case::Unary, Case::Stream] {
        loads.extend(SIZES.map(|bytes| load(case, bytes, 1)));
    }
    loads.extend(IN_FLIGHT.map(|in_flight| load(Case::Unary, SMALL, in_flight)));
    loads.push(load(Case::Parked, SMALL, 1));
    loads.push(load(Case::Connect, 0, 1));
    loads.push(load(Case::Idle, 0, 1));
    groups(args, &loads, &GRPC, bears)
}

/// What was asked for of the benchmark of native calls.
pub(crate) fn native(args: &RunArgs) -> Vec<Group> {
    let mut loads = vec![load(Case::Noop, 0, 1)];
    loads.extend(WINDOWS.map(|window| load(Case::Noop, 0, window)));
    // What prost makes of the tree.
    let tree = tree::message(&TREE).encoded_len();
    loads.extend([Case::Tree, Case::Grow, Case::Fetch].map(|case| load(case, tree, 1)));
    loads.push(load(Case::Pass, PAGE, 1));
    loads.extend([PAGE, MIB].map(|bytes| load(Case::Write, bytes, 1)));
    loads.extend([PAGE, 1024 * PAGE].map(|bytes| load(Case::Seal, bytes, 1)));
    loads.extend([Case::Connect, Case::Channel].map(|case| load(case, 0, 1)));
    groups(args, &loads, &NATIVE, bears_native)
}

/// Whether anything is measured on this carrier.
pub(crate) fn has(groups: &[Group], carrier: Carrier) -> bool {
    let mut parties = groups.iter().flat_map(|group| &group.parties);
    parties.any(|party| party.carrier == carrier)
}

fn groups(
    args: &RunArgs,
    loads: &[Load],
    parties: &[Party],
    bears: fn(Party, Load) -> bool,
) -> Vec<Group> {
    loads
        .iter()
        .filter(|load| args.only.is_empty() || args.only.contains(&load.case))
        .filter(|load| args.bytes.is_empty() || args.bytes.contains(&load.bytes))
        .map(|&load| Group {
            load,
            parties: parties
                .iter()
                .copied()
                .filter(|party| args.wants(party.carrier))
                .filter(|&party| bears(party, load))
                .collect(),
        })
        .filter(|group| !group.parties.is_empty())
        .collect()
}

const fn load(case: Case, bytes: usize, in_flight: usize) -> Load {
    Load {
        case,
        bytes,
        in_flight,
    }
}

fn bears(party: Party, load: Load) -> bool {
    let transport = !matches!(party.carrier, Carrier::Floor | Carrier::Inprocess);
    match load.case {
        Case::Unary => party.carrier != Carrier::Floor || load.in_flight == 1,
        Case::Stream => party.carrier != Carrier::Floor,
        Case::Parked => transport,
        // How a side waits changes neither.
        Case::Connect | Case::Idle => transport && party.wait != Wait::Park,
        _ => false,
    }
}

fn bears_native(party: Party, load: Load) -> bool {
    use Carrier::{Copy, Floor, Iceoryx2, Memcpy, Nowire, Sealed, Trust, Unix};
    let carriers: &[Carrier] = match load.case {
        Case::Noop if load.in_flight == 1 => &[Floor, Trust, Copy, Iceoryx2, Nowire, Unix],
        // How a number in a slot is kept still is no question.
        Case::Noop => &[Trust, Iceoryx2, Nowire, Unix],
        // iceoryx2 knows no tree.
        Case::Tree | Case::Grow | Case::Fetch => &[Trust, Copy, Nowire, Unix],
        Case::Pass => &[Trust, Copy],
        Case::Write if load.bytes < MIB => &[Floor, Trust, Copy, Iceoryx2, Nowire, Unix],
        Case::Write => &[Floor, Trust, Copy, Sealed, Iceoryx2, Nowire, Unix],
        Case::Seal => &[Memcpy, Sealed],
        Case::Connect | Case::Channel => &[Trust, Iceoryx2, Nowire, Unix],
        _ => &[],
    };
    carriers.contains(&party.carrier)
}
