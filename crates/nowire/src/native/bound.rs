//! A service as a client calls it: typed arguments in, checked replies out.

use std::collections::HashMap;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nowire_memory::data::{Scope, Shared};
use nowire_memory::heap::Run;
use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{Message, ResetCode, StreamId};
use nowire_protocol::head::{self, Block};

use super::call::{RETURNED, with_buffers};
use super::call_error::{CallError, Code, Mismatch};
use super::calls::{Came, Place, Ticket};
use super::channel::{self, Channel, Failed, ScopeUnavailable};
use super::describe::{Asked, Description};
use super::dispatch::DESCRIBE;
use super::reply::{Release, Reply};
use super::service::Method;
use super::value::{Root, Sent};
use crate::error::ConnectionError;

/// What a client found out of a service at a server.
pub(crate) type Codes = Arc<Vec<Result<u16, Arc<Mismatch>>>>;

/// The services a channel has met, by name and method table.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<(&'static str, usize), Codes>>);

impl Known {
    fn get(&self, name: &'static str, methods: &'static [Method]) -> Option<Codes> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&(name, methods.as_ptr().addr())).cloned()
    }

    fn put(&self, name: &'static str, methods: &'static [Method], codes: &Codes) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((name, methods.as_ptr().addr()), Arc::clone(codes));
    }
}

/// A service at the other end of a channel. The clients that
/// [`service`](macro@crate::service) writes are made of it.
#[derive(Clone, Debug)]
pub struct Bound {
    channel: Channel,
    name: &'static str,
    methods: &'static [Method],
    codes: std::sync::OnceLock<Codes>,
    timeout: Option<Duration>,
    metadata: Block,
    metadata_error: Option<String>,
}

impl Bound {
    /// The service `name` at the server of `channel`. Whether it is there, and
    /// laid out alike, comes out at the first call.
    pub fn new(channel: Channel, name: &'static str, methods: &'static [Method]) -> Self {
        Self {
            channel,
            name,
            methods,
            codes: std::sync::OnceLock::new(),
            timeout: None,
            metadata: Block::new(),
            metadata_error: None,
        }
    }

    /// The channel the calls are made on.
    pub fn channel(&self) -> &Channel {
        &self.channel
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
        if let Err(error) = head::write_field(&mut self.metadata, name, value.as_bytes()) {
            self.metadata_error = Some(format!("{name}: {error}"));
        }
    }

    fn shared(&self) -> &Arc<channel::Shared> {
        self.channel.shared()
    }

    fn deadline(&self) -> Option<Instant> {
        self.timeout.map(|timeout| Instant::now() + timeout)
    }

    fn codes_of<E>(&self, codes: &Codes, method: u16) -> Result<u16, CallError<E>> {
        match codes.get(usize::from(method)) {
            Some(Ok(code)) => Ok(*code),
            Some(Err(mismatch)) => Err(CallError::Layout(Arc::clone(mismatch))),
            None => Err(CallError::Failed {
                code: Code::Unimplemented,
                text: format!("no method {method} in {}", self.name),
                peer: self.shared().link.label(),
            }),
        }
    }

    #[inline]
    fn code<E>(&self, method: u16, deadline: Option<Instant>) -> Result<u16, CallError<E>> {
        let codes = match self.codes.get() {
            Some(codes) => codes,
            None => {
                let codes = self.bind(deadline)?;
                self.codes.get_or_init(|| codes)
            }
        };
        self.codes_of(codes, method)
    }

    /// Asks the server for the methods of the service, unless this channel has.
    #[cold]
    fn bind<E>(&self, deadline: Option<Instant>) -> Result<Codes, CallError<E>> {
        if let Some(codes) = self.channel.known().get(self.name, self.methods) {
            return Ok(codes);
        }
        let asked = self.asked()?;
        let outgoing = self.outgoing::<_, E>(DESCRIBE, &(asked,), None, false)?;
        let ticket = self.open(&outgoing, deadline)?;
        let came = self.wait_last(ticket, deadline)?;
        self.learn(came)
    }

