//! The client's end of a native connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use nowire_memory::data::Scope;
use nowire_memory::heap::{Keeping, RUN_HEADER_BYTES, Run};
use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{Message, MessageKind, ResetCode, StreamId};
use nowire_protocol::ring::Control;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::Notify;

use super::bound::Known;
use super::calls::{Calls, Came, Place, Ticket, WINDOW_ITEMS, Waiter, Waiting};
use super::link::{AllocateError, Bell, Link, Receive, Rx};
use super::value::{Arrived, Sent};
use crate::error::ConnectionError;
use crate::wait::{BURST, Wait};
use crate::{Address, ConnectError, ConnectOptions, Peer};

/// Looks at the ring between two looks at the clock.
const LOOKS: u32 = 32;
/// Size of a scope that nobody gave a size, in bytes.
const SCOPE_BYTES: usize = 64 << 10;

/// How a client makes native calls.
#[derive(Clone, Debug)]
pub struct ChannelOptions {
    /// How it meets the server.
    pub connect: ConnectOptions,
    /// How replies are kept still while they are checked and read; by default
    /// [`Keeping::Seal`], which no server can get around: what is sealed is read
    /// where it lies, the rest is copied.
    pub keeping: Keeping,
    /// How a call waits for its reply.
    pub wait: Wait,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            connect: ConnectOptions {
                heap: Some(crate::HeapOptions::default()),
                ..ConnectOptions::default()
            },
            keeping: Keeping::Seal,
            wait: Wait::Adaptive,
        }
    }
}

/// A connection over which native calls are made. Cheap to clone; the last
/// clone, scope and reply hang up.
#[derive(Clone)]
pub struct Channel {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) link: Link,
    calls: Mutex<Calls>,
    waiting: Waiting,
    /// Tells the watcher to look.
    nudge: Arc<Notify>,
    watched: AtomicBool,
    /// Services whose methods the server has told.
    known: Known,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel")
            .field("peer", &self.shared.link.peer)
            .field("over", &self.shared.link.over())
            .finish_non_exhaustive()
    }
}

/// Connects to the server of that name, blocking the thread for as long as the
/// handshake takes. Not to be called in a task: see [`Channel::connect`].
///
/// # Errors
/// One for each thing that can be in the way; its message says what to do.
pub fn connect(name: &str) -> Result<Channel, ConnectError> {
    connect_with(name, ChannelOptions::default())
}

/// [`connect`], with options.
///
/// # Errors
/// As [`connect`].
pub fn connect_with(name: &str, options: ChannelOptions) -> Result<Channel, ConnectError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| ConnectError::Io {
            address: Address::Name(name.to_owned()),
            source,
        })?;
    runtime.block_on(Channel::connect(name, options))
}

impl Channel {
    /// Connects to a server by its name, `pricing` or `nowire:pricing`, or the
    /// address it announced.
    ///
    /// # Errors
    /// As [`connect`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn connect(name: &str, options: ChannelOptions) -> Result<Self, ConnectError> {
        let address = Address::of_name(name)?;
        let met = crate::meet(&address, options.connect).await?;
        let peer = met.peer.clone();
        let Some(link) = Link::new(met, options.wait, options.keeping) else {
            return Err(ConnectError::NotNative { peer });
        };
        let streams = link.streams;
        Ok(Self {
            shared: Arc::new(Shared {
                link,
                calls: Mutex::new(Calls::new(streams)),
                waiting: Waiting::default(),
                nudge: Arc::new(Notify::new()),
                watched: AtomicBool::new(false),
                known: Known::default(),
            }),
        })
    }

    /// The server.
    pub fn peer(&self) -> &Peer {
        &self.shared.link.peer
    }

    /// Why no calls can be made any more, if so.
    pub fn over(&self) -> Option<ConnectionError> {
        self.shared.link.over().cloned()
    }

    /// A scope of 64 KiB for the arguments of calls on this channel.
    ///
    /// # Errors
    /// If the quota of the heap is used up, or the connection is over.
    pub fn scope(&self) -> Result<Scope, ScopeUnavailable> {
        self.scope_of(SCOPE_BYTES)
    }

    /// A scope with room for `bytes`, rounded up to whole pages.
    ///
    /// # Errors
    /// As [`scope`](Self::scope).
    pub fn scope_of(&self, bytes: usize) -> Result<Scope, ScopeUnavailable> {
        let link = &self.shared.link;
        let bytes = bytes.saturating_add(RUN_HEADER_BYTES);
        let run = if bytes as u64 >= u64::from(link.seal_from_bytes) {
            link.allocate_sealable(bytes)
        } else {
            link.allocate(bytes)
        };
        let run = run.map_err(ScopeUnavailable)?;
        Ok(run.scope())
    }

    /// Gives memory back to the system that no scope, call or keeper uses.
    pub fn shrink(&self) {
        self.shared.link.shrink();
    }

    /// Bytes of shared memory that this side has for arguments.
    pub fn heap_bytes(&self) -> usize {
        self.shared.link.heap().size_bytes()
    }

    /// Scopes that the server holds beyond their calls.
    pub fn held_scopes(&self) -> usize {
        self.shared.link.held_runs()
    }

    pub(crate) fn known(&self) -> &Known {
        &self.shared.known
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// There is no memory for a scope.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ScopeUnavailable(AllocateError);

/// Why waiting led to nothing.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The time was up.
    Deadline,
    /// The connection is over.
    Over(ConnectionError),
}

