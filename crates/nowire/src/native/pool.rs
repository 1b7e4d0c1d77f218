//! Threads for handlers that take long or block. They are started when needed
//! and end when they have had nothing to do for a while.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

type Job = Box<dyn FnOnce() + Send>;

/// How long a thread without work stays.
const STAY: Duration = Duration::from_secs(10);

pub(crate) struct Pool {
    shared: Arc<Shared>,
    limit: usize,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            shared: Arc::default(),
            limit: limit.max(1),
        }
    }

    /// Has a thread do the job, as soon as one is free.
    pub(crate) fn run(&self, job: Job) {
        let mut state = self.shared.lock();
        state.jobs.push_back(job);
        let start = state.idle < state.jobs.len() && state.threads < self.limit;
        if start {
            state.threads += 1;
        }
        drop(state);
        self.shared.work.notify_one();
        if start {
            let shared = Arc::clone(&self.shared);
            let started = std::thread::Builder::new()
                .name("nowire-worker".into())
                .spawn(move || work(&shared));
            if let Err(error) = started {
                tracing::error!(%error, "no thread for a handler");
                let mut state = self.shared.lock();
                state.threads -= 1;
                // Without any thread the jobs would wait for ever; dropping them
                // answers their calls.
                let lost = if state.threads == 0 {
                    std::mem::take(&mut state.jobs)
                } else {
                    VecDeque::new()
                };
                drop(state);
                drop(lost);
            }
        }
    }
}

fn work(shared: &Shared) {
    let mut state = shared.lock();
    loop {
        if let Some(job) = state.jobs.pop_front() {
            drop(state);
            job();
            state = shared.lock();
            continue;
        }
        state.idle += 1;
        let slept = shared.work.wait_timeout(state, STAY);
        let (woken, timeout) = slept.unwrap_or_else(PoisonError::into_inner);
        state = woken;
        state.idle -= 1;
        if timeout.timed_out() && state.jobs.is_empty() {
            state.threads -= 1;
            return;
        }
    }
}