    async fn bind_async<E>(&self) -> Result<Codes, CallError<E>> {
        if let Some(codes) = self.channel.known().get(self.name, self.methods) {
            return Ok(codes);
        }
        let asked = self.asked()?;
        let outgoing = self.outgoing::<_, E>(DESCRIBE, &(asked,), None, false)?;
        let came = self.exchange_async(&outgoing).await?;
        self.learn(came)
    }

    fn asked<E>(&self) -> Result<Asked, CallError<E>> {
        Asked::new(self.name).ok_or_else(|| CallError::Failed {
            code: Code::InvalidArgument,
            text: format!("{} is too long a name for a service", self.name),
            peer: self.shared().link.label(),
        })
    }

    fn learn<E>(&self, came: Came) -> Result<Codes, CallError<E>> {
        let described = match self.typed::<Description<'static>, crate::Never>(came) {
            Ok(described) => Some(described),
            // Every method is refused by itself, each time it is called.
            Err(CallError::Failed {
                code: Code::Unimplemented,
                text,
                ..
            }) => return Ok(self.nothing_known(&text)),
            Err(CallError::Failed { code, text, peer }) => {
                return Err(CallError::Failed { code, text, peer });
            }
            Err(CallError::Connection(error)) => return Err(CallError::Connection(error)),
            Err(_) => None,
        };
        let Some(described) = described else {
            return Ok(self.nothing_known("it does not describe its methods"));
        };
        let peer = self.channel.peer().to_string();
        let codes = self.methods.iter().map(|method| {
            let ours = method.layout();
            let mismatch = |difference, theirs: &str| {
                Err(Arc::new(Mismatch {
                    peer: peer.clone(),
                    method: format!("{}.{}", self.name, method.name),
                    difference,
                    ours: ours.clone(),
                    theirs: theirs.to_owned(),
                }))
            };
            let theirs = described.get().methods.iter();
            let Some(theirs) = theirs.into_iter().find(|m| *m.name == *method.name) else {
                return mismatch("the server was built without it".to_owned(), "");
            };
            if *theirs.layout == *ours {
                return Ok(theirs.code);
            }
            let difference = method.difference(&theirs.layout);
            mismatch(difference, &theirs.layout)
        });
        let codes: Codes = Arc::new(codes.collect());
        self.channel.known().put(self.name, self.methods, &codes);
        Ok(codes)
    }

    fn nothing_known(&self, why: &str) -> Codes {
        let peer = self.channel.peer().to_string();
        let refused = self.methods.iter().map(|method| {
            Err(Arc::new(Mismatch {
                peer: peer.clone(),
                method: format!("{}.{}", self.name, method.name),
                difference: why.to_owned(),
                ours: method.layout(),
                theirs: String::new(),
            }))
        });
        Arc::new(refused.collect())
    }

    /// A call or item ready to be sent.
    #[inline]
    fn outgoing<A: Shared, E>(
        &self,
        code: u16,
        args: &A,
        deadline: Option<Instant>,
        with_metadata: bool,
    ) -> Result<Outgoing, CallError<E>> {
        let root = Root::of(args);
        let mut message = Message {
            stream: StreamId { index: 0, call: 0 },
            flags: 0,
            code,
            timeout_us: 0,
            page: 0,
            bytes: 0,
            inline: [0; 4],
        };
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            message.timeout_us = u32::try_from(left.as_micros()).unwrap_or(u32::MAX).max(1);
        }
        let run = if A::POINTERS {
            self.run_of(args)?
        } else {
            None
        };
        if let Some(run) = &run {
            message.page = run.page();
            message.bytes = run.used_bytes();
        }
        let metadata = if with_metadata && !self.metadata.is_empty() {
            if let Some(error) = &self.metadata_error {
                return Err(CallError::Metadata(error.clone()));
            }
            self.metadata.clone()
        } else {
            Block::new()
        };
        let bytes = size_of::<A>();
        let ahead = match &root {
            Root::Inline(words) if metadata.is_empty() => {
                message.inline = *words;
                None
            }
            _ => {
                let limit_bytes = self.shared().link.root_limit_bytes();
                let total = bytes + metadata.len();
                if total > limit_bytes {
                    return Err(CallError::TooLarge {
                        bytes: total,
                        limit_bytes,
                    });
                }
                message.flags |= Message::AHEAD;
                Some((root.to_bytes(bytes), metadata))
            }
        };
        Ok(Outgoing {
            message,
            ahead,
            run,
        })
    }

    /// The one run that everything in the arguments lies in.
    fn run_of<A: Shared, E>(&self, args: &A) -> Result<Option<Arc<Run>>, CallError<E>> {
        let Some(address) = nowire_memory::data::first_address(args) else {
            return Ok(None);
        };
        let Some(run) = self.shared().link.heap().find(address) else {
            return Err(CallError::OtherChannel);
        };
        if !self.shared().link.lies_in(args, &run) {
            return Err(CallError::SeveralScopes);
        }
        if run.is_sealable()
            && let Err(error) = run.seal()
        {
            // The server then copies what it can not be sure of.
            tracing::debug!(%error, "a scope was not sealed");
        }
        Ok(Some(run))
    }

    fn open<E>(
        &self,
        outgoing: &Outgoing,
        deadline: Option<Instant>,
    ) -> Result<Ticket, CallError<E>> {
        self.shared()
            .open(
                outgoing.message,
                &outgoing.sent(),
                outgoing.run.clone(),
                deadline,
            )
            .map_err(|failed| self.failed(failed))
    }

    fn failed<E>(&self, failed: Failed) -> CallError<E> {
        CallError::of(failed, || self.shared().link.label())
    }

    fn wait_last<E>(
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
    fn typed<R: Shared, E: Shared>(&self, came: Came) -> Result<Reply<R>, CallError<E>> {
        let message = &came.message;
        if message.has(Message::FAILED) {
            return Err(self.typed_failure(&came));
        }
        let link = &self.shared().link;
        let release =
            (message.bytes > 0).then(|| Release::new(Arc::clone(self.shared()), message.page));
        let taken = with_buffers(|buffers| {
            link.peer_heap().take::<R>(
                came.arrived.root.words(),
                message.page,
                message.bytes,
                link.keeping,
                buffers,
            )
        });
        match taken {
            Ok(taken) => Ok(Reply::new(taken, came.arrived.metadata, release)),
            Err(error) => Err(CallError::Connection(
                link.misbehaved(PeerMisbehaved::Data(error.to_string())),
            )),
        }
    }

    #[cold]
    fn typed_failure<E: Shared>(&self, came: &Came) -> CallError<E> {
        let link = &self.shared().link;
        if came.message.code == RETURNED {
            let root = came.arrived.root.words();
            return match nowire_memory::data::plain_root::<E>(root) {
                Ok(error) => CallError::Returned(error),
                Err(flaw) => {
                    CallError::Connection(link.misbehaved(PeerMisbehaved::Data(flaw.to_string())))
                }
            };
        }
        match Code::from_wire(came.message.code) {
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
    pub fn call<A: Shared, R: Shared, E: Shared>(
        &self,
        method: u16,
        args: A,
    ) -> Result<Reply<R>, CallError<E>> {
        let deadline = self.deadline();
        let code = self.code(method, deadline)?;
        let outgoing = self.outgoing(code, &args, deadline, true)?;
        let ticket = self.open(&outgoing, deadline)?;
        let came = self.wait_last(ticket, deadline)?;
        self.typed(came)
    }

    /// Calls, and leaves the waiting for later: many calls may be on their way at
    /// a time.
    ///
    /// # Errors
    /// See [`CallError`].
    #[inline]
    pub fn start<'a, A: Shared + 'a, R: Shared, E: Shared>(
        &'a self,
        method: u16,
        args: A,
    ) -> Result<Pending<'a, R, E>, CallError<E>> {
        let deadline = self.deadline();
        let code = self.code(method, deadline)?;
        let outgoing = self.outgoing(code, &args, deadline, true)?;
        let ticket = self.open(&outgoing, deadline)?;
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
    pub async fn call_async<A: Shared, R: Shared, E: Shared>(
        &self,
        method: u16,
        args: A,
    ) -> Result<Reply<R>, CallError<E>> {
        let deadline = self.deadline();
        let codes = match self.codes.get() {
            Some(codes) => Arc::clone(codes),
            None => {
                let codes = self.bind_async().await?;
                Arc::clone(self.codes.get_or_init(|| codes))
            }
        };
        let code = self.codes_of(&codes, method)?;
        let outgoing = self.outgoing(code, &args, deadline, true)?;
        drop(codes);
        let came = match deadline {
            None => self.exchange_async(&outgoing).await?,
            Some(deadline) => {
                let exchange = self.exchange_async(&outgoing);
                match tokio::time::timeout_at(deadline.into(), exchange).await {
                    Ok(came) => came?,
                    Err(_elapsed) => return Err(self.failed(Failed::Deadline)),
                }
            }
        };
        self.typed(came)
    }

    async fn exchange_async<E>(&self, outgoing: &Outgoing) -> Result<Came, CallError<E>> {
        let shared = self.shared();
        let mut run = outgoing.run.clone();
        let sent = outgoing.sent();
        let ticket = poll_fn(|cx| shared.poll_open(outgoing.message, &sent, &mut run, cx)).await?;
        let open = OpenCall {
            shared,
            ticket: Some(ticket),
        };
        let mut first = true;
        let came = poll_fn(|cx| {
            let may_burst = std::mem::replace(&mut first, false);
            shared.poll_wait(Place::Call(ticket), may_burst, cx, |calls| {
                calls.take_last(ticket)
            })
        })
        .await?;
        open.taken();
        Ok(came)
    }

    /// Calls a method with a stream of requests, of replies, or of both.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn exchange<'a, A: Shared + 'a, Q: Shared, P: Shared, R: Shared, E: Shared>(
        &'a self,
        method: u16,
        args: A,
    ) -> Result<Exchange<'a, Q, P, R, E>, CallError<E>> {
        let deadline = self.deadline();
        let code = self.code(method, deadline)?;
        let outgoing = self.outgoing(code, &args, deadline, true)?;
        let ticket = self.open(&outgoing, deadline)?;
        Ok(Exchange {
            bound: self,
            ticket: Some(ticket),
            stream: self.shared().stream_of(ticket),
            code,
            deadline,
            ended: false,
            taken: 0,
            what: PhantomData,
        })
    }
}

