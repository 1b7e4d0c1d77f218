//! The server's end of a native connection: what comes for it, and the calls
//! that are being handled.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{self, Poll, Waker, ready};
use std::time::{Duration, Instant};

use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{Message, ResetCode, StreamId};
use nowire_protocol::ring::Control;
use tokio::task::{AbortHandle, coop};

use super::call::Call;
use super::call_error::Code;
use super::calls::{Came, WINDOW_ITEMS};
use super::context::Context;
use super::dispatch::{Dispatch, Found};
use super::link::{Bell, Link, Receive};
use super::service::Runs;
use super::value::Arrived;
use crate::crash::crash_point;

/// One client of a server.
pub(crate) struct ServerLink {
    pub(crate) link: Link,
    pub(crate) dispatch: Arc<Dispatch>,
    /// Calls that are handled by somebody else than the polling thread.
    running: Mutex<HashMap<u32, Running>>,
}

struct Running {
    call: u32,
    flow: Arc<Flow>,
}

/// What the outside tells a call that is being handled.
pub(crate) struct Flow {
    pub(crate) cancelled: Arc<AtomicBool>,
    /// Size of an item of the request, if there is a stream of them.
    item_bytes: Option<usize>,
    state: Mutex<FlowState>,
    changed: Condvar,
}

#[derive(Default)]
struct FlowState {
    abort: Option<AbortHandle>,
    items: VecDeque<Came>,
    ended: bool,
    credit: u32,
    /// The call has been answered: nobody takes items any more.
    answered: bool,
    /// Why the handler saw less of a stream than there was, or could send less
    /// than it had.
    cut: Option<(Code, String)>,
    /// Tasks that wait for an item, and until the client takes one more.
    takes: Option<Waker>,
    sends: Option<Waker>,
}

impl Flow {
    fn new(item_bytes: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            cancelled: Arc::new(AtomicBool::new(false)),
            item_bytes,
            state: Mutex::new(FlowState {
                credit: WINDOW_ITEMS,
                ..FlowState::default()
            }),
            changed: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, FlowState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an item can have so long a root.
    fn check_length(&self, stream: StreamId, arrived: &Arrived) -> Result<(), PeerMisbehaved> {
        let Some(item_bytes) = self.item_bytes else {
            return Err(PeerMisbehaved::Order {
                stream,
                what: "items of a call without a stream",
            });
        };
        let found_bytes = size_of_val(arrived.words());
        if arrived.is_long() && found_bytes > item_bytes.next_multiple_of(size_of::<u64>()) {
            return Err(PeerMisbehaved::Data(format!(
                "{found_bytes} bytes came where an item has {item_bytes}"
            )));
        }
        Ok(())
    }

    /// Has the task stopped when the caller gives up.
    pub(crate) fn stops(&self, abort: AbortHandle) {
        if self.cancelled.load(Ordering::Acquire) {
            abort.abort();
        }
        self.lock().abort = Some(abort);
        if self.cancelled.load(Ordering::Acquire)
            && let Some(abort) = &self.lock().abort
        {
            abort.abort();
        }
    }

    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        let state = self.lock();
        let abort = state.abort.clone();
        self.tell(state);
        if let Some(abort) = abort {
            abort.abort();
        }
    }

    /// Wakes whoever waits for what has changed.
    fn tell(&self, mut state: MutexGuard<'_, FlowState>) {
        let waiting = [state.takes.take(), state.sends.take()];
        drop(state);
        self.changed.notify_all();
        waiting.into_iter().flatten().for_each(Waker::wake);
    }

    /// Waits for the next item of the request; none at its end, or when the call
    /// is over.
    pub(crate) fn next_item(&self, deadline: Option<Instant>) -> Option<Came> {
        let mut state = self.lock();
        loop {
            if let Some(next) = state.next_item() {
                return next;
            }
            if self.is_over(deadline) {
                state.cut_off(deadline);
                return None;
            }
            state = self.sleep(state, deadline);
        }
    }

