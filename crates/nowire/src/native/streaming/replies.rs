//! The stream that a handler sends.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Instant;

use nowire_memory::data::{Scope, Shared};
use nowire_memory::heap::RUN_HEADER_BYTES;
use nowire_memory::refs::Travel;
use nowire_protocol::frame::{Message, MessageKind, StreamId};

use super::CallOver;
use crate::crash::crash_point;
use crate::native::attached::{Attaching, CannotGo};
use crate::native::built::Built;
use crate::native::call_error::Code;
use crate::native::context::Context;
use crate::native::link::Bell;
use crate::native::serving::{Flow, ServerLink};
use crate::native::value::{Parts, Root, Sent, With};
use crate::native::way::{self, Way};
use crate::refs::Passing;

/// Where the items of one call go, however its handler waits.
struct Outlet {
    link: Arc<ServerLink>,
    stream: StreamId,
    flow: Option<Arc<Flow>>,
    deadline: Option<Instant>,
}

/// An item ready to be sent.
struct Item {
    root: Root,
    bytes: usize,
    built: Option<Built>,
    passing: Vec<Passing>,
}

impl Outlet {
    fn new(cx: &Context, stream: StreamId, flow: Option<Arc<Flow>>) -> Self {
        Self {
            link: Arc::clone(&cx.link),
            stream,
            flow,
            deadline: cx.deadline,
        }
    }

    fn scope(&self) -> Result<Scope, CallOver> {
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

    fn item<T: Shared>(&self, item: &T, built: Option<Built>) -> Result<Item, CallOver> {
        let root = Root::of(item);
        let bytes = size_of::<T>();
        if matches!(root, Root::Long(_)) && bytes > self.link.link.root_limit_bytes() {
            let why = format!("an item of {bytes} bytes by value: build it in a scope");
            return Err(self.cut(Code::Internal, why));
        }
        Ok(Item {
            root,
            bytes,
            built,
            passing: Vec::new(),
        })
    }

    /// An item that lies in no scope.
    fn item_alone<T: Travel<As: Way>>(
        &self,
        item: way::Item<'static, T>,
    ) -> Result<Item, CallOver> {
        const {
            assert!(
                !<<T::As as Way>::Sent<'static> as Shared>::POINTERS,
                "an item with pointers needs a scope"
            );
        }
        let mut attaching = Attaching::for_item::<T>(&self.link.link);
        let root = <T::As as Way>::send(item, &mut attaching);
        let mut item = self.item(&root, None)?;
        if <T::As as Way>::ATTACHES {
            let going = attaching.going();
            let cut = |cannot: CannotGo| self.cut(Code::ResourceExhausted, cannot.to_string());
            item.passing = going.map_err(cut)?.passing;
        }
        Ok(item)
    }

    fn item_in<T: Shared>(&self, scope: &Scope, item: &T) -> Result<Item, CallOver> {
        let run = self.link.link.heap().find(scope.address());
        match run.and_then(|run| Built::new(item, run)) {
            Some(built) => self.item(item, T::POINTERS.then_some(built)),
            None => Err(self.cut(Code::Internal, format!("an item: {}", Built::ELSEWHERE))),
        }
    }

    fn send(&self, item: Item) -> Result<(), CallOver> {
        let flow = self.flow.as_ref().ok_or(CallOver)?;
        if !flow.take_credit(self.deadline) {
            return Err(CallOver);
        }
        self.put(item)
    }

    async fn send_async(&self, item: Result<Item, CallOver>) -> Result<(), CallOver> {
        let item = item?;
        let flow = self.flow.as_ref().ok_or(CallOver)?;
        if !poll_fn(|cx| flow.poll_credit(cx)).await {
            return Err(CallOver);
        }
        self.put(item)
    }

    /// Sends what the caller has room for.
    fn put(&self, item: Item) -> Result<(), CallOver> {
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
        if let Some(built) = &item.built {
            built.tell(&mut message, link);
            crash_point!("reply.item-held");
        }
        let parts = match &item.root {
            Root::Inline(words) => {
                message.inline = *words;
                None
            }
            Root::Long(_) => {
                message.flags |= Message::AHEAD;
                Some(item.root.to_bytes(item.bytes))
            }
        };
        let sent = if parts.is_none() && item.passing.is_empty() {
            link.send(MessageKind::Reply, &message, &Sent::Inline, Bell::Now)
        } else {
            let parts = parts.map(|root| Parts {
                root,
                ..Parts::default()
            });
            let with = With::new(item.passing, parts);
            link.send(MessageKind::Reply, &message, &Sent::With(&with), Bell::Now)
        };
        sent.map_err(|_| CallOver)
    }
}

/// Where a handler in the pool puts the items of its reply. The last of them
/// comes before what the handler returns.
pub struct Replies<T> {
    outlet: Outlet,
    items: PhantomData<fn(T)>,
}

impl<T> fmt::Debug for Replies<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies")
            .field("stream", &self.outlet.stream)
            .finish_non_exhaustive()
    }
}