struct Outgoing {
    message: Message,
    ahead: Option<(Vec<u8>, Block)>,
    run: Option<Arc<Run>>,
}

impl Outgoing {
    #[inline]
    fn sent(&self) -> Sent<'_> {
        match &self.ahead {
            None => Sent::Inline,
            Some((root, metadata)) => Sent::Ahead { root, metadata },
        }
    }
}

/// A call of a task; given up when dropped before its reply was taken.
struct OpenCall<'a> {
    shared: &'a Arc<channel::Shared>,
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

/// A call on its way. What it was given stays borrowed until the reply is there;
/// dropped, it gives the call up.
#[must_use = "a call that is dropped is given up"]
pub struct Pending<'a, R, E> {
    bound: &'a Bound,
    ticket: Option<Ticket>,
    deadline: Option<Instant>,
    what: PhantomData<fn() -> (R, E)>,
}

impl<R, E> std::fmt::Debug for Pending<'_, R, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending")
            .field("service", &self.bound.name)
            .finish_non_exhaustive()
    }
}

impl<R: Shared, E: Shared> Pending<'_, R, E> {
    /// Waits for the reply.
    ///
    /// # Errors
    /// See [`CallError`].
    #[inline]
    pub fn wait(mut self) -> Result<Reply<R>, CallError<E>> {
        let ticket = self.ticket.take().expect("taken here only");
        let came = self.bound.wait_last(ticket, self.deadline)?;
        self.bound.typed(came)
    }
}

