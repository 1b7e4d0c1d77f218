//! The server's side of calls through shared memory.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use nowire::{Accept, Block, Handling, Incoming, Peer, Sender, StreamError};
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;
use tower_service::Service;

use crate::body::{ReceiverBody, Upload};
use crate::deadline::BodySide;
use crate::head::{self, RequestReader};

type Place<S> = Pin<Box<Exchange<S, <S as Service<Request<Body>>>::Future>>>;

/// Gives the calls of one connection to a service.
pub(crate) struct Handler<S: Service<Request<Body>>> {
    service: S,
    reader: RequestReader,
    peer: Arc<Peer>,
    /// The place of the last call that was complete at once, for the next one.
    spare: Option<Place<S>>,
}

impl<S: Service<Request<Body>>> Handler<S> {
    pub(crate) fn new(service: S, authority: &str, user_agent: &str, peer: Peer) -> Self {
        Self {
            service,
            reader: RequestReader::new(authority, user_agent),
            peer: Arc::new(peer),
            spare: None,
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
    fn begin(&mut self, call: Incoming, cx: Option<&mut Context<'_>>) -> Option<Handling> {
        let Incoming {
            head,
            sender,
            receiver,
        } = call;
        let mut request = match self.reader.read(&head) {
            Ok(request) => request,
            Err(error) => {
                receiver.cut_off(error.into());
                return None;
            }
        };
        request.extensions_mut().insert(Arc::clone(&self.peer));
        let request = request.map(|()| Body::new(ReceiverBody::new(receiver)));
        let exchange = Exchange {
            state: State::Ready {
                service: self.service.clone(),
                request: Some(request),
            },
            sender: Some(sender),
        };
        let mut place = match self.spare.take() {
            Some(mut place) => {
                place.set(exchange);
                place
            }
            None => Box::pin(exchange),
        };
        if cx.is_some_and(|cx| place.as_mut().poll(cx).is_ready()) {
            let over = Exchange {
                state: State::Over,
                sender: None,
            };
            place.set(over);
            self.spare = Some(place);
            return None;
        }
        Some(place)
    }
}

pin_project! {
    /// One call from its request to the end of its answer. It is over as soon as
    /// the client gives up, and the handler with it.
    struct Exchange<S, F> {
        #[pin]
        state: State<S, F>,
        sender: Option<Sender>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, F> {
        Ready { service: S, request: Option<Request<Body>> },
        Calling { #[pin] future: F },
        Answering { upload: Upload<Body> },
        Over,
    }
}

impl<S, F, B> Exchange<S, F>
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<tower::BoxError>, Future = F>,
    F: Future<Output = Result<Response<B>, S::Error>>,
    B: http_body::Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
{
    /// Runs the call as far as it goes.
    fn poll_forward(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            let answer = match this.state.as_mut().project() {
                StateProjection::Ready { service, request } => match ready!(service.poll_ready(cx))
                {
                    Ok(()) => {
                        let Some(request) = request.take() else {
                            return Poll::Ready(());
                        };
                        let future = service.call(request);
                        this.state.set(State::Calling { future });
                        continue;
                    }
                    Err(error) => Err(error),
                },
                StateProjection::Calling { future } => ready!(future.poll(cx)),
                StateProjection::Answering { upload } => {
                    // An answer that fails has lost its client; nobody is left to tell.
                    let _ = ready!(upload.poll(cx));
                    this.state.set(State::Over);
                    return Poll::Ready(());
                }
                StateProjection::Over => return Poll::Ready(()),
            };
            let response = match answer {
                Ok(response) => response.map(Body::new),
                Err(error) => Status::from_error(error.into()).into_http(),
            };
            let Some(sender) = this.sender.take() else {
                return Poll::Ready(());
            };
            // The handler's future ends here, and with it what it borrows.
            this.state.set(State::Answering {
                upload: upload(sender, response),
            });
        }
    }

    fn poll_given_up(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<StreamError> {
        let this = self.project();
        match (this.sender, this.state.project()) {
            (Some(sender), _) => sender.poll_failed(cx),
            (None, StateProjection::Answering { upload }) => upload.sender().poll_failed(cx),
            (None, _) => Poll::Pending,
        }
    }
}

fn upload(sender: Sender, response: Response<Body>) -> Upload<Body> {
    let (parts, body) = response.into_parts();
    let mut block = Block::new();
    let written = head::write_response(&mut block, parts.status, &parts.headers);
    if written.is_ok() && block.len() <= sender.block_limit() {
        return Upload::new(sender, block, body, BodySide::Server);
    }
    let status = Status::internal("the handler's metadata is too large to be sent");
    let (parts, ()) = status.into_http::<()>().into_parts();
    let mut block = Block::new();
    // A status with a short message can always be written.
    let _ = head::write_response(&mut block, parts.status, &parts.headers);
    Upload::new(sender, block, Body::empty(), BodySide::Server)
}

impl<S, F, B> Future for Exchange<S, F>
where
    S: Service<Request<Body>, Response = Response<B>, Error: Into<tower::BoxError>, Future = F>,
    F: Future<Output = Result<Response<B>, S::Error>>,
    B: http_body::Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.as_mut().poll_forward(cx).is_ready() || self.poll_given_up(cx).is_ready() {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
