//! Which cells are measured, in which order, for how long.

use crate::args::GrpcArgs;
use crate::cell::{Carrier, Case, Load, Party, Wait};

const SIZES: [usize; 5] = [0, 64, 4 << 10, 64 << 10, 1 << 20];
const SMALL: usize = 64;
const IN_FLIGHT: [usize; 2] = [16, 64];

const PARTIES: [Party; 6] = [
    party(Carrier::Floor, Wait::Fixed),
    party(Carrier::Inprocess, Wait::Fixed),
    party(Carrier::Nowire, Wait::Adaptive),
    party(Carrier::Nowire, Wait::Park),
    party(Carrier::Unix, Wait::Fixed),
    party(Carrier::Tcp, Wait::Fixed),
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
    pub(crate) fn of(args: &GrpcArgs) -> Self {
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

/// Everything that was asked for.
pub(crate) fn groups(args: &GrpcArgs) -> Vec<Group> {
    let mut loads = Vec::new();
    for case in [Case::Unary, Case::Stream] {
        loads.extend(SIZES.map(|bytes| load(case, bytes, 1)));
    }
    loads.extend(IN_FLIGHT.map(|in_flight| load(Case::Unary, SMALL, in_flight)));
    loads.push(load(Case::Parked, SMALL, 1));
    loads.push(load(Case::Connect, 0, 1));
    loads.push(load(Case::Idle, 0, 1));
    loads
        .into_iter()
        .filter(|load| args.only.is_empty() || args.only.contains(&load.case))
        .filter(|load| args.bytes.is_empty() || args.bytes.contains(&load.bytes))
        .map(|load| Group {
            load,
            parties: PARTIES
                .into_iter()
                .filter(|party| args.carrier.is_empty() || args.carrier.contains(&party.carrier))
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
    }
}
