//! Turns: whoever sleeps while it waits is woken.

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Arc, Mutex, Notify};
use loom::thread;
use nowire_protocol::bell::{Ringer, Sleeper};
use nowire_protocol::memory::{PrivateMemory, ReadMemory, WriteMemory};
use nowire_protocol::turn::{Readers, Task, Turn, Turns, Wake};

use crate::{exhaust, exhaust_within};

/// Where the peer says how many replies it has published.
const PUBLISHED: usize = 0;
/// Where this side says that it sleeps.
const SLEEPING: usize = 0;

/// A thread, or a task, that may be woken before it sleeps.
#[derive(Clone)]
struct Waiter(Arc<Notify>);

impl Wake for Waiter {
    fn wake(self) {
        self.0.notify();
    }
}

/// What one of those who wait knows of its reply.
#[derive(Default)]
struct Call {
    came: bool,
    waiter: Option<Waiter>,
}

/// The reading side.
struct Reading {
    /// Whose reply comes next, and so on.
    order: &'static [usize],
    taken: usize,
    sleeper: Sleeper,
}

struct Client {
    turns: Turns<Reading, Waiter>,
    calls: Mutex<Vec<Call>>,
    outbox: PrivateMemory,
    inbox: PrivateMemory,
    /// Both what rings and what nudges the one watcher.
    bell: Notify,
    hung_up: AtomicBool,
    /// The watcher is to end.
    over: AtomicBool,
}

impl Readers for Client {
    type Reading = Reading;
    type Sleeper = Waiter;

    fn turns(&self) -> &Turns<Reading, Waiter> {
        &self.turns
    }

    fn lie_down(&self, reading: &mut Reading) -> bool {
        reading.sleeper.get_up(&self.outbox);
        reading.sleeper.lie_down(&self.outbox);
        let is_ready = self.is_ready(reading);
        if is_ready {
            reading.sleeper.get_up(&self.outbox);
        }
        is_ready
    }

    fn nudge(&self) {
        self.bell.notify();
    }
}

impl Client {
    /// A client to which replies come in `order`, of which the peer has published
    /// so many already.
    fn new(order: &'static [usize], published: u64) -> Arc<Self> {
        let client = Self {
            turns: Turns::new(Reading {
                order,
                taken: 0,
                sleeper: Sleeper::new(SLEEPING),
            }),
            calls: Mutex::new(order.iter().map(|_| Call::default()).collect()),
            outbox: PrivateMemory::zeroed(8),
            inbox: PrivateMemory::zeroed(8),
            bell: Notify::new(),
            hung_up: AtomicBool::new(false),
            over: AtomicBool::new(false),
        };
        client.inbox.store(PUBLISHED, published, Ordering::Release);
        Arc::new(client)
    }

    fn is_ready(&self, reading: &Reading) -> bool {
        self.inbox.load(PUBLISHED, Ordering::Acquire) > reading.taken as u64
    }

    /// The peer publishes one more reply.
    fn publish(&self, ringer: &mut Ringer, number: u64) {
        self.inbox.store(PUBLISHED, number, Ordering::Release);
        if ringer.must_ring(&self.outbox) {
            self.bell.notify();
        }
    }

    /// The peer hangs up: the watcher is rung, and only who answers learns why.
    fn hang_up(&self) {
        self.hung_up.store(true, Ordering::Release);
        self.bell.notify();
    }

    /// Whether a reply has come; if not, `waiter` is woken when it does.
    fn came(&self, call: usize, waiter: Option<Waiter>) -> bool {
        let call = &mut self.calls.lock().expect("no panic")[call];
        call.waiter = waiter.filter(|_| !call.came);
        call.came
    }

    /// Takes the next reply, if there is one.
    fn read_one(&self, reading: &mut Reading) -> bool {
        if !self.is_ready(reading) {
            return false;
        }
        let call = reading.order[reading.taken];
        reading.taken += 1;
        self.deliver(call);
        true
    }