/// What comes for a client.
struct Client<'a>(&'a Shared);

impl Receive for Client<'_> {
    fn call(&mut self, message: &Message, _arrived: Arrived) -> Result<(), PeerMisbehaved> {
        Err(PeerMisbehaved::Order {
            stream: message.stream,
            what: "a call from a server",
        })
    }

    #[inline]
    fn reply(&mut self, message: &Message, arrived: Arrived) -> Result<(), PeerMisbehaved> {
        let delivered = self.0.calls().deliver(message, arrived)?;
        if let Some(run) = delivered.run
            && message.has(Message::KEPT)
        {
            self.0.link.hold(run);
        }
        if let Some(waiter) = delivered.waiter {
            waiter.wake();
        }
        if let Some(waiter) = delivered.vacancy {
            waiter.wake();
        }
        if let Some(came) = delivered.unwanted {
            self.0.discard(&came);
        }
        Ok(())
    }

    fn credit(&mut self, stream: StreamId, items: u32) -> Result<(), PeerMisbehaved> {
        let waiter = self.0.calls().grant(stream, items)?;
        if let Some(waiter) = waiter {
            waiter.wake();
        }
        Ok(())
    }

    fn reset(&mut self, stream: StreamId, _code: ResetCode) -> Result<(), PeerMisbehaved> {
        Err(PeerMisbehaved::Order {
            stream,
            what: "a reset where a reply was due",
        })
    }

    fn go_away(&mut self) {
        let mut calls = self.0.calls();
        calls.going_away = true;
        let waiters = calls.take_waiters();
        drop(calls);
        waiters.into_iter().for_each(Waiter::wake);
    }
}

impl Shared {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back what a reply nobody takes has in the server's heap.
    fn discard(&self, came: &Came) {
        if came.message.bytes > 0 {
            self.link.release(came.message.page);
        }
    }

    fn begin(
        &self,
        calls: &mut Calls,
        run: &mut Option<Arc<Run>>,
    ) -> Option<Result<(StreamId, Ticket), ConnectionError>> {
        if let Some(over) = self.link.over() {
            return Some(Err(over.clone()));
        }
        if calls.going_away {
            return Some(Err(ConnectionError::GoingAway {
                peer: self.link.label(),
            }));
        }
        calls.begin(run).map(Ok)
    }

    fn send_call(
        &self,
        (stream, ticket): (StreamId, Ticket),
        mut message: Message,
        sent: &Sent<'_>,
    ) -> Result<Ticket, ConnectionError> {
        message.stream = stream;
        match self.link.send(MessageKind::Call, &message, sent, Bell::Now) {
            Ok(()) => Ok(ticket),
            Err(error) => {
                self.calls().abandon(ticket);
                Err(error)
            }
        }
    }

    /// Sends a call, when another may be begun.
    #[inline]
    pub(crate) fn open(
        &self,
        message: Message,
        sent: &Sent<'_>,
        run: Option<Arc<Run>>,
        deadline: Option<Instant>,
    ) -> Result<Ticket, Failed> {
        let mut run = run;
        let begun = self.begin(&mut self.calls(), &mut run);
        let begun = match begun {
            Some(begun) => begun,
            None => self.wait(Place::Vacancy, deadline, |calls| {
                self.begin(calls, &mut run)
            })?,
        };
        begun
            .and_then(|begun| self.send_call(begun, message, sent))
            .map_err(Failed::Over)
    }

