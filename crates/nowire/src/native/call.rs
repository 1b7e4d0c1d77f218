//! A call in the server, from its arrival to its one last reply.

use std::cell::RefCell;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use nowire_memory::data::{CheckBuffers, Scope, Shared};
use nowire_memory::heap::{RUN_HEADER_BYTES, Run, TakeError, Taken};
use nowire_memory::refs::Travel;
use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::{Message, MessageKind, StreamId};

use super::attached::{Attaching, Going, NoReference};
use super::built::Built;
use super::call_error::Code;
use super::context::Context;
use super::kept::{Giver, Kept};
use super::link::Bell;
use super::serving::Flow;
use super::streaming::{AsyncReplies, AsyncRequests, Replies, Requests};
use super::value::{Arrived, Parts, Root, Sent, With};
use super::way::{Attach, Carried, Rooted, Way, put};
use crate::crash::crash_point;

thread_local! {
    static BUFFERS: RefCell<CheckBuffers> = RefCell::default();
}

/// Lends what the check of a `T` works with.
#[inline]
pub(crate) fn with_buffers<T: Shared, R>(work: impl FnOnce(&mut CheckBuffers) -> R) -> R {
    if !T::POINTERS {
        // Nothing is put into them.
        return work(&mut CheckBuffers::default());
    }
    BUFFERS.with(|buffers| match buffers.try_borrow_mut() {
        Ok(mut buffers) => work(&mut buffers),
        Err(_) => work(&mut CheckBuffers::default()),
    })
}

/// Status of a reply that is the error the method returns.
pub(crate) const RETURNED: u16 = u16::MAX;

