//! The task of one connection: it waits for the doorbell, takes frames off the
//! ring when nobody else does, begins calls on the server, and notices death.

use std::future::Future;
use std::os::fd::AsFd;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use nowire_protocol::PeerMisbehaved;
use nowire_protocol::ring::Control;
use nowire_protocol::stream::Side;
use tokio::time::Sleep;

use crate::cell::StreamCell;
use crate::connection::Connection;
use crate::descriptors::Socket;
use crate::error::ConnectionError;
use crate::looking::{LOOKS, yield_now};
use crate::receiving::Rx;
use crate::shared::Shared;
use crate::stream::Incoming;
use crate::wait::{BURST, Hot};

/// The future of a call that a server has begun.
pub type Handling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a server does with the calls that come.
pub trait Accept: Send + 'static {
    /// Begins a call and, if there is a context, polls it once with it. What is
    /// returned goes on in a task of its own; none if the call is complete.
    fn begin(&mut self, call: Incoming, cx: Option<&mut Context<'_>>) -> Option<Handling>;
}

/// Pings for a connection whose peer is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence after which a ping is sent.
    pub interval: Duration,
    /// Time the peer has to answer before the connection is given up.
    pub timeout: Duration,
    /// Whether to ping while no call is open.
    pub while_idle: bool,
}

impl Default for KeepAlive {
    /// A ping after 20 s of silence, 20 s to answer, only while calls are open.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(20),
            timeout: Duration::from_secs(20),
            while_idle: false,
        }
    }
}

/// Doorbells without anything behind them before a peer is cut off.
pub(crate) const EMPTY_RINGS: u32 = 4096;
/// Frames taken in one turn before other tasks get theirs: fewer than a task may
/// receive by tokio's budget, so that calls begun in place are not cut short.
const TURN: usize = 96;
/// How long a call may take to its first wait and still be begun in place.
const SHORT: Duration = Duration::from_micros(50);
/// How long a server that shuts down waits for a client without open calls to
/// confirm that no more will come.
const GO_AWAY_GRACE: Duration = Duration::from_secs(1);

/// Keeps a connection going: takes in what comes while no call does, begins
/// calls on the server, notices the peer's death. Asleep while nothing happens.
#[must_use = "a connection stands still unless its driver is polled"]
pub struct Driver {
    shared: Arc<Shared>,
    accept: Option<(Box<dyn Accept>, Connection)>,
    keep_alive: Option<KeepAliveState>,
    /// Rings of the doorbell not yet answered by getting up: the peer will not
    /// ring again before.
    rung: u32,
    empty_rings: u32,
    last_progress: u64,
    /// Calls to begin in tasks of their own, because those begun in place took long.
    apart: u32,
    apart_next: u32,
    farewell: Option<Pin<Box<Sleep>>>,
    /// When the kernel is asked again to take what is owed.
    asks_again: Option<Pin<Box<Sleep>>>,
    hung_up: bool,
    /// Calls taken off the ring and not begun.
    arrivals: Vec<Arc<StreamCell>>,
}

