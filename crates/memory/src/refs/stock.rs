//! The segments of a pool: how much there is, what is free, what may be soon.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::own::Own;
use super::{PoolError, PoolOptions, Reuse, Usage, class};
use crate::segment::SegmentError;
use crate::sys::lease::Holders;
use crate::sys::warm::{Unmapped, Warm};

/// What the segments are called in `/proc/<pid>/maps`.
const LABEL: &str = "nowire-ref";

/// Segments of the asked size that an allocation tries to prove free, at most,
/// before it makes one.
const TRIES: usize = 4;

/// Segments of any size that are tried when one is let go of although more than is
/// kept waits already.
const TRIES_ON_RETURN: usize = 2;

/// The part of the descriptors this process may have that free segments take, at
/// most: each has one.
const KEPT_PART_OF_DESCRIPTORS: u64 = 8;

/// Free segments kept, at most, however many descriptors there may be.
const KEPT_SEGMENTS: u64 = 1024;

/// How a segment comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It never left this process.
    Private,
    /// It can be used again as soon as nobody else has it.
    Reusable,
    /// It is not used again, and counts until nobody else has it, or, if it went to
    /// no stranger, nobody holds a ref to it.
    Spent { strangers: bool },
    /// It is not used again, and the kernel will not tell who has it.
    Unknown,
}

/// What the clones of a pool, and its segments, have in common.
pub(super) struct Stock {
    options: PoolOptions,
    keep_segments: usize,
    state: Mutex<State>,
    /// Held while segments that wait are tried, as they are in no list then.
    sweep: Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Of all segments but those kept.
    live_bytes: usize,
    segments: usize,
    /// What this process let go of, by size.
    waiting: BTreeMap<usize, VecDeque<Waiting>>,
    waiting_bytes: usize,
    waiting_segments: usize,
    /// What is free, by size.
    kept: BTreeMap<usize, VecDeque<Kept>>,
    kept_bytes: usize,
    kept_segments: usize,
    /// Counts what is let go of and kept, to tell what is older.
    turn: u64,
}

struct Waiting {
    turn: u64,
    segment: Candidate,
}

enum Candidate {
    Reusable(Warm),
    Spent { segment: Unmapped, strangers: bool },
}

struct Kept {
    turn: u64,
    warm: Warm,
}

/// Which segments are tried.
#[derive(Debug, Clone, Copy)]
enum Which {
    Size(usize),
    Any,
}

impl Candidate {
    fn size_bytes(&self) -> usize {
        match self {
            Self::Reusable(warm) => warm.size_bytes(),
            Self::Spent { segment, .. } => segment.size_bytes(),
        }
    }

    fn holders(&self) -> Holders {
        match self {
            Self::Reusable(warm) => warm.readers(),
            Self::Spent {
                segment,
                strangers: false,
            } => segment.readers(),
            // These may take a mark away and keep the memory.
            Self::Spent {
                segment,
                strangers: true,
            } => segment.other_holders(),
        }
    }
}

impl Stock {
    pub(super) fn new(options: PoolOptions) -> Arc<Self> {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let keep_segments = (descriptors / KEPT_PART_OF_DESCRIPTORS).min(KEPT_SEGMENTS);
        Arc::new(Self {
            options,
            keep_segments: keep_segments as usize,
            state: Mutex::default(),
            sweep: Mutex::default(),
        })
    }