    /// The next item of the request, for a task; none at its end. A task that
    /// nobody waits for any more is dropped, and does not take what came for all.
    pub(crate) fn poll_item(&self, cx: &mut task::Context<'_>) -> Poll<Option<Came>> {
        // A caller that sends without end must not keep other tasks waiting.
        let turn = ready!(coop::poll_proceed(cx));
        let mut state = self.lock();
        match state.next_item() {
            Some(next) => {
                turn.made_progress();
                Poll::Ready(next)
            }
            None => {
                state.takes = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Waits until the call is answered.
    pub(crate) fn poll_answered(&self, cx: &mut task::Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.answered {
            return Poll::Ready(());
        }
        state.takes = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Waits until the client takes another item; false when the call is over.
    pub(crate) fn take_credit(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.lock();
        loop {
            if self.is_over(deadline) {
                state.cut_off(deadline);
                return false;
            }
            if let Some(may_send) = state.take_credit() {
                return may_send;
            }
            state = self.sleep(state, deadline);
        }
    }

    /// [`take_credit`](Self::take_credit), for a task, which is dropped when the
    /// call is over.
    pub(crate) fn poll_credit(&self, cx: &mut task::Context<'_>) -> Poll<bool> {
        let turn = ready!(coop::poll_proceed(cx));
        let mut state = self.lock();
        match state.take_credit() {
            Some(may_send) => {
                turn.made_progress();
                Poll::Ready(may_send)
            }
            None => {
                state.sends = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Lets the client send so many items more, unless its call has been answered:
    /// a handler may leave the stream to somebody who goes on reading.
    pub(crate) fn grant(&self, link: &Link, stream: StreamId, items: u32) {
        let state = self.lock();
        if !state.answered {
            // A connection that is over shows at the next item.
            let _ = link.send_control(Control::Credit {
                stream,
                bytes: items,
            });
        }
    }

    /// Notes that a stream is not whole: whatever the handler returns, its call
    /// has failed.
    pub(crate) fn cut(&self, code: Code, why: String) {
        self.lock().cut.get_or_insert((code, why));
    }

    /// Why a stream is not whole, if so.
    pub(crate) fn why_cut(&self) -> Option<(Code, String)> {
        self.lock().cut.clone()
    }

    fn is_over(&self, deadline: Option<Instant>) -> bool {
        self.cancelled.load(Ordering::Acquire)
            || deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn sleep<'a>(
        &self,
        state: MutexGuard<'a, FlowState>,
        deadline: Option<Instant>,
    ) -> MutexGuard<'a, FlowState> {
        let time = deadline.map_or(Duration::from_secs(3600), |deadline| {
            deadline.saturating_duration_since(Instant::now())
        });
        let slept = self.changed.wait_timeout(state, time);
        slept.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl FlowState {
    /// The next item, `Some(None)` after the last.
    fn next_item(&mut self) -> Option<Option<Came>> {
        match self.items.pop_front() {
            Some(came) => Some(Some(came)),
            None => (self.ended || self.answered).then_some(None),
        }
    }

    /// Uses credit for one item, once there is some; false after the answer.
    fn take_credit(&mut self) -> Option<bool> {
        if self.answered {
            return Some(false);
        }
        let some = self.credit > 0;
        self.credit -= u32::from(some);
        some.then_some(true)
    }

    fn cut_off(&mut self, deadline: Option<Instant>) {
        let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let (code, why) = if late {
            (
                Code::DeadlineExceeded,
                "the deadline passed within a stream",
            )
        } else {
            (Code::Cancelled, "the caller gave up within a stream")
        };
        self.cut.get_or_insert((code, why.to_owned()));
    }
}

impl ServerLink {
    pub(crate) fn new(link: Link, dispatch: Arc<Dispatch>) -> Arc<Self> {
        Arc::new(Self {
            link,
            dispatch,
            running: Mutex::default(),
        })
    }

    fn running(&self) -> MutexGuard<'_, HashMap<u32, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no call is being handled, and the replies are where the client
    /// finds them.
    pub(crate) fn has_answered(&self) -> bool {
        self.running().is_empty() && !self.link.has_unsent()
    }

    /// The last reply to a call has been sent.
    pub(crate) fn finished(&self, stream: StreamId) {
        let over = self.running().remove(&stream.index);
        // Items nobody took are given back.
        if let Some(running) = over {
            let mut state = running.flow.lock();
            state.answered = true;
            let items = std::mem::take(&mut state.items);
            running.flow.tell(state);
            for came in items.iter().filter(|came| came.bytes > 0) {
                self.link.release(came.page);
            }
        }
    }

    /// The connection is over: everything that is being handled for it stops.
    pub(crate) fn cancel_all(&self) {
        self.link.forget_unsent();
        let running = std::mem::take(&mut *self.running());
        for running in running.into_values() {
            running.flow.cancel();
        }
    }
}

/// What comes for a server.
pub(crate) struct Serving<'a>(pub(crate) &'a Arc<ServerLink>);

impl Serving<'_> {
    fn flow(&self, stream: StreamId) -> Option<Arc<Flow>> {
        let running = self.0.running();
        let running = running.get(&stream.index)?;
        (running.call == stream.call).then(|| Arc::clone(&running.flow))
    }

    fn item(&self, message: &Message, mut arrived: Arrived) -> Result<(), PeerMisbehaved> {
        let Some(flow) = self.flow(message.stream) else {
            // The handler has returned; the client does not know yet.
            if message.bytes > 0 {
                self.0.link.release(message.page);
            }
            return Ok(());
        };
        let mut state = flow.lock();
        if state.answered {
            drop(state);
            if message.bytes > 0 {
                self.0.link.release(message.page);
            }
            return Ok(());
        }
        if message.has(Message::ITEM) {
            // Items may wait for long: nothing waits with them that is not theirs.
            arrived.keep_as_item();
            flow.check_length(message.stream, &arrived)?;
            if state.items.len() >= WINDOW_ITEMS as usize || state.ended {
                return Err(PeerMisbehaved::Order {
                    stream: message.stream,
                    what: "more items than were asked for",
                });
            }
            state.items.push_back(Came::new(message, arrived));
        } else {
            state.ended = true;
        }
        flow.tell(state);
        Ok(())
    }
}

impl Receive for Serving<'_> {
    #[inline]
    fn call(&mut self, message: &Message, mut arrived: Arrived) -> Result<(), PeerMisbehaved> {
        if message.flags & (Message::ITEM | Message::END) != 0 {
            return self.item(message, arrived);
        }
        crash_point!("take.call-off-the-ring");
        let server = self.0;
        if message.stream.index >= server.link.streams {
            return Err(PeerMisbehaved::StreamLimit {
                stream: message.stream,
                limit: server.link.streams,
            });
        }
        let deadline = (message.timeout_us != 0)
            .then(|| Instant::now() + Duration::from_micros(message.timeout_us.into()));
        let mut cx = Context {
            link: Arc::clone(server),
            deadline,
            metadata: arrived.take_metadata(),
            cancelled: None,
            reply_metadata: Mutex::new(None),
        };
        let call = |cx, flow, bell| Call::new(cx, message, arrived, flow, bell);
        match server.dispatch.find(message.code) {
            Found::Method {
                service,
                method,
                runs: Runs::Here,
            } => {
                server
                    .dispatch
                    .run(service, method, call(cx, None, Bell::Later));
            }
            Found::Method {
                service,
                method,
                runs,
            } => {
                let flow = Flow::new(server.dispatch.item_bytes(message.code));
                let stream = message.stream;
                // The call that is there must be found when it is to be stopped.
                match server.running().entry(stream.index) {
                    Entry::Occupied(_) => return Err(PeerMisbehaved::StreamInUse(stream)),
                    Entry::Vacant(place) => place.insert(Running {
                        call: stream.call,
                        flow: Arc::clone(&flow),
                    }),
                };
                cx.cancelled = Some(Arc::clone(&flow.cancelled));
                let call = call(cx, Some(flow), Bell::Now);
                server.dispatch.start(service, method, runs, call);
            }
            Found::Describe => server.dispatch.describe(call(cx, None, Bell::Later)),
            Found::Nothing => {
                let text = format!("there is no method {}", message.code);
                call(cx, None, Bell::Later).fail(Code::Unimplemented, &text);
            }
        }
        Ok(())
    }

    fn reply(&mut self, message: &Message, _arrived: Arrived) -> Result<(), PeerMisbehaved> {
        Err(PeerMisbehaved::Order {
            stream: message.stream,
            what: "a reply from a client",
        })
    }

    fn credit(&mut self, stream: StreamId, items: u32) -> Result<(), PeerMisbehaved> {
        if let Some(flow) = self.flow(stream) {
            let mut state = flow.lock();
            state.credit = state
                .credit
                .checked_add(items)
                .filter(|credit| *credit <= WINDOW_ITEMS)
                .ok_or(PeerMisbehaved::Order {
                    stream,
                    what: "credit beyond the window",
                })?;
            flow.tell(state);
        }
        Ok(())
    }

    fn reset(&mut self, stream: StreamId, _code: ResetCode) -> Result<(), PeerMisbehaved> {
        // Of a call that has been answered meanwhile nothing is left to stop.
        if let Some(flow) = self.flow(stream) {
            crash_point!("give-up.told");
            flow.cancel();
        }
        Ok(())
    }

    fn go_away(&mut self) {}
}