struct KeepAliveState {
    settings: KeepAlive,
    timer: Pin<Box<Sleep>>,
    taken: u64,
    token: u64,
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        accept: Option<(Box<dyn Accept>, Connection)>,
        keep_alive: Option<KeepAlive>,
    ) -> Self {
        let keep_alive = keep_alive.map(|settings| KeepAliveState {
            settings,
            timer: Box::pin(tokio::time::sleep(settings.interval)),
            taken: 0,
            token: 0,
        });
        Self {
            shared,
            accept,
            keep_alive,
            rung: 0,
            empty_rings: 0,
            last_progress: 0,
            apart: 0,
            apart_next: 64,
            farewell: None,
            asks_again: None,
            hung_up: false,
            arrivals: Vec::new(),
        }
    }

    /// Empties the doorbell. Returns how often it was rung.
    fn poll_doorbell(&mut self, cx: &mut Context<'_>) -> Result<u32, ConnectionError> {
        let mut rung = 0_u32;
        while !self.hung_up {
            let mut ready = match self.shared.socket.poll_read_ready(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(ready)) => ready,
                Poll::Ready(Err(error)) => {
                    let error = ConnectionError::Socket {
                        peer: self.shared.label(),
                        error: Arc::new(error),
                    };
                    return Err(self.shared.close(error));
                }
            };
            let mut descriptors = self.shared.descriptors();
            let taken = descriptors.take_in(self.shared.socket.as_fd());
            drop(descriptors);
            match taken {
                Ok(Socket::Rung(times)) => {
                    // There may be more behind a descriptor: other descriptors,
                    // which are fetched with their frames, and rings for the same
                    // time that we lay down.
                    ready.clear_ready();
                    rung = rung.saturating_add(times);
                    if rung > EMPTY_RINGS {
                        // The rest is for the next turn: a storm must not hold us here.
                        cx.waker().wake_by_ref();
                        break;
                    }
                }
                Ok(Socket::Empty) => ready.clear_ready(),
                Ok(Socket::HungUp) => self.hung_up = true,
                Err(what) => return Err(self.shared.misbehaved(what)),
            }
        }
        Ok(rung)
    }

    /// Begins the calls that have come; whether there were any.
    fn begin_arrivals(&mut self, cx: &mut Context<'_>) -> bool {
        let count = self.arrivals.len() as u32;
        if count == 0 {
            return false;
        }
        let began = Instant::now();
        let mut arrivals = std::mem::take(&mut self.arrivals);
        for cell in arrivals.drain(..) {
            self.begin(cell, cx);
        }
        self.arrivals = arrivals;
        if self.apart == 0 {
            if began.elapsed() > SHORT * count {
                self.apart = self.apart_next;
                self.apart_next = (self.apart_next * 2).min(4096);
            } else {
                self.apart_next = 64;
            }
        }
        true
    }

    fn begin(&mut self, cell: Arc<StreamCell>, cx: &mut Context<'_>) {
        let Some((accept, connection)) = &mut self.accept else {
            return;
        };
        let Some(incoming) = Incoming::new(connection.clone(), cell) else {
            return;
        };
        let begun = std::panic::catch_unwind(AssertUnwindSafe(|| {
            accept.begin(incoming, (self.apart == 0).then_some(cx))
        }));
        self.apart = self.apart.saturating_sub(1);
        match begun {
            Ok(None) => {}
            Ok(Some(handling)) => {
                let counted = Handler::new(Arc::clone(&self.shared));
                tokio::spawn(async move {
                    let _counted = counted;
                    handling.await;
                });
            }
            // The stream was reset as the handler's future was dropped.
            Err(_) => tracing::error!(peer = %self.shared.label(), "a handler panicked"),
        }
    }

    fn poll_keep_alive(
        &mut self,
        rx: &mut Rx,
        cx: &mut Context<'_>,
    ) -> Result<(), ConnectionError> {
        let Some(state) = &mut self.keep_alive else {
            return Ok(());
        };
        while state.timer.as_mut().poll(cx).is_ready() {
            let now = tokio::time::Instant::now();
            let taken = rx.consumer.taken();
            let heard = taken != state.taken;
            state.taken = taken;
            if rx.ping.is_some() && !heard {
                let timeout_ms = state.settings.timeout.as_millis() as u64;
                return Err(self.shared.close(ConnectionError::PeerSilent {
                    peer: self.shared.label(),
                    timeout_ms,
                }));
            }
            let wanted = state.settings.while_idle || self.shared.open_streams() > 0;
            if heard || !wanted || rx.ping.is_some() {
                state.timer.as_mut().reset(now + state.settings.interval);
                continue;
            }
            state.token = state.token.wrapping_add(1);
            rx.ping = Some(state.token);
            self.shared.send_control(Control::Ping {
                token: state.token,
                answer: false,
            })?;
            state.timer.as_mut().reset(now + state.settings.timeout);
        }
        Ok(())
    }

    /// Whether a connection that takes no further calls has done its last one.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let shared = &self.shared;
        if !shared.draining.load(Ordering::Acquire)
            || shared.open_streams() > 0
            || shared.handlers.load(Ordering::Acquire) > 0
        {
            self.farewell = None;
            return Poll::Pending;
        }
        if shared.side == Side::Client || shared.drained.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        self.farewell
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(GO_AWAY_GRACE)))
            .as_mut()
            .poll(cx)
    }

    /// What has to be looked after once a turn, when the ring is empty. Ready
    /// when the connection is over.
    fn poll_chores(
        &mut self,
        rx: &mut Rx,
        rung: u32,
        cx: &mut Context<'_>,
    ) -> Result<Poll<()>, ConnectionError> {
        let shared = Arc::clone(&self.shared);
        if self.hung_up {
            shared.close(ConnectionError::PeerGone {
                peer: shared.label(),
            });
            return Ok(Poll::Ready(()));
        }
        if rung > 0 {
            let progress = shared.progress(rx);
            if progress != self.last_progress {
                self.last_progress = progress;
                self.empty_rings = 0;
            } else {
                self.empty_rings = self.empty_rings.saturating_add(rung);
                if self.empty_rings > EMPTY_RINGS {
                    shared.cut_off(PeerMisbehaved::DoorbellStorm(self.empty_rings));
                    return Ok(Poll::Ready(()));
                }
            }
        }
        self.poll_keep_alive(rx, cx)?;
        if shared.owes.load(Ordering::Relaxed) {
            shared.poll_owed(&mut self.asks_again, cx)?;
        }
        if self.poll_farewell(cx).is_ready() {
            shared.close(ConnectionError::GoingAway {
                peer: shared.label(),
            });
            return Ok(Poll::Ready(()));
        }
        Ok(Poll::Pending)
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, ConnectionError> {
        self.rung = self.rung.saturating_add(self.poll_doorbell(cx)?);
        let shared = Arc::clone(&self.shared);
        let Some(mut rx) = shared.try_rx() else {
            // Whoever looks now dispatches what there is; come back after it.
            yield_now(cx);
            return Ok(Poll::Pending);
        };
        let rung = std::mem::take(&mut self.rung);
        if rung > 0 {
            // The peer rings once for each time we lie down, and has done so.
            shared.get_up(&mut rx);
        }
        self.arrivals.append(&mut shared.take_arrivals());
        let mut looking = rx.hot.is_some();
        let mut taken_in_turn = 0;
        let mut chores_done = false;
        let mut looking_since = None;
        loop {
            let taken = shared.pump(&mut rx, Some(&mut self.arrivals))?;
            taken_in_turn += taken;
            if taken > 0 && looking {
                rx.window.paid_off();
            }
            if !self.arrivals.is_empty() {
                // Handlers may look at this ring, or call others and look at theirs.
                rx.hot = None;
                drop(rx);
                self.begin_arrivals(cx);
                match shared.try_rx() {
                    Some(again) => rx = again,
                    None => {
                        yield_now(cx);
                        return Ok(Poll::Pending);
                    }
                }
            }
            if taken_in_turn >= TURN {
                rx.hot.get_or_insert_with(Hot::new);
                yield_now(cx);
                return Ok(Poll::Pending);
            }
            if taken > 0 {
                looking_since = None;
                continue;
            }
            if !chores_done {
                if self.poll_chores(&mut rx, rung, cx)?.is_ready() {
                    return Ok(Poll::Ready(()));
                }
                chores_done = true;
            }
            if rx.lookers > 0 {
                rx.hot = None;
                return Ok(Poll::Pending);
            }
            let now = Instant::now();
            let waited = now.duration_since(*rx.waiting_since.get_or_insert(now));
            let window = rx.window.length();
            let expects = shared.side == Side::Server || shared.expects_answers();
            if !expects || waited >= window {
                if expects && !rx.sleeper.is_down() {
                    rx.window.sleeps();
                }
                if shared.is_ready_after_lying_down(&mut rx) {
                    shared.get_up(&mut rx);
                    continue;
                }
                rx.hot = None;
                return Ok(Poll::Pending);
            }
            rx.hot.get_or_insert_with(Hot::new);
            shared.get_up(&mut rx);
            looking = true;
            let burst = if shared.side == Side::Server {
                BURST
            } else {
                BURST / 4
            };
            let in_burst = now.duration_since(*looking_since.get_or_insert(now));
            if !shared.is_driver_alone() {
                shared.requeue(cx);
                return Ok(Poll::Pending);
            }
            if in_burst >= burst {
                yield_now(cx);
                return Ok(Poll::Pending);
            }
            for _ in 0..LOOKS {
                if shared.is_ready(&rx) {
                    break;
                }
                std::hint::spin_loop();
            }
            if !shared.is_ready(&rx) {
                // If it is, the next turn of this loop finds that looking is over.
                rx.window.is_crowded();
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.shared.close(ConnectionError::Closed {
            peer: self.shared.label(),
        });
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("connection", &self.shared)
            .finish_non_exhaustive()
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.register_driver(cx.waker());
        if self.shared.over.get().is_none() {
            match self.poll_turn(cx) {
                Ok(turn) => ready!(turn),
                Err(error) => tracing::debug!(peer = %self.shared.label(), "{error}"),
            }
        }
        // A connection that is over may be kept for long; what it holds is not.
        let Some(mut rx) = self.shared.try_rx() else {
            yield_now(cx);
            return Poll::Pending;
        };
        rx.give_up();
        self.shared.descriptors().give_up();
        Poll::Ready(())
    }
}

/// Counts a handler that runs in a task of its own, while it lives.
struct Handler(Arc<Shared>);

impl Handler {
    fn new(shared: Arc<Shared>) -> Self {
        shared.handlers.fetch_add(1, Ordering::AcqRel);
        Self(shared)
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        if self.0.handlers.fetch_sub(1, Ordering::AcqRel) == 1
            && self.0.draining.load(Ordering::Acquire)
        {
            self.0.wake_driver();
        }
    }
}