    pub(super) fn reuse(&self) -> Reuse {
        self.options.reuse
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half-way but for a bug.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A segment of at least `bytes` bytes, of which none is shown yet.
    pub(super) fn allocate(self: &Arc<Self>, bytes: usize) -> Result<Own, PoolError> {
        let size = class::segment_bytes(bytes).ok_or(PoolError::Size { asked_bytes: bytes })?;
        let warm = match self.take_kept(size) {
            Some(warm) => warm,
            None => {
                self.try_lightly(Which::Size(size), TRIES);
                match self.take_kept(size) {
                    Some(warm) => warm,
                    None => self.make(size)?,
                }
            }
        };
        Ok(Own::new(warm, Arc::clone(self)))
    }

    /// Takes a free segment of exactly `size`.
    fn take_kept(&self, size: usize) -> Option<Warm> {
        let mut state = self.lock();
        let kept = state.kept.get_mut(&size)?.pop_back()?;
        state.kept_bytes -= size;
        state.kept_segments -= 1;
        state.live_bytes += size;
        state.segments += 1;
        Some(kept.warm)
    }

    /// Makes a segment, after finding room in the quota.
    fn make(&self, size: usize) -> Result<Warm, PoolError> {
        if let Err(full) = self.reserve(size) {
            self.sweep_all();
            if let Some(warm) = self.take_kept(size) {
                return Ok(warm);
            }
            self.reserve(size).map_err(|_| full)?;
        }
        let made = Warm::create(LABEL, size).or_else(|error| {
            if self.reclaim() == 0 {
                return Err(error);
            }
            Warm::create(LABEL, size)
        });
        made.map_err(|error| {
            let mut state = self.lock();
            state.live_bytes -= size;
            state.segments -= 1;
            match error {
                SegmentError::Os {
                    source: source @ (Errno::MFILE | Errno::NFILE),
                    ..
                } => PoolError::Descriptors {
                    asked_bytes: size,
                    segments: state.segments,
                    source,
                },
                error => PoolError::Segment(error),
            }
        })
    }

    /// Takes `size` bytes of the quota; what is kept gives way.
    fn reserve(&self, size: usize) -> Result<(), PoolError> {
        let quota_bytes = self.options.quota_bytes;
        let mut gone = Vec::new();
        let mut state = self.lock();
        let fits = |taken: usize| {
            taken
                .checked_add(size)
                .is_some_and(|sum| sum <= quota_bytes)
        };
        if !fits(state.live_bytes) {
            return Err(PoolError::Full {
                asked_bytes: size,
                live_bytes: state.live_bytes,
                quota_bytes,
            });
        }
        while !fits(state.live_bytes + state.kept_bytes) {
            let Some(oldest) = state.evict() else { break };
            gone.push(oldest);
        }
        state.live_bytes += size;
        state.segments += 1;
        // Unmapping takes a while: not under the lock.
        drop(state);
        drop(gone);
        Ok(())
    }

    /// What a segment that nobody in this process has any more becomes.
    pub(super) fn take_back(&self, warm: Warm, ending: Ending) {
        let size = warm.size_bytes();
        match ending {
            Ending::Private if self.options.reuse == Reuse::Proven => {
                let gone = self.lock().keep(warm, self);
                drop(gone);
            }
            Ending::Private | Ending::Unknown => {
                drop(warm);
                self.lock().uncount(size);
            }
            Ending::Reusable => self.wait_for(Candidate::Reusable(warm)),
            Ending::Spent { strangers } => self.wait_for(Candidate::Spent {
                segment: warm.unmap(),
                strangers,
            }),
        }
    }

    fn wait_for(&self, segment: Candidate) {
        let many = {
            let mut state = self.lock();
            state.waiting_bytes += segment.size_bytes();
            state.waiting_segments += 1;
            state.enqueue(segment);
            state.waiting_bytes + state.kept_bytes > self.options.keep_bytes
                || state.waiting_segments + state.kept_segments > self.keep_segments
        };
        if many {
            self.try_lightly(Which::Any, TRIES_ON_RETURN);
        }
    }

    /// Tries some segments that wait, unless somebody else is at it.
    fn try_lightly(&self, which: Which, tries: usize) {
        if let Ok(_sweeping) = self.sweep.try_lock() {
            self.sweep(which, tries);
        }
    }

    /// Tries every segment that waits; returns how many bytes of those that are not
    /// used again were given back.
    fn sweep_all(&self) -> usize {
        let _sweeping = self.sweep.lock().unwrap_or_else(PoisonError::into_inner);
        self.sweep(Which::Any, usize::MAX)
    }

    /// Tries up to `tries` segments, those that wait longest first, and puts those
    /// that nobody has where they belong. Returns how many bytes went back to the
    /// kernel.
    fn sweep(&self, which: Which, tries: usize) -> usize {
        let candidates = self.lock().dequeue(which, tries);
        if candidates.is_empty() {
            return 0;
        }
        // A system call for each: not under the lock.
        let tried: Vec<_> = candidates
            .into_iter()
            .map(|segment| (segment.holders(), segment))
            .collect();
        let mut gone = Vec::new();
        let mut given_back = 0;
        let mut state = self.lock();
        for (holders, segment) in tried {
            if holders == Holders::Some {
                state.enqueue(segment);
                continue;
            }
            let size = segment.size_bytes();
            state.waiting_bytes -= size;
            state.waiting_segments -= 1;
            match segment {
                Candidate::Reusable(warm) if holders == Holders::None => {
                    let evicted = state.keep(warm, self);
                    given_back += evicted.iter().map(Warm::size_bytes).sum::<usize>();
                    gone.extend(evicted.into_iter().map(Candidate::Reusable));
                }
                // Also what the kernel will not tell about any more: it would count
                // for ever.
                spent => {
                    state.uncount(size);
                    given_back += size;
                    gone.push(spent);
                }
            }
        }
        drop(state);
        drop(gone);
        given_back
    }

    /// See [`Pool::reclaim`](super::Pool::reclaim).
    pub(super) fn reclaim(&self) -> usize {
        let given_back = self.sweep_all();
        let mut gone = Vec::new();
        {
            let mut state = self.lock();
            while let Some(oldest) = state.evict() {
                gone.push(oldest);
            }
        }
        given_back + gone.iter().map(Warm::size_bytes).sum::<usize>()
    }

    pub(super) fn usage(&self) -> Usage {
        let state = self.lock();
        Usage {
            quota_bytes: self.options.quota_bytes,
            live_bytes: state.live_bytes,
            waiting_bytes: state.waiting_bytes,
            kept_bytes: state.kept_bytes,
            segments: state.segments,
            waiting_segments: state.waiting_segments,
        }
    }
}

impl fmt::Debug for Stock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stock")
            .field("options", &self.options)
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

impl State {
    fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    fn uncount(&mut self, size: usize) {
        self.live_bytes -= size;
        self.segments -= 1;
    }

