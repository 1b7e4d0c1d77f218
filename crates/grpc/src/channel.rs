//! The client's end: what the generated stubs call.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body_util::BodyExt;
use nowire::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;
use tonic::body::Body;
use tonic::{Status, TimeoutExpired};
use tower_service::Service;

use crate::call::Call;
use crate::carrier::Carrier;
use crate::deadline::{BodySide, Deadline, Outcome, Timed, timed_body};
use crate::endpoint::Endpoint;
use crate::error::Error;

/// A channel to one server, for the clients that tonic generates; takes the
/// place of `tonic::transport::Channel`. Clones share the connection and cost
/// little.
///
/// When the server goes, calls that are pending fail with UNAVAILABLE and the
/// next one connects again, over whichever carrier is best by then.
#[derive(Debug)]
pub struct Channel {
    shared: Arc<Shared>,
    limit: Option<PollSemaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
struct Shared {
    endpoint: Endpoint,
    link: Mutex<Option<Link>>,
    /// Held by the one call that connects; the others wait for it.
    connecting: tokio::sync::Mutex<()>,
}

/// An established carrier.
#[derive(Clone, Debug)]
pub(crate) enum Link {
    Memory(Connection),
    Http2(tonic::transport::Channel),
}

impl Channel {
    pub(crate) fn new(endpoint: Endpoint, link: Option<Link>) -> Self {
        let limit = endpoint
            .concurrency_limit
            .map(|limit| PollSemaphore::new(Arc::new(Semaphore::new(limit))));
        let shared = Shared {
            endpoint,
            link: Mutex::new(link),
            connecting: tokio::sync::Mutex::new(()),
        };
        Self {
            shared: Arc::new(shared),
            limit,
            permit: None,
        }
    }

    /// The carrier of the next call; none while not connected.
    pub fn carrier(&self) -> Option<Carrier> {
        self.shared.current().map(|link| match link {
            Link::Memory(_) => Carrier::Memory,
            Link::Http2(_) => Carrier::Http2,
        })
    }
}

impl Clone for Channel {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            limit: self.limit.clone(),
            permit: None,
        }
    }
}

impl Shared {
    fn link(&self) -> MutexGuard<'_, Option<Link>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The carrier to use, unless it has to be established.
    fn current(&self) -> Option<Link> {
        let link = self.link();
        match &*link {
            Some(Link::Memory(connection)) if connection.over().is_some() => None,
            link => link.clone(),
        }
    }

    async fn establish(&self) -> Result<Link, Error> {
        let _connecting = self.connecting.lock().await;
        if let Some(link) = self.current() {
            return Ok(link);
        }
        let link = self.endpoint.link().await?;
        *self.link() = Some(link.clone());
        Ok(link)
    }

    /// Forgets HTTP/2 after it failed, so that the next call looks for the best
    /// carrier again.
    fn http2_failed(&self) {
        let mut link = self.link();
        if matches!(&*link, Some(Link::Http2(_))) {
            *link = None;
        }
    }
}

type BoxedCall = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

/// The answer to a call, as a future. Dropping it cancels the call.
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture {
    call: AnyCall,
    _permit: Option<OwnedSemaphorePermit>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the common one, and a box for it costs an allocation a call"
)]
enum AnyCall {
    Memory(Timed<Call>),
    Boxed(BoxedCall),
}

impl std::fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.call {
            AnyCall::Memory(call) => Poll::Ready(finish(ready!(Pin::new(call).poll(cx)))),
            AnyCall::Boxed(call) => call.as_mut().poll(cx),
        }
    }
}

fn finish<B>(outcome: Outcome<Result<Response<B>, Status>>) -> Result<Response<Body>, Status>
where
    B: http_body::Body<Data = bytes::Bytes, Error = Status> + Send + 'static,
{
    match outcome {
        Outcome::Done(Ok(response), deadline) => {
            Ok(response.map(|body| timed_body(body, deadline, BodySide::Client)))
        }
        Outcome::Done(Err(status), _) | Outcome::Expired(status) => Err(status),
    }
}

async fn call_http2(
    shared: Arc<Shared>,
    mut channel: tonic::transport::Channel,
    request: Request<Body>,
) -> Result<Response<Body>, Status> {
    let result = match std::future::poll_fn(|cx| channel.poll_ready(cx)).await {
        Ok(()) => channel.call(request).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(response) => Ok(response.map(|body| Body::new(body.map_err(broken_stream)))),
        Err(error) => {
            let (expired, status) = status_of_transport(error);
            if !expired && status.code() == tonic::Code::Unavailable {
                shared.http2_failed();
            }
            Err(status)
        }
    }
}

/// A stream that broke together with its connection has no status of its own in
/// tonic; gRPC has it UNAVAILABLE.
fn broken_stream(status: Status) -> Status {
    if status.code() == tonic::Code::Unknown && status.source().is_some() {
        return Status::unavailable(error_chain(&status));
    }
    status
}

/// The status of a call that tonic's transport failed; whether it was the
/// deadline, for which tonic says CANCELLED where gRPC wants DEADLINE_EXCEEDED.
fn status_of_transport(error: tonic::transport::Error) -> (bool, Status) {
    let mut source: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(inner) = source {
        if inner.is::<TimeoutExpired>() {
            return (
                true,
                Status::deadline_exceeded("the deadline passed before the call was over"),
            );
        }
        source = inner.source();
    }
    let text = error_chain(&error);
    let status = Status::from_error(Box::new(error));
    // A connection that broke under a call has no status of its own in tonic.
    if status.code() == tonic::Code::Unknown {
        return (false, Status::unavailable(text));
    }
    (false, status)
}

fn error_chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

fn start(shared: &Arc<Shared>, link: Link, request: Request<Body>, deadline: Deadline) -> AnyCall {
    match link {
        Link::Memory(connection) => {
            let call = Call::new(connection, shared.endpoint.authority(), request);
            AnyCall::Memory(Timed::new(call, deadline))
        }
        Link::Http2(channel) => {
            let call = Timed::new(
                Box::pin(call_http2(Arc::clone(shared), channel, request)),
                deadline,
            );
            AnyCall::Boxed(Box::pin(async move { finish(call.await) }))
        }
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        if let (Some(limit), None) = (&mut self.limit, &self.permit) {
            // The semaphore is never closed.
            self.permit = ready!(limit.poll_acquire(cx));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        let deadline = Deadline::new(request.headers(), self.shared.endpoint.timeout);
        let call = match self.shared.current() {
            Some(link) => start(&self.shared, link, request, deadline),
            None => {
                let shared = Arc::clone(&self.shared);
                let connecting = async move {
                    let link = shared
                        .establish()
                        .await
                        .map_err(|error| Status::unavailable(error.to_string()))?;
                    Ok((shared, link))
                };
                let connecting = Timed::new(Box::pin(connecting), deadline);
                AnyCall::Boxed(Box::pin(async move {
                    match connecting.await {
                        Outcome::Done(Ok((shared, link)), deadline) => {
                            let call = start(&shared, link, request, deadline);
                            ResponseFuture {
                                call,
                                _permit: None,
                            }
                            .await
                        }
                        Outcome::Done(Err(status), _) | Outcome::Expired(status) => Err(status),
                    }
                }))
            }
        };
        ResponseFuture {
            call,
            _permit: self.permit.take(),
        }
    }
}
