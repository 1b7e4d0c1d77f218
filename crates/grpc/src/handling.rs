//! The server's side of calls through shared memory.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use nowire::{Accept, Handling, Incoming, Peer, Sender, StreamError};
use tonic::Status;
use tonic::body::Body;
use tower_service::Service;

use crate::body::{ReceiverBody, Upload};
use crate::deadline::BodySide;
use crate::head::{self, RequestDefaults};

/// Gives the calls of one connection to a service.
pub(crate) struct Handler<S> {
    service: S,
    defaults: RequestDefaults,
    peer: Arc<Peer>,
}

impl<S> Handler<S> {
    pub(crate) fn new(service: S, authority: &str, user_agent: &str, peer: Peer) -> Self {
        Self {
            service,
            defaults: RequestDefaults::new(authority, user_agent),
            peer: Arc::new(peer),
        }
    }
}

impl<S, B> Accept for Handler<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<tower::BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
{
    fn begin(&mut self, call: Incoming) -> Handling {
        let Incoming {
            head,
            sender,
            receiver,
        } = call;
        let mut request = match head::read_request(&head, &self.defaults) {
            Ok(request) => request,
            Err(error) => {
                receiver.cut_off(error.into());
                return Box::pin(std::future::ready(()));
            }
        };
        request.extensions_mut().insert(Arc::clone(&self.peer));
        let request = request.map(|()| Body::new(ReceiverBody::new(receiver)));
        Box::pin(Exchange {
            state: State::Ready {
                service: self.service.clone(),
                request: Some(request),
            },
            sender: Some(sender),
        })
    }
}

/// One call from its request to the end of its answer. It is over as soon as
/// the client gives up, and the handler with it.
struct Exchange<S: Service<Request<Body>>> {
    state: State<S>,
    sender: Option<Sender>,
}

enum State<S: Service<Request<Body>>> {
    Ready {
        service: S,
        request: Option<Request<Body>>,
    },
    Calling(Pin<Box<S::Future>>),
    Answering(Box<Upload<Body>>),
}

impl<S, B> Exchange<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<tower::BoxError>>,
    B: http_body::Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
{
    /// Runs the call as far as it goes.
    fn poll_forward(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.state {
                State::Ready { service, request } => match service.poll_ready(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(())) => {
                        let Some(request) = request.take() else {
                            return Poll::Ready(());
                        };
                        self.state = State::Calling(Box::pin(service.call(request)));
                    }
                    Poll::Ready(Err(error)) => self.answer(Err(error)),
                },
                State::Calling(future) => match future.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(result) => self.answer(result),
                },
                State::Answering(upload) => match upload.poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    // An answer that fails has lost its client; nobody is left to tell.
                    Poll::Ready(Ok(()) | Err(_)) => return Poll::Ready(()),
                },
            }
        }
    }

    fn answer(&mut self, result: Result<Response<B>, S::Error>) {
        let response = match result {
            Ok(response) => response.map(Body::new),
            Err(error) => Status::from_error(error.into()).into_http(),
        };
        self.send(response);
    }

    fn send(&mut self, response: Response<Body>) {
        let Some(sender) = self.sender.take() else {
            return;
        };
        let (parts, body) = response.into_parts();
        let mut block = Vec::with_capacity(64);
        let written = head::write_response(&mut block, parts.status, &parts.headers);
        let upload = if written.is_ok() && block.len() <= sender.block_limit() {
            Upload::new(sender, block, body, BodySide::Server)
        } else {
            let (parts, ()) = Status::internal("the handler's metadata is too large to be sent")
                .into_http::<()>()
                .into_parts();
            let mut block = Vec::with_capacity(64);
            // A status with a short message can always be written.
            let _ = head::write_response(&mut block, parts.status, &parts.headers);
            Upload::new(sender, block, Body::empty(), BodySide::Server)
        };
        self.state = State::Answering(Box::new(upload));
    }

    fn poll_given_up(&mut self, cx: &mut Context<'_>) -> Poll<StreamError> {
        match (&mut self.sender, &mut self.state) {
            (Some(sender), _) => sender.poll_failed(cx),
            (None, State::Answering(upload)) => upload.sender().poll_failed(cx),
            (None, _) => Poll::Pending,
        }
    }
}

impl<S: Service<Request<Body>>> Unpin for Exchange<S> {}

impl<S, B> Future for Exchange<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<tower::BoxError>>,
    B: http_body::Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_forward(cx).is_ready() || self.poll_given_up(cx).is_ready() {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
