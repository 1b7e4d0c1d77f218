//! The stream that a handler takes.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use nowire_memory::data::Shared;
use nowire_memory::heap::Taken;
use nowire_memory::refs::Travel;
use nowire_protocol::PeerMisbehaved;
use nowire_protocol::frame::StreamId;

use crate::native::attached::NoReference;
use crate::native::call::with_buffers;
use crate::native::call_error::Code;
use crate::native::calls::{Came, WINDOW_ITEMS};
use crate::native::context::Context;
use crate::native::kept::Giver;
use crate::native::serving::{Flow, ServerLink};
use crate::native::way::{Requested, Rooted, Way};

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

impl<T> Deref for Request<T>
where
    T: for<'a> Shared<At<'a> = T>,
{
    type Target = T;

    fn deref(&self) -> &T {
        self.taken.get()
    }
}

impl<T: Shared> fmt::Debug for Request<T>
where
    for<'a> T::At<'a>: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// Where the items of one call come from, however its handler waits.
struct Inlet<T> {
    link: Arc<ServerLink>,
    stream: StreamId,
    flow: Option<Arc<Flow>>,
    deadline: Option<Instant>,
    taken: u32,
    items: PhantomData<fn() -> T>,
}

impl<T: Travel<As: Way>> Inlet<T> {
    fn new(cx: &Context, stream: StreamId, flow: Option<Arc<Flow>>) -> Self {
        Self {
            link: Arc::clone(&cx.link),
            stream,
            flow,
            deadline: cx.deadline,
            taken: 0,
            items: PhantomData,
        }
    }

    /// Makes a request of what came, and room for more.
    fn take(&mut self, mut came: Came) -> Option<Requested<T>> {
        self.taken += 1;
        if self.taken >= WINDOW_ITEMS / 2
            && let Some(flow) = &self.flow
        {
            let items = std::mem::take(&mut self.taken);
            flow.grant(&self.link.link, self.stream, items);
        }
        let mut attached = came.arrived.take_attached();
        let request = self.check(&came)?;
        match <T::As as Way>::request(request, &mut attached) {
            Ok(request) => Some(request),
            Err(NoReference::Unusable(error)) => {
                if let Some(flow) = &self.flow {
                    flow.cut(Code::ResourceExhausted, error.to_string());
                }
                None
            }
            Err(error) => {
                let link = &self.link.link;
                link.misbehaved(PeerMisbehaved::Data(error.to_string()));
                None
            }
        }
    }

    fn check(&self, came: &Came) -> Option<Request<Rooted<T>>> {
        let link = &self.link.link;
        let taken = with_buffers::<Rooted<T>, _>(|buffers| {
            link.peer_heap().take::<Rooted<T>>(
                came.arrived.words(),
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

/// The items of a request for a handler in the pool, in the order in which the
/// caller sent them. It ends when the caller has sent its last, and when nobody
/// waits for the call any more.
pub struct Requests<T> {
    inlet: Inlet<T>,
}

impl<T> fmt::Debug for Requests<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests")
            .field("stream", &self.inlet.stream)
            .finish_non_exhaustive()
    }
}

impl<T: Travel<As: Way>> Requests<T> {
    pub(crate) fn new(cx: &Context, stream: StreamId, flow: Option<Arc<Flow>>) -> Self {
        Self {
            inlet: Inlet::new(cx, stream, flow),
        }
    }
}

impl<T: Travel<As: Way>> Iterator for Requests<T> {
    type Item = Requested<T>;

    fn next(&mut self) -> Option<Requested<T>> {
        let flow = self.inlet.flow.as_ref()?;
        let came = flow.next_item(self.inlet.deadline)?;
        self.inlet.take(came)
    }
}

/// The items of a request for a task, in the order in which the caller sent
/// them.
pub struct AsyncRequests<T> {
    inlet: Inlet<T>,
}

impl<T> fmt::Debug for AsyncRequests<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncRequests")
            .field("stream", &self.inlet.stream)
            .finish_non_exhaustive()
    }
}

impl<T: Travel<As: Way>> AsyncRequests<T> {
    pub(crate) fn new(cx: &Context, stream: StreamId, flow: Option<Arc<Flow>>) -> Self {
        Self {
            inlet: Inlet::new(cx, stream, flow),
        }
    }

    /// The next item; none when the caller has sent its last, or the call has been
    /// answered. A task that nobody waits for any more is dropped, so what a task
    /// has taken when there is none left is all. No item is lost when the future is
    /// dropped.
    pub async fn recv(&mut self) -> Option<Requested<T>> {
        let flow = Arc::clone(self.inlet.flow.as_ref()?);
        let came = poll_fn(|cx| flow.poll_item(cx)).await?;
        let request = self.inlet.take(came);
        if request.is_none() {
            // The connection is over, and so is the task.
            poll_fn(|cx| flow.poll_answered(cx)).await;
        }
        request
    }
}