    /// [`open`](Self::open), for a task.
    pub(crate) fn poll_open(
        self: &Arc<Self>,
        message: Message,
        sent: &Sent<'_>,
        run: &mut Option<Arc<Run>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Ticket, ConnectionError>> {
        let begun = self.begin(&mut self.calls(), run);
        let begun = match begun {
            Some(begun) => begun,
            None => {
                match self.poll_wait(Place::Vacancy, false, cx, |calls| self.begin(calls, run)) {
                    Poll::Ready(Ok(begun)) => begun,
                    Poll::Ready(Err(over)) => Err(over),
                    Poll::Pending => return Poll::Pending,
                }
            }
        };
        Poll::Ready(begun.and_then(|begun| self.send_call(begun, message, sent)))
    }

    /// Waits for the last reply of a call.
    #[inline]
    pub(crate) fn wait_last(
        &self,
        ticket: Ticket,
        deadline: Option<Instant>,
    ) -> Result<Came, Failed> {
        self.wait(Place::Call(ticket), deadline, |calls| {
            calls.take_last(ticket)
        })
    }

    /// Waits for the next item of a reply; none after the last.
    pub(crate) fn wait_item(
        &self,
        ticket: Ticket,
        stream: StreamId,
        taken: &mut u32,
        deadline: Option<Instant>,
    ) -> Result<Option<Came>, Failed> {
        let came = self.wait(Place::Call(ticket), deadline, |calls| {
            match calls.take_item(ticket) {
                Some(came) => Some(Some(came)),
                None => calls.is_done(ticket).then_some(None),
            }
        })?;
        if came.is_some() {
            *taken += 1;
            if *taken >= WINDOW_ITEMS / 2 {
                let bytes = std::mem::take(taken);
                self.link
                    .send_control(Control::Credit { stream, bytes })
                    .map_err(Failed::Over)?;
            }
        }
        Ok(came)
    }

    /// Waits until the server takes another item; false if it has replied.
    pub(crate) fn wait_credit(
        &self,
        ticket: Ticket,
        deadline: Option<Instant>,
    ) -> Result<bool, Failed> {
        self.wait(Place::Call(ticket), deadline, |calls| {
            if calls.is_done(ticket) {
                return Some(false);
            }
            calls.take_credit(ticket).then_some(true)
        })
    }

    /// Sends one more message of a call.
    pub(crate) fn send_more(
        &self,
        message: &Message,
        sent: &Sent<'_>,
        run: Option<Arc<Run>>,
    ) -> Result<(), ConnectionError> {
        if let Some(run) = run {
            // Before the server can release it.
            self.link.hold(run);
        }
        self.link.send(MessageKind::Call, message, sent, Bell::Now)
    }

    /// The stream of an open call.
    pub(crate) fn stream_of(&self, ticket: Ticket) -> StreamId {
        self.calls().stream_of(ticket)
    }

    /// Gives a call up.
    pub(crate) fn abandon(&self, ticket: Ticket, code: ResetCode) {
        let (unwanted, open) = self.calls().abandon(ticket);
        for came in &unwanted {
            self.discard(came);
        }
        if let Some(stream) = open {
            // A connection that is over needs no reset.
            let _ = self.link.send_control(Control::Reset { stream, code });
        }
    }

    /// Blocks until `ask` finds something. Whoever comes first reads the ring
    /// for all; the others sleep until it found theirs, or leaves.
    #[inline]
    fn wait<T>(
        &self,
        place: Place,
        deadline: Option<Instant>,
        mut ask: impl FnMut(&mut Calls) -> Option<T>,
    ) -> Result<T, Failed> {
        loop {
            if let Some(mut rx) = self.link.try_rx() {
                let found = self.read(&mut rx, deadline, &mut ask);
                drop(rx);
                self.hand_over();
                return found;
            }
            if let Some(found) = self.sleep_while_read(place, deadline, &mut ask) {
                self.hand_over();
                return found;
            }
        }
    }

    /// Reads the ring until `ask` finds something.
    fn read<T>(
        &self,
        rx: &mut Rx,
        deadline: Option<Instant>,
        ask: &mut impl FnMut(&mut Calls) -> Option<T>,
    ) -> Result<T, Failed> {
        let link = &self.link;
        if let Some(found) = ask(&mut self.calls()) {
            return Ok(found);
        }
        let mut since = None;
        'look: loop {
            match link.pump(rx, &mut Client(self)) {
                Ok(0) => {}
                Ok(_) => {
                    if let Some(found) = ask(&mut self.calls()) {
                        if since.is_some() {
                            rx.window.paid_off();
                        }
                        return Ok(found);
                    }
                    since = None;
                    continue;
                }
                Err(over) => return Err(self.end(over)),
            }
            for _ in 0..LOOKS {
                if link.is_ready(rx) {
                    continue 'look;
                }
                std::hint::spin_loop();
            }
            let now = Instant::now();
            let began = *since.get_or_insert(now);
            if deadline.is_some_and(|deadline| now >= deadline) {
                // What came is there for the taking.
                return ask(&mut self.calls()).ok_or(Failed::Deadline);
            }
            if now - began < rx.window.length() {
                continue;
            }
            rx.window.sleeps();
            if link.is_ready_after_lying_down(rx) {
                link.get_up(rx);
                continue;
            }
            self.poll_socket(deadline.map(|deadline| deadline - now));
            let alive = link.answer(rx).and_then(|()| {
                if link.is_ready(rx) {
                    Ok(())
                } else {
                    link.check_alive(rx)
                }
            });
            if let Err(over) = alive {
                return Err(self.end(over));
            }
            since = None;
        }
    }

