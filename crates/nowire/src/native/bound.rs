//! A service as a client calls it: typed arguments in, checked replies out.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use nowire_memory::data::{Scope, Shared};
use nowire_memory::heap::TakeError;
use nowire_memory::refs::Travel;
use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{Message, ResetCode};
use nowire_protocol::head::{self, Block};

use super::attached::{Attached, Attaching, NoReference};
use super::binding::Codes;
use super::call::{RETURNED, with_buffers};
use super::call_error::{CallError, Code};
use super::calls::{Came, Place, Ticket};
use super::channel::{Channel, ScopeUnavailable};
use super::client::{self, Failed, Waits};
use super::exchange::{AsyncExchange, Exchange};
use super::outgoing::{Outgoing, timeout_us};
use super::pending::Pending;
use super::reply::{Release, Reply};
use super::service::Method;
use super::way::{Arguments, Replied, Rooted, Way};
use crate::crash::crash_point;

/// A service at the other end of a channel. The clients that
/// [`service`](macro@crate::service) writes are made of it.
#[derive(Clone, Debug)]
pub struct Bound {
    pub(super) channel: Channel,
    pub(super) name: &'static str,
    pub(super) methods: &'static [Method],
    pub(super) codes: OnceLock<Codes>,
    pub(super) timeout: Option<Duration>,
    pub(super) metadata: Option<Metadata>,
}

/// Metadata that goes with each call, or why none can.
pub(super) type Metadata = Result<Box<Block>, String>;

impl Bound {
    /// The service `name` at the server of `channel`. Whether it is there, and
    /// laid out alike, comes out at the first call.
    pub fn new(channel: Channel, name: &'static str, methods: &'static [Method]) -> Self {
        Self {
            channel,
            name,
            methods,
            codes: OnceLock::new(),
            timeout: None,
            metadata: None,
        }
    }

    /// The channel the calls are made on.
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// What goes along with the arguments of a call.
    pub fn attaching(&self) -> Attaching {
        Attaching::on(&self.shared().link)
    }

    /// A scope for arguments.
    ///
    /// # Errors
    /// As [`Channel::scope`].
    pub fn scope(&self) -> Result<Scope, ScopeUnavailable> {
        self.channel.scope()
    }

    /// A scope with room for `bytes`.
    ///
    /// # Errors
    /// As [`Channel::scope`].
    pub fn scope_of(&self, bytes: usize) -> Result<Scope, ScopeUnavailable> {
        self.channel.scope_of(bytes)
    }