impl<T: Travel<As: Way>> Replies<T> {
    pub(crate) fn new(cx: &Context, stream: StreamId, flow: Option<Arc<Flow>>) -> Self {
        Self {
            outlet: Outlet::new(cx, stream, flow),
            items: PhantomData,
        }
    }

    /// Sends an item that points to nothing; waits while the caller has many that
    /// it did not take.
    ///
    /// # Errors
    /// [`CallOver`], also for more bytes than go by value; the caller is told.
    pub fn send(&mut self, item: way::Item<'static, T>) -> Result<(), CallOver> {
        self.outlet.send(self.outlet.item_alone::<T>(item)?)
    }
}

impl<T: Shared> Replies<T> {
    /// A scope to build items in.
    ///
    /// # Errors
    /// [`CallOver`] also when there is no memory left for it; the caller is told.
    pub fn scope(&mut self) -> Result<Scope, CallOver> {
        self.outlet.scope()
    }

    /// Sends an item built in a `scope` that [`scope`](Self::scope) gave.
    ///
    /// # Errors
    /// [`CallOver`], also when the item points elsewhere; the caller is told.
    pub fn send_in<'s, U: Shared>(&mut self, scope: &'s Scope, item: U) -> Result<(), CallOver>
    where
        T: Shared<At<'s> = U>,
    {
        self.outlet.send(self.outlet.item_in(scope, &item)?)
    }
}

/// Where a task puts the items of its reply. The last of them comes before what
/// the method returns.
pub struct AsyncReplies<T> {
    outlet: Outlet,
    items: PhantomData<fn(T)>,
}

impl<T> fmt::Debug for AsyncReplies<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncReplies")
            .field("stream", &self.outlet.stream)
            .finish_non_exhaustive()
    }
}

impl<T: Travel<As: Way>> AsyncReplies<T> {
    pub(crate) fn new(cx: &Context, stream: StreamId, flow: Option<Arc<Flow>>) -> Self {
        Self {
            outlet: Outlet::new(cx, stream, flow),
            items: PhantomData,
        }
    }

    /// Sends an item that points to nothing, once the caller has taken enough of
    /// those before. It goes out when awaited, or not at all.
    ///
    /// # Errors
    /// [`CallOver`] for more bytes than go by value; the caller is told. A task
    /// whose caller has given up is dropped.
    pub fn send(
        &mut self,
        item: way::Item<'static, T>,
    ) -> impl Future<Output = Result<(), CallOver>> + Send {
        let item = self.outlet.item_alone::<T>(item);
        self.outlet.send_async(item)
    }
}

impl<T: Shared> AsyncReplies<T> {
    /// A scope to build items in.
    ///
    /// # Errors
    /// [`CallOver`] also when there is no memory left for it; the caller is told.
    pub fn scope(&mut self) -> Result<Scope, CallOver> {
        self.outlet.scope()
    }

    /// Sends an item built in a `scope` that [`scope`](Self::scope) gave, as
    /// [`send`](Self::send) does.
    ///
    /// # Errors
    /// [`CallOver`] when the item points elsewhere; the caller is told.
    pub fn send_in<'s, U: Shared>(
        &mut self,
        scope: &'s Scope,
        item: U,
    ) -> impl Future<Output = Result<(), CallOver>> + Send
    where
        T: Shared<At<'s> = U>,
    {
        // Now: a task that waits may move, and a scope is lent on one thread only.
        let item = self.outlet.item_in(scope, &item);
        self.outlet.send_async(item)
    }
}