    fn poll_socket(&self, for_at_most: Option<Duration>) {
        let timeout = for_at_most.and_then(|time| Timespec::try_from(time).ok());
        let mut sockets = [PollFd::from_borrowed_fd(self.link.socket(), PollFlags::IN)];
        // Whatever it says, the loop looks again.
        let _ = poll(&mut sockets, timeout.as_ref());
    }

    /// Wakes everybody once the connection is over.
    fn end(&self, over: ConnectionError) -> Failed {
        let waiters = self.calls().take_waiters();
        waiters.into_iter().for_each(Waiter::wake);
        self.nudge.notify_one();
        Failed::Over(over)
    }

    /// Sleeps while another thread reads the ring. None: try to read it.
    fn sleep_while_read<T>(
        &self,
        place: Place,
        deadline: Option<Instant>,
        ask: &mut impl FnMut(&mut Calls) -> Option<T>,
    ) -> Option<Result<T, Failed>> {
        self.waiting.threads.fetch_add(1, Ordering::SeqCst);
        let mut calls = self.calls();
        let mut found = ask(&mut calls).map(Ok);
        if found.is_none() {
            calls.register(place, Waiter::Thread(std::thread::current()));
        }
        drop(calls);
        // SYNC: pairs with the fence in `hand_over`: the reader that has left
        // sees that we wait, or we see that it has left.
        std::sync::atomic::fence(Ordering::SeqCst);
        if found.is_none() {
            if let Some(over) = self.link.over() {
                found = Some(Err(Failed::Over(over.clone())));
            } else if self.link.try_rx().is_none() {
                let now = Instant::now();
                match deadline {
                    Some(deadline) if now >= deadline => found = Some(Err(Failed::Deadline)),
                    Some(deadline) => std::thread::park_timeout(deadline - now),
                    None => std::thread::park(),
                }
            }
            let mut calls = self.calls();
            calls.unregister(place);
            if let Some(came) = ask(&mut calls) {
                found = Some(Ok(came));
            }
        }
        self.waiting.threads.fetch_sub(1, Ordering::SeqCst);
        found
    }

    /// Has somebody else read the ring, if somebody waits.
    #[inline]
    fn hand_over(&self) {
        // SYNC: pairs with the fences in `sleep_while_read` and `poll_wait`.
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.waiting.any() {
            self.hand_over_to_waiters();
        }
    }

    #[cold]
    fn hand_over_to_waiters(&self) {
        let thread = self.calls().any_thread();
        if let Some(thread) = thread {
            thread.unpark();
        } else if let Some(mut rx) = self.link.try_rx() {
            if self.link.is_ready_after_lying_down(&mut rx) {
                self.link.get_up(&mut rx);
                self.nudge.notify_one();
            }
            drop(rx);
            self.hand_over_to_threads();
        }
    }