    /// How long each call may take.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = Some(timeout);
    }

    /// Metadata that goes with each call.
    pub fn set_metadata(&mut self, name: &str, value: &str) {
        let metadata = self.metadata.get_or_insert_with(|| Ok(Box::default()));
        if let Ok(block) = metadata
            && let Err(error) = head::write_field(block, name, value.as_bytes())
        {
            // The calls say so.
            *metadata = Err(format!("{name}: {error}"));
        }
    }

    pub(super) fn shared(&self) -> &Arc<client::Shared> {
        self.channel.shared()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let timeout = self.timeout?;
        // What no clock can tell is no deadline.
        Instant::now().checked_add(timeout)
    }

    #[inline]
    pub(super) fn open<E>(
        &self,
        outgoing: &mut Outgoing,
        deadline: Option<Instant>,
    ) -> Result<Ticket, CallError<E>> {
        self.shared()
            .open(outgoing, deadline)
            .map_err(|failed| self.failed(failed))
    }

    pub(super) fn failed<E>(&self, failed: Failed) -> CallError<E> {
        CallError::of(failed, || self.shared().link.label())
    }

    pub(super) fn wait_last<E>(
        &self,
        ticket: Ticket,
        deadline: Option<Instant>,
    ) -> Result<Came, CallError<E>> {
        self.shared().wait_last(ticket, deadline).map_err(|failed| {
            let code = match failed {
                Failed::Deadline => ResetCode::DeadlineExceeded,
                Failed::Over(_) => ResetCode::Cancelled,
            };
            self.shared().abandon(ticket, code);
            self.failed(failed)
        })
    }

    /// Checks what came for a call.
    #[inline]
    pub(super) fn typed<R: Travel<As: Way>, E: Shared>(
        &self,
        mut came: Came,
    ) -> Result<Replied<R>, CallError<E>> {
        if came.flags & Message::FAILED != 0 {
            return Err(self.typed_failure(&came));
        }
        let mut attached = if <R::As as Way>::ATTACHES {
            came.arrived.take_attached()
        } else {
            Attached::default()
        };
        let reply = self.checked::<Rooted<R>, E>(came)?;
        <R::As as Way>::reply(reply, &mut attached).map_err(|error| match error {
            NoReference::Unusable(error) => CallError::Reference(error),
            error => CallError::Connection(
                self.shared()
                    .link
                    .misbehaved(PeerMisbehaved::Data(error.to_string())),
            ),
        })
    }

    #[inline]
    fn checked<R: Shared, E: Shared>(&self, mut came: Came) -> Result<Reply<R>, CallError<E>> {
        let link = &self.shared().link;
        let release = (came.bytes > 0).then(|| Release::new(Arc::clone(self.shared()), came.page));
        let words = came.arrived.words();
        let taken = with_buffers::<R, _>(|buffers| match came.arrived.lent() {
            None => {
                let (page, bytes) = (came.page, came.bytes);
                link.peer_heap()
                    .take::<R>(words, page, bytes, link.keeping, buffers)
            }
            Some(given) => given.run.take_back::<R>(words, given.bytes, buffers),
        });
        crash_point!("reply.checked");
        match taken {
            Ok(taken) => Ok(Reply::new(taken, came.arrived.take_metadata(), release)),
            Err(error) if !error.is_misbehaviour() => Err(CallError::Failed {
                code: Code::of_taking(&error),
                text: format!("its reply cannot be taken: {error}"),
                peer: link.label(),
            }),
            Err(error) => Err(CallError::Connection(
                link.misbehaved(PeerMisbehaved::Data(error.to_string())),
            )),
        }
    }

    #[cold]
    pub(super) fn typed_failure<E: Shared>(&self, came: &Came) -> CallError<E> {
        let link = &self.shared().link;
        if came.code == RETURNED {
            return match plain_error::<E>(came.arrived.words()) {
                Ok(error) => CallError::Returned(error),
                Err(error) => {
                    CallError::Connection(link.misbehaved(PeerMisbehaved::Data(error.to_string())))
                }
            };
        }
        match Code::from_wire(came.code) {
            Code::DeadlineExceeded => CallError::DeadlineExceeded { peer: link.label() },
            code => CallError::Failed {
                code,
                text: came.arrived.text(),
                peer: link.label(),
            },
        }
    }

    /// Calls and waits for the reply.
    ///
    /// # Errors
    /// See [`CallError`].
    #[inline]
    pub fn call<A: Arguments, R: Travel<As: Way>, E: Shared>(
        &self,
        method: u16,
        args: A,
    ) -> Result<Replied<R>, CallError<E>> {
        let (args, attaching) = args.split();
        let deadline = self.deadline();
        let code = self.code(method, deadline)?;
        let mut outgoing = Outgoing::new(code, deadline.map_or(0, timeout_us));
        self.fill(&mut outgoing, &args, attaching, true)?;
        let ticket = self.open(&mut outgoing, deadline)?;
        let came = self.wait_last(ticket, deadline)?;
        self.typed::<R, E>(came)
    }

    /// Calls, and leaves the waiting for later: many calls may be on their way at
    /// a time.
    ///
    /// # Errors
    /// See [`CallError`].
    #[inline]
    pub fn start<'a, A: Arguments + 'a, R: Travel<As: Way>, E: Shared>(
        &'a self,
        method: u16,
        args: A,
    ) -> Result<Pending<'a, R, E>, CallError<E>> {
        let (args, attaching) = args.split();
        let deadline = self.deadline();
        let code = self.code(method, deadline)?;
        let mut outgoing = Outgoing::new(code, deadline.map_or(0, timeout_us));
        self.fill(&mut outgoing, &args, attaching, true)?;
        let ticket = self.open(&mut outgoing, deadline)?;
        Ok(Pending {
            bound: self,
            ticket: Some(ticket),
            deadline,
            what: PhantomData,
        })
    }

    /// [`call`](Self::call), for a task. Dropped, it gives the call up.
    ///
    /// # Errors
    /// See [`CallError`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn call_async<A: Arguments, R: Travel<As: Way>, E: Shared>(
        &self,
        method: u16,
        args: A,
    ) -> Result<Replied<R>, CallError<E>> {
        let (args, attaching) = args.split();
        let deadline = self.deadline();
        let code = self.code_async(method, deadline).await?;
        let mut outgoing = self.outgoing(code, &args, attaching, deadline, true)?;
        let round_trip = self.round_trip_async(&mut outgoing);
        let came = self.in_time(deadline, round_trip).await?;
        self.typed::<R, E>(came)
    }

    async fn code_async<E>(
        &self,
        method: u16,
        deadline: Option<Instant>,
    ) -> Result<u16, CallError<E>> {
        let codes = match self.codes.get() {
            Some(codes) => codes,
            None => {
                let codes = self.in_time(deadline, self.bind_async()).await?;
                self.codes.get_or_init(|| codes)
            }
        };
        self.codes_of(codes, method)
    }

    pub(super) async fn in_time<T, E>(
        &self,
        deadline: Option<Instant>,
        work: impl Future<Output = Result<T, CallError<E>>>,
    ) -> Result<T, CallError<E>> {
        match deadline {
            None => work.await,
            Some(deadline) => match tokio::time::timeout_at(deadline.into(), work).await {
                Ok(done) => done,
                Err(_elapsed) => Err(self.failed(Failed::Deadline)),
            },
        }
    }

    async fn open_async<E>(
        &self,
        outgoing: &mut Outgoing,
        waits: &mut Waits<'_>,
    ) -> Result<Ticket, CallError<E>> {
        let shared = self.shared();
        let opened = poll_fn(|cx| shared.poll_open(outgoing, waits, cx));
        Ok(opened.await?)
    }

    pub(super) async fn round_trip_async<E>(
        &self,
        outgoing: &mut Outgoing,
    ) -> Result<Came, CallError<E>> {
        let shared = self.shared();
        let mut waits = Waits::new(shared);
        let ticket = self.open_async(outgoing, &mut waits).await?;
        let open = OpenCall {
            shared,
            ticket: Some(ticket),
        };
        let mut first = true;
        let came = poll_fn(|cx| {
            let may_burst = std::mem::replace(&mut first, false);
            waits.poll(Place::Call(ticket), may_burst, cx, |calls| {
                calls.take_last_or_error(ticket)
            })
        })
        .await?;
        let came = came.map_err(|what| self.failed(shared.end(shared.link.misbehaved(what))))?;
        open.taken();
        Ok(came)
    }

    /// Calls a method with a stream of requests, of replies, or of both.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn exchange<'a, A, Q, P, R, E>(
        &'a self,
        method: u16,
        args: A,
    ) -> Result<Exchange<'a, Q, P, R, E>, CallError<E>>
    where
        A: Arguments + 'a,
    {
        let (args, attaching) = args.split();
        let deadline = self.deadline();
        let code = self.code(method, deadline)?;
        let mut outgoing = self.outgoing(code, &args, attaching, deadline, true)?;
        let ticket = self.open(&mut outgoing, deadline)?;
        Ok(Exchange::new(self, ticket, code, deadline))
    }

    /// [`exchange`](Self::exchange), for a task.
    ///
    /// # Errors
    /// See [`CallError`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn exchange_async<'a, A, Q, P, R, E>(
        &'a self,
        method: u16,
        args: A,
    ) -> Result<AsyncExchange<'a, Q, P, R, E>, CallError<E>>
    where
        A: Arguments + 'a,
    {
        let (args, attaching) = args.split();
        let deadline = self.deadline();
        let code = self.code_async(method, deadline).await?;
        let mut outgoing = self.outgoing(code, &args, attaching, deadline, true)?;
        let mut waits = Waits::new(self.shared());
        let opening = self.open_async(&mut outgoing, &mut waits);
        let ticket = self.in_time(deadline, opening).await?;
        Ok(AsyncExchange(Exchange::new(self, ticket, code, deadline)))
    }
}

/// A call of a task; given up when dropped before its reply was taken.
struct OpenCall<'a> {
    shared: &'a Arc<client::Shared>,
    ticket: Option<Ticket>,
}

impl OpenCall<'_> {
    fn taken(mut self) {
        self.ticket = None;
    }
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.abandon(ticket, ResetCode::Cancelled);
        }
    }
}

/// The error that a method returned, which points to nothing.
fn plain_error<E: Shared>(words: &[u64]) -> Result<E, TakeError> {
    if size_of_val(words) < size_of::<E>() {
        return Err(TakeError::Short {
            found_bytes: size_of_val(words),
            needed_bytes: size_of::<E>(),
        });
    }
    Ok(nowire_memory::data::plain_root(words)?)
}