    fn deliver(&self, call: usize) {
        let mut calls = self.calls.lock().expect("no panic");
        calls[call].came = true;
        let waiter = calls[call].waiter.take();
        drop(calls);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// Reads until the reply of a call has come, as all have been published.
    fn read(&self, mut turn: Turn<'_, Self>, call: usize) {
        while !self.came(call, None) {
            assert!(self.read_one(&mut turn), "every reply is there");
        }
    }

    /// Blocks the thread until its reply has come.
    fn wait(&self, call: usize) {
        if let Some(turn) = Turn::take(self) {
            return self.read(turn, call);
        }
        let me = Waiter(Arc::new(Notify::new()));
        while !self.came(call, Some(me.clone())) {
            let turn = match Turn::take_or_queue(self, me.clone()) {
                Ok(turn) => Some(turn),
                Err(queued) => {
                    // Loom reports a deadlock if nobody wakes it.
                    me.0.wait();
                    if self.came(call, None) {
                        return;
                    }
                    queued.take()
                }
            };
            if let Some(turn) = turn {
                return self.read(turn, call);
            }
        }
    }

    /// A task that sleeps until its reply has come.
    fn wait_as_task(&self, call: usize) {
        let me = Waiter(Arc::new(Notify::new()));
        if let Some(mut turn) = Turn::take(self) {
            while self.read_one(&mut turn) {}
        }
        let mut counted = None;
        while !self.came(call, Some(me.clone())) {
            counted.get_or_insert_with(|| Task::new(self));
            me.0.wait();
        }
    }

    /// The watcher, which reads for tasks until told that they are done.
    fn watch(&self) {
        loop {
            self.bell.wait();
            if self.over.load(Ordering::Acquire) {
                return;
            }
            if let Some(mut turn) = Turn::take_or_be_nudged(self) {
                turn.sleeper.get_up(&self.outbox);
                while self.read_one(&mut turn) {}
                if self.hung_up.load(Ordering::Acquire) {
                    // No reply comes any more: everybody is told.
                    (0..turn.order.len()).for_each(|call| self.deliver(call));
                }
            }
        }
    }

    fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.bell.notify();
    }
}

#[test]
fn a_thread_reads_on_when_another_has_read_its_own() {
    for order in [&[0, 1], &[1, 0]] {
        exhaust("turns, 2 threads", move || {
            let client = Client::new(order, 2);
            let other = Arc::clone(&client);
            let waiting = thread::spawn(move || other.wait(1));
            client.wait(0);
            waiting.join().expect("no panic");
        });
    }
}

#[test]
fn a_thread_that_has_its_reply_passes_the_turn_on() {
    exhaust_within("turns, 3 threads", Some(3), || {
        let client = Client::new(&[1, 0, 2], 3);
        let others = [1, 2].map(|call| {
            let client = Arc::clone(&client);
            thread::spawn(move || client.wait(call))
        });
        client.wait(0);
        for other in others {
            other.join().expect("no panic");
        }
    });
}

#[test]
fn a_thread_that_gives_up_passes_the_turn_on() {
    exhaust_within("turns, 2 threads and one that gives up", Some(3), || {
        let client = Client::new(&[0, 1], 2);
        let other = Arc::clone(&client);
        let waiting = thread::spawn(move || other.wait(1));
        let hasty = Arc::clone(&client);
        let giving_up = thread::spawn(move || {
            // Its time is up before it sleeps.
            let me = Waiter(Arc::new(Notify::new()));
            drop(Turn::take_or_queue(&*hasty, me));
        });
        client.wait(0);
        waiting.join().expect("no panic");
        giving_up.join().expect("no panic");
    });
}

#[test]
fn a_task_is_rung_for_or_has_its_reply() {
    exhaust_within("turns, a task and its watcher", Some(2), || {
        let client = Client::new(&[1, 0], 0);
        let (peer, watching) = (Arc::clone(&client), Arc::clone(&client));
        let watcher = thread::spawn(move || watching.watch());
        let sending = thread::spawn(move || {
            let mut ringer = Ringer::new(SLEEPING);
            for number in 1..=2 {
                peer.publish(&mut ringer, number);
            }
        });
        client.wait_as_task(0);
        client.end();
        sending.join().expect("no panic");
        watcher.join().expect("no panic");
    });
}

#[test]
fn a_thread_that_leaves_has_the_watcher_read_for_a_task() {
    exhaust_within("turns, a thread, a task and its watcher", Some(3), || {
        let client = Client::new(&[1, 0], 2);
        let (thread, watching) = (Arc::clone(&client), Arc::clone(&client));
        let watcher = thread::spawn(move || watching.watch());
        let waiting = thread::spawn(move || thread.wait(1));
        client.wait_as_task(0);
        client.end();
        waiting.join().expect("no panic");
        watcher.join().expect("no panic");
    });
}

#[test]
fn a_task_learns_that_the_peer_has_hung_up() {
    exhaust_within("turns, a peer that hangs up", Some(3), || {
        let client = Client::new(&[0], 0);
        let (peer, watching) = (Arc::clone(&client), Arc::clone(&client));
        let watcher = thread::spawn(move || watching.watch());
        let ending = thread::spawn(move || peer.hang_up());
        client.wait_as_task(0);
        client.end();
        ending.join().expect("no panic");
        watcher.join().expect("no panic");
    });
}