    /// Waits until `ask` finds something, for a task; `may_burst` if it is worth
    /// looking for a while.
    pub(crate) fn poll_wait<T>(
        self: &Arc<Self>,
        place: Place,
        may_burst: bool,
        cx: &mut Context<'_>,
        mut ask: impl FnMut(&mut Calls) -> Option<T>,
    ) -> Poll<Result<T, ConnectionError>> {
        let mut calls = self.calls();
        if let Some(found) = ask(&mut calls) {
            return Poll::Ready(Ok(found));
        }
        drop(calls);
        if let Some(over) = self.link.over() {
            return Poll::Ready(Err(over.clone()));
        }
        if let Some(mut rx) = self.link.try_rx()
            && let Some(found) = self.read_for_a_while(&mut rx, may_burst, &mut ask)
        {
            drop(rx);
            self.hand_over();
            return Poll::Ready(found);
        }
        let mut calls = self.calls();
        if let Some(found) = ask(&mut calls) {
            return Poll::Ready(Ok(found));
        }
        calls.register(place, Waiter::Task(cx.waker().clone()));
        drop(calls);
        self.watch();
        // SYNC: pairs with the fence in `hand_over`: the reader that leaves sees
        // that a task waits, or we can read ourselves.
        std::sync::atomic::fence(Ordering::SeqCst);
        if let Some(mut rx) = self.link.try_rx()
            && self.link.is_ready_after_lying_down(&mut rx)
        {
            self.link.get_up(&mut rx);
            self.nudge.notify_one();
        }
        self.hand_over_to_threads();
        match self.link.over() {
            Some(over) => Poll::Ready(Err(over.clone())),
            None => Poll::Pending,
        }
    }

    fn read_for_a_while<T>(
        &self,
        rx: &mut Rx,
        may_burst: bool,
        ask: &mut impl FnMut(&mut Calls) -> Option<T>,
    ) -> Option<Result<T, ConnectionError>> {
        let window = if may_burst {
            rx.window.length().min(BURST)
        } else {
            Duration::ZERO
        };
        let began = Instant::now();
        loop {
            match self.link.pump(rx, &mut Client(self)) {
                Ok(0) => {}
                Ok(_) => {
                    if let Some(found) = ask(&mut self.calls()) {
                        rx.window.paid_off();
                        return Some(Ok(found));
                    }
                    continue;
                }
                Err(over) => {
                    self.end(over.clone());
                    return Some(Err(over));
                }
            }
            for _ in 0..LOOKS {
                if self.link.is_ready(rx) {
                    break;
                }
                std::hint::spin_loop();
            }
            if began.elapsed() >= window {
                if may_burst {
                    rx.window.sleeps();
                }
                return None;
            }
        }
    }

    /// Starts the task that reads the ring when no caller does, once.
    fn watch(self: &Arc<Self>) {
        self.waiting.tasks.store(1, Ordering::SeqCst);
        if !self.watched.swap(true, Ordering::SeqCst) {
            let watcher = Watcher(Arc::downgrade(self));
            let nudge = Arc::clone(&self.nudge);
            if let Ok(socket) = self.link.socket().try_clone_to_owned()
                && let Ok(socket) = tokio::net::UnixStream::from_std(socket.into())
            {
                tokio::spawn(watcher.run(socket, nudge));
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.link.close(ConnectionError::Closed {
            peer: self.link.label(),
        });
        self.nudge.notify_one();
    }
}

/// The task that reads the ring for other tasks. It goes with its runtime; the
/// next task that waits starts another.
struct Watcher(Weak<Shared>);

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.watched.store(false, Ordering::SeqCst);
            let waiters = shared.calls().take_waiters();
            waiters.into_iter().for_each(Waiter::wake);
        }
    }
}

impl Watcher {
    async fn run(self, socket: tokio::net::UnixStream, nudge: Arc<Notify>) {
        loop {
            tokio::select! {
                ready = socket.readable() => if ready.is_err() { return },
                () = nudge.notified() => {}
            }
            // Tells tokio that what was there is taken; the link takes it.
            let _ = socket.try_io(tokio::io::Interest::READABLE, || {
                Err::<(), _>(std::io::ErrorKind::WouldBlock.into())
            });
            match self.0.upgrade() {
                Some(shared) if shared.read_for_tasks() => {}
                _ => return,
            }
        }
    }
}

impl Shared {
    /// Reads what there is; false when nobody needs that any more.
    fn read_for_tasks(&self) -> bool {
        let Some(mut rx) = self.link.try_rx() else {
            // Whoever reads nudges when it leaves.
            return true;
        };
        let read = self.link.answer(&mut rx).and_then(|()| {
            loop {
                while self.link.pump(&mut rx, &mut Client(self))? > 0 {}
                if !self.link.is_ready_after_lying_down(&mut rx) {
                    return self.link.check_alive(&rx);
                }
                self.link.get_up(&mut rx);
            }
        });
        drop(rx);
        self.hand_over_to_threads();
        if let Err(over) = read {
            self.end(over);
            return false;
        }
        true
    }

    fn hand_over_to_threads(&self) {
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.waiting.threads.load(Ordering::SeqCst) > 0
            && let Some(thread) = self.calls().any_thread()
        {
            thread.unpark();
        }
    }
}