/// A call that is being handled. Dropped without a reply, it answers that there
/// is none.
pub struct Call {
    cx: Context,
    stream: StreamId,
    page: u32,
    bytes: u32,
    /// The arguments.
    arrived: Arrived,
    flow: Option<Arc<Flow>>,
    bell: Bell,
    /// The run that the reply is built in.
    reply_run: Option<Arc<Run>>,
    /// What goes with the reply.
    going: Option<Box<Going>>,
    /// Arguments that are held beyond the call.
    giver: Option<Arc<Giver>>,
    answered: bool,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("context", &self.cx)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl Call {
    #[inline]
    pub(crate) fn new(
        cx: Context,
        message: &Message,
        arrived: Arrived,
        flow: Option<Arc<Flow>>,
        bell: Bell,
    ) -> Self {
        Self {
            cx,
            stream: message.stream,
            page: message.page,
            bytes: message.bytes,
            arrived,
            flow,
            bell,
            reply_run: None,
            going: None,
            giver: None,
            answered: false,
        }
    }

    /// Circumstances of the call.
    #[inline]
    pub fn context(&self) -> &Context {
        &self.cx
    }

    pub(crate) fn flow(&self) -> Option<Arc<Flow>> {
        self.flow.clone()
    }

    /// Whether nobody waits for the reply any more.
    pub(crate) fn is_late(&self) -> bool {
        self.cx.is_cancelled()
    }

    /// The arguments, kept still and checked. None if they are not what they must
    /// be, or there is no memory to keep them still: the caller has been told, and
    /// there is nothing left to do but return.
    #[inline]
    pub fn take<A: Shared>(&mut self) -> Option<Taken<A>> {
        let link = &self.cx.link.link;
        let taken = with_buffers::<A, _>(|buffers| {
            link.peer_heap().take::<A>(
                self.arrived.words(),
                self.page,
                self.bytes,
                link.keeping,
                buffers,
            )
        });
        crash_point!("take.arguments-checked");
        match taken {
            Ok(taken) => Some(taken),
            Err(error) => {
                self.refuse(&error);
                None
            }
        }
    }

    #[cold]
    fn refuse(&mut self, error: &TakeError) {
        let text = error.to_string();
        self.answer_failed(Code::of_taking(error), &text);
        if !error.is_misbehaviour() {
            return;
        }
        let link = &self.cx.link.link;
        link.ring_if_asleep();
        link.misbehaved(PeerMisbehaved::Data(text));
    }

    /// What came ahead of the arguments, and is named by them. None if it cannot
    /// be used here; the caller has been told.
    pub fn attached<T: Travel<As: Attach>>(&mut self, at: Rooted<T>) -> Option<Carried<T>> {
        match <T::As as Attach>::take(at, self.arrived.attached()) {
            Ok(value) => Some(value),
            Err(NoReference::Unusable(error)) => {
                self.answer_failed(Code::ResourceExhausted, &error.to_string());
                None
            }
            Err(error) => {
                let text = error.to_string();
                self.answer_failed(Code::InvalidArgument, &text);
                let link = &self.cx.link.link;
                link.ring_if_asleep();
                link.misbehaved(PeerMisbehaved::Data(text));
                None
            }
        }
    }

    /// An argument that may be held beyond the call.
    pub fn kept<A: Shared, T: Shared>(
        &mut self,
        args: &Taken<A>,
        project: impl for<'a> FnOnce(&'a A::At<'a>) -> &'a T::At<'a>,
    ) -> Kept<T> {
        let giver =
            args.in_place().then(|| {
                Arc::clone(self.giver.get_or_insert_with(|| {
                    Arc::new(Giver::new(Arc::clone(&self.cx.link), self.page))
                }))
            });
        crash_point!("keep.taken");
        Kept::new(args.part(project), giver)
    }

    /// A scope for the reply. None if there is no memory for one; the caller has
    /// been told.
    pub fn scope(&mut self) -> Option<Scope> {
        let bytes = self.cx.link.dispatch.reply_scope_bytes;
        self.scope_of(bytes)
    }

    /// A scope for the reply with room for `bytes`.
    pub(crate) fn scope_of(&mut self, bytes: usize) -> Option<Scope> {
        match self.cx.link.link.allocate(bytes + RUN_HEADER_BYTES) {
            Ok(run) => {
                self.reply_run = Some(Arc::clone(&run));
                crash_point!("reply.scope-given-out");
                Some(run.scope())
            }
            Err(error) => {
                self.answer_failed(Code::ResourceExhausted, &error.to_string());
                None
            }
        }
    }

    /// Replies with a value that points to nothing.
    #[inline]
    pub fn reply<R: Shared>(mut self, value: R) {
        const { assert!(!R::POINTERS, "a reply with pointers needs a scope") }
        self.answer(0, 0, Root::of(&value), size_of::<R>(), None);
    }

    /// Replies with something that goes ahead of the reply.
    pub fn reply_attached<R: Travel<As: Attach>>(mut self, value: Carried<R>) {
        let mut attaching = Attaching::on(&self.cx.link.link);
        let root = put::<R>(value, &mut attaching);
        match attaching.going() {
            Ok(going) if going.is_empty() => {}
            Ok(going) => self.going = Some(Box::new(going)),
            Err(cannot) => {
                self.answer_failed(Code::ResourceExhausted, &cannot.to_string());
                return;
            }
        }
        self.answer(0, 0, Root::of(&root), size_of::<Rooted<R>>(), None);
    }

    /// Replies with a value that was built in what [`scope`](Self::scope) gave.
    pub fn reply_in<R: Shared>(mut self, value: R) {
        let run = self.reply_run.take().filter(|_| R::POINTERS);
        // The handler may have had the scope to itself, and put another in its place.
        let built = run.map(|run| Built::new(&value, run).ok_or(Built::ELSEWHERE));
        let built = match built.transpose() {
            Ok(built) => built,
            Err(why) => {
                self.answer_failed(Code::Internal, &format!("a reply: {why}"));
                return;
            }
        };
        self.answer(0, 0, Root::of(&value), size_of::<R>(), built);
    }

    /// Replies with the error that the method may return.
    pub fn reply_error<E: Shared>(mut self, error: E) {
        const { assert!(!E::POINTERS, "an error points to nothing") }
        self.answer(
            RETURNED,
            Message::FAILED,
            Root::of(&error),
            size_of::<E>(),
            None,
        );
    }

    /// Replies that the call failed.
    pub(crate) fn fail(mut self, code: Code, text: &str) {
        self.answer_failed(code, text);
    }

    /// The stream of replies.
    pub fn replies<T: Travel<As: Way>>(&mut self) -> Replies<T> {
        Replies::new(&self.cx, self.stream, self.flow.clone())
    }

    /// The stream of replies, for a task.
    pub fn async_replies<T: Travel<As: Way>>(&mut self) -> AsyncReplies<T> {
        AsyncReplies::new(&self.cx, self.stream, self.flow.clone())
    }

    /// The stream of requests.
    pub fn requests<T: Travel<As: Way>>(&mut self) -> Requests<T> {
        Requests::new(&self.cx, self.stream, self.flow.clone())
    }

    /// The stream of requests, for a task.
    pub fn async_requests<T: Travel<As: Way>>(&mut self) -> AsyncRequests<T> {
        AsyncRequests::new(&self.cx, self.stream, self.flow.clone())
    }

    fn answer_failed(&mut self, code: Code, text: &str) {
        self.going = None;
        let limit = self.cx.link.link.root_limit_bytes();
        let mut end = text.len().min(limit);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let bytes = &text.as_bytes()[..end];
        let root = if end <= 32 {
            let mut words = [0; 4];
            for (word, chunk) in words.iter_mut().zip(bytes.chunks(8)) {
                let mut eight = [0; 8];
                eight[..chunk.len()].copy_from_slice(chunk);
                *word = u64::from_ne_bytes(eight);
            }
            Root::Inline(words)
        } else {
            Root::from_bytes(bytes)
        };
        self.answer(code.to_wire(), Message::FAILED, root, end, None);
    }

    #[inline]
    fn answer(&mut self, code: u16, flags: u8, root: Root, bytes: usize, built: Option<Built>) {
        if std::mem::replace(&mut self.answered, true) {
            return;
        }
        if flags & Message::FAILED == 0
            && let Some((code, why)) = self.flow.as_ref().and_then(|flow| flow.why_cut())
        {
            self.answered = false;
            self.answer_failed(code, &why);
            return;
        }
        let metadata = self
            .cx
            .reply_metadata
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let going = self.going.take();
        let metadata_bytes = metadata.as_ref().map_or(0, |metadata| metadata.len());
        let blob_bytes = going.as_ref().map_or(0, |going| going.bytes.len());
        let total = bytes + metadata_bytes + blob_bytes;
        let is_inline = metadata.is_none() && blob_bytes == 0 && matches!(root, Root::Inline(_));
        if !is_inline && total > self.cx.link.link.root_limit_bytes() {
            let text =
                format!("a reply of {total} bytes by value, with metadata: build it in a scope");
            self.answered = false;
            self.answer_failed(Code::Internal, &text);
            return;
        }
        let server = &self.cx.link;
        let link = &server.link;
        let mut message = Message {
            stream: self.stream,
            flags,
            code,
            timeout_us: 0,
            page: 0,
            bytes: 0,
            inline: [0; 4],
        };
        if self.giver.is_some() {
            message.flags |= Message::KEPT;
        }
        if let Some(built) = &built {
            built.tell(&mut message, link);
            crash_point!("reply.scope-held");
        }
        if self.flow.is_some() {
            server.finished(self.stream);
        }
        // Nobody is there to be told that the connection is over.
        let _ = match &root {
            Root::Inline(words) if is_inline => {
                message.inline = *words;
                match going {
                    None => link.send(MessageKind::Reply, &message, &Sent::Inline, self.bell),
                    Some(going) => {
                        let with = With::new(going.passing, None);
                        link.send(MessageKind::Reply, &message, &Sent::With(&with), self.bell)
                    }
                }
            }
            _ => {
                message.flags |= Message::AHEAD;
                let going = going.map(|going| *going).unwrap_or_default();
                let parts = Parts {
                    root: root.to_bytes(bytes),
                    metadata: metadata.map(|metadata| *metadata).unwrap_or_default(),
                    bytes: going.bytes,
                };
                let with = With::new(going.passing, Some(parts));
                link.send(MessageKind::Reply, &message, &Sent::With(&with), self.bell)
            }
        };
        crash_point!("reply.answered");
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let late = self.cx.deadline.is_some_and(|at| Instant::now() >= at);
        let (code, text) = if late {
            (Code::DeadlineExceeded, "the deadline passed")
        } else if self.is_late() {
            (Code::Cancelled, "the caller gave up")
        } else {
            (Code::Internal, "the handler ended without a reply")
        };
        self.answer_failed(code, text);
    }
}