    /// Keeps a segment that is in use no more; returns what there is no room for.
    fn keep(&mut self, warm: Warm, stock: &Stock) -> Vec<Warm> {
        let keep_bytes = stock.options.keep_bytes;
        let size = warm.size_bytes();
        self.uncount(size);
        if size > keep_bytes {
            return vec![warm];
        }
        let turn = self.next_turn();
        let kept = self.kept.entry(size).or_default();
        kept.push_back(Kept { turn, warm });
        self.kept_bytes += size;
        self.kept_segments += 1;
        let mut gone = Vec::new();
        while self.kept_bytes > keep_bytes || self.kept_segments > stock.keep_segments {
            let Some(oldest) = self.evict() else { break };
            gone.push(oldest);
        }
        gone
    }

    /// Takes what was kept unused for longest.
    fn evict(&mut self) -> Option<Warm> {
        let oldest = |kept: &VecDeque<Kept>| kept.front().map(|kept| kept.turn);
        let kept = self.kept.values_mut().filter(|kept| !kept.is_empty());
        let kept = kept.min_by_key(|kept| oldest(kept))?.pop_front()?;
        self.kept_bytes -= kept.warm.size_bytes();
        self.kept_segments -= 1;
        Some(kept.warm)
    }

    fn enqueue(&mut self, segment: Candidate) {
        let turn = self.next_turn();
        let queue = self.waiting.entry(segment.size_bytes()).or_default();
        queue.push_back(Waiting { turn, segment });
    }

    fn dequeue(&mut self, which: Which, tries: usize) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        while candidates.len() < tries {
            let queue = match which {
                Which::Size(size) => self.waiting.get_mut(&size),
                Which::Any => (self.waiting.values_mut())
                    .filter(|queue| !queue.is_empty())
                    .min_by_key(|queue| queue.front().map(|waiting| waiting.turn)),
            };
            let Some(waiting) = queue.and_then(VecDeque::pop_front) else {
                break;
            };
            candidates.push(waiting.segment);
        }
        candidates
    }
}
