//! Streams of requests and replies, as a handler in the pool sees them.

use std::marker::PhantomData;
use std::sync::Arc;

use nowire_memory::data::{Scope, Shared};
use nowire_memory::heap::{RUN_HEADER_BYTES, Run, Taken};
use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{Message, MessageKind, StreamId};
use nowire_protocol::ring::Control;

use super::call::with_buffers;
use super::call_error::Code;
use super::calls::{Came, WINDOW_ITEMS};
use super::context::Context;
use super::crash::crash_point;
use super::kept::Giver;
use super::link::Bell;
use super::serving::{Flow, ServerLink};
use super::value::{Root, Sent};

/// The call is over: the caller gave up, died, or waited long enough. The
/// handler returns; what it returns goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody waits for this call any more")]
pub struct CallOver;

/// Where a handler puts the items of its reply. The last of them comes before
/// what the handler returns.
pub struct Replies<T> {
    link: Arc<ServerLink>,
    stream: StreamId,
    flow: Option<Arc<Flow>>,
    deadline: Option<std::time::Instant>,
    items: PhantomData<fn(T)>,
}

impl<T> std::fmt::Debug for Replies<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replies")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl<T: Shared> Replies<T> {
    pub(crate) fn new(cx: &Context, stream: StreamId, flow: Option<Arc<Flow>>) -> Self {
        Self {
            link: Arc::clone(&cx.link),
            stream,
            flow,
            deadline: cx.deadline,
            items: PhantomData,
        }
    }

    /// A scope to build items in.
    ///
    /// # Errors
    /// [`CallOver`] also when there is no memory left for it; the caller is told.
    pub fn scope(&mut self) -> Result<Scope, CallOver> {
        let bytes = self.link.dispatch.reply_scope_bytes + RUN_HEADER_BYTES;
        match self.link.link.allocate(bytes) {
            Ok(run) => Ok(run.scope()),
            Err(error) => Err(self.cut(Code::ResourceExhausted, error.to_string())),
        }
    }

    /// What is sent is not whole: the caller is told when the handler returns.
    fn cut(&self, code: Code, why: String) -> CallOver {
        if let Some(flow) = &self.flow {
            flow.cut(code, why);
        }
        CallOver
    }

    /// Sends an item that points to nothing; waits while the caller has many that
    /// it did not take.
    ///
    /// # Errors
    /// [`CallOver`], also for more bytes than go by value; the caller is told.
    pub fn send(&mut self, item: T) -> Result<(), CallOver> {
        const { assert!(!T::POINTERS, "an item with pointers needs a scope") }
        self.send_root(Root::of(&item), None)
    }

    /// Sends an item built in a `scope` that [`scope`](Self::scope) gave.
    ///
    /// # Errors
    /// [`CallOver`], also when the item points elsewhere; the caller is told.
    pub fn send_in<'s, U: Shared>(&mut self, scope: &'s Scope, item: U) -> Result<(), CallOver>
    where
        T: Shared<At<'s> = U>,
    {
        let run = match self.link.link.heap().find(scope.address()) {
            Some(run) if scope.holds(&item) => run,
            _ => {
                let why = "an item points out of the scope it is built in";
                return Err(self.cut(Code::Internal, why.to_owned()));
            }
        };
        self.send_root(Root::of(&item), U::POINTERS.then_some(run))
    }

    fn send_root(&mut self, root: Root, run: Option<Arc<Run>>) -> Result<(), CallOver> {
        let bytes = size_of::<T>();
        if matches!(root, Root::Long(_)) && bytes > self.link.link.root_limit_bytes() {
            let why = format!("an item of {bytes} bytes by value: build it in a scope");
            return Err(self.cut(Code::Internal, why));
        }
        let flow = self.flow.as_ref().ok_or(CallOver)?;
        if !flow.take_credit(self.deadline) {
            return Err(CallOver);
        }
        let link = &self.link.link;
        let mut message = Message {
            stream: self.stream,
            flags: Message::ITEM,
            code: 0,
            timeout_us: 0,
            page: 0,
            bytes: 0,
            inline: [0; 4],
        };
        if let Some(run) = run {
            message.page = run.page();
            message.bytes = run.used_bytes();
            link.hold(run);
            crash_point!("reply.item-held");
        }
        let sent = match &root {
            Root::Inline(words) => {
                message.inline = *words;
                link.send(MessageKind::Reply, &message, &Sent::Inline, Bell::Now)
            }
            Root::Long(_) => {
                message.flags |= Message::AHEAD;
                let sent = Sent::Ahead {
                    root: &root.to_bytes(size_of::<T>()),
                    metadata: &[],
                };
                link.send(MessageKind::Reply, &message, &sent, Bell::Now)
            }
        };
        sent.map_err(|_| CallOver)
    }
}

/// The items of a request, in the order in which the caller sent them. It ends
/// when the caller has sent its last, and when nobody waits for the call any
/// more.
pub struct Requests<T> {
    link: Arc<ServerLink>,
    stream: StreamId,
    flow: Option<Arc<Flow>>,
    deadline: Option<std::time::Instant>,
    taken: u32,
    items: PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for Requests<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Requests")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// One item of a request. The caller's scope comes back when it is dropped.
pub struct Request<T: Shared> {
    taken: Taken<T>,
    /// After what lies there.
    _giver: Option<Giver>,
}

impl<T: Shared> Request<T> {
    /// The item.
    pub fn get(&self) -> &T::At<'_> {
        self.taken.get()
    }
}

impl<T> std::ops::Deref for Request<T>
where
    T: for<'a> Shared<At<'a> = T>,
{
    type Target = T;

    fn deref(&self) -> &T {
        self.taken.get()
    }
}

impl<T: Shared> std::fmt::Debug for Request<T>
where
    for<'a> T::At<'a>: std::fmt::Debug,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

impl<T: Shared> Requests<T> {
    pub(crate) fn new(cx: &Context, stream: StreamId, flow: Option<Arc<Flow>>) -> Self {
        Self {
            link: Arc::clone(&cx.link),
            stream,
            flow,
            deadline: cx.deadline,
            taken: 0,
            items: PhantomData,
        }
    }

    fn check(&self, came: &Came) -> Option<Request<T>> {
        let link = &self.link.link;
        let taken = with_buffers::<T, _>(|buffers| {
            link.peer_heap().take::<T>(
                came.arrived.root.words(),
                came.page,
                came.bytes,
                link.keeping,
                buffers,
            )
        });
        let giver = (came.bytes > 0).then(|| Giver::new(Arc::clone(&self.link), came.page));
        match taken {
            Ok(taken) => Some(Request {
                // What was copied needs the caller's scope no longer.
                _giver: giver.filter(|_| taken.in_place()),
                taken,
            }),
            Err(error) => {
                link.misbehaved(PeerMisbehaved::Data(error.to_string()));
                None
            }
        }
    }
}

impl<T: Shared> Iterator for Requests<T> {
    type Item = Request<T>;

    fn next(&mut self) -> Option<Request<T>> {
        let came = self.flow.as_ref()?.next_item(self.deadline)?;
        self.taken += 1;
        if self.taken >= WINDOW_ITEMS / 2 {
            let bytes = std::mem::take(&mut self.taken);
            let stream = self.stream;
            // A connection that is over shows at the next item.
            let _ = self
                .link
                .link
                .send_control(Control::Credit { stream, bytes });
        }
        self.check(&came)
    }
}