impl<R, E> Drop for Pending<'_, R, E> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.bound.shared().abandon(ticket, ResetCode::Cancelled);
        }
    }
}

/// A call with streams: requests of `Q` to the server, replies of `P` from it,
/// and `R` at the end. Dropped before that, it gives the call up.
#[must_use = "a call that is dropped is given up"]
pub struct Exchange<'a, Q, P, R, E> {
    bound: &'a Bound,
    ticket: Option<Ticket>,
    stream: StreamId,
    code: u16,
    deadline: Option<Instant>,
    ended: bool,
    taken: u32,
    what: PhantomData<fn(Q) -> (P, R, E)>,
}

impl<Q, P, R, E> std::fmt::Debug for Exchange<'_, Q, P, R, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange")
            .field("service", &self.bound.name)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl<Q: Shared, P: Shared, R: Shared, E: Shared> Exchange<'_, Q, P, R, E> {
    /// Sends an item; waits while the server has many that it did not take. False
    /// if the server takes no more, as it has replied: see
    /// [`finish`](Self::finish).
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn send<'s, U>(&mut self, item: U) -> Result<bool, CallError<E>>
    where
        Q: Shared<At<'s> = U>,
        U: Shared,
    {
        let Some(ticket) = self.ticket.filter(|_| !self.ended) else {
            return Ok(false);
        };
        let shared = self.bound.shared();
        let takes = shared
            .wait_credit(ticket, self.deadline)
            .map_err(|failed| self.bound.failed(failed))?;
        if !takes {
            return Ok(false);
        }
        let mut outgoing = self.bound.outgoing(self.code, &item, None, false)?;
        outgoing.message.stream = self.stream;
        outgoing.message.flags |= Message::ITEM;
        shared.send_more(&outgoing.message, &outgoing.sent(), outgoing.run.clone())?;
        Ok(true)
    }

    /// Says that no more items come.
    ///
    /// # Errors
    /// If the connection is over.
    pub fn end(&mut self) -> Result<(), CallError<E>> {
        if std::mem::replace(&mut self.ended, true) {
            return Ok(());
        }
        let message = Message {
            stream: self.stream,
            flags: Message::END,
            code: self.code,
            timeout_us: 0,
            page: 0,
            bytes: 0,
            inline: [0; 4],
        };
        let shared = self.bound.shared();
        Ok(shared.send_more(&message, &Sent::Inline, None)?)
    }

    /// Waits for the next item of the reply; none after the last.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn next_reply(&mut self) -> Result<Option<Reply<P>>, CallError<E>> {
        let Some(ticket) = self.ticket else {
            return Ok(None);
        };
        let came = self
            .bound
            .shared()
            .wait_item(ticket, self.stream, &mut self.taken, self.deadline)
            .map_err(|failed| self.bound.failed(failed))?;
        came.map(|came| self.bound.typed(came)).transpose()
    }

    /// Says that no more items come, leaves what the server still sends, and
    /// waits for what the method returns.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn finish(mut self) -> Result<Reply<R>, CallError<E>> {
        self.end()?;
        while self.next_reply()?.is_some() {}
        let ticket = self.ticket.take().expect("taken here only");
        let came = self.bound.wait_last(ticket, self.deadline)?;
        self.bound.typed(came)
    }
}

impl<Q, P, R, E> Drop for Exchange<'_, Q, P, R, E> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.bound.shared().abandon(ticket, ResetCode::Cancelled);
        }
    }
}

impl From<ConnectionError> for Failed {
    fn from(error: ConnectionError) -> Self {
        Self::Over(error)
    }
}
